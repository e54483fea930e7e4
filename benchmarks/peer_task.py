"""What the peers of `compression.py` are given: the float model, samples, and how to finetune."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from reproduce import PROJECT

from thresher.compression.candidate import Candidate
from thresher.compression.network.finetune import Distill, Finetune
from thresher.compression.network.quantize_aware import QuantizeAware
from thresher.modalities import read_encoder
from thresher.models import FLOAT
from thresher.training import Training

DATA = PROJECT / "data"
CALIBRATION_SAMPLES = 512
EPOCHS = 5
"""Of finetuning by hand, where no candidate of the recipe is finetuned."""


def bound_of(recipe: dict[str, Any]) -> float | None:
    """Return how much accuracy the recipe lets a winner lose."""
    require = recipe.get("selection", {}).get("require", {})
    bound: float | None = require.get("accuracy_drop", {}).get("at_most")
    return bound


def winner_of(name: str) -> str:
    """Return who won the recipe's last run; end where nobody did."""
    winner = json.loads((DATA / "08_reporting" / name / "verdict.json").read_text(encoding="utf-8"))["winner"]
    if winner is None:
        sys.exit(f"The last run of {name} has no winner to compare with. Mend the recipe, and run it again.")
    return str(winner)


def prepare(name: str, recipe: dict[str, Any], folder: Path) -> None:
    """Write the peers' task into ``folder``; what they made for another task is deleted."""
    models, samples = DATA / "06_models" / name, DATA / "05_model_input" / name
    float_file = (models / FLOAT / "model.onnx").read_bytes()
    task = {
        "input": encoder_of(name).model_input.name,
        "float_sha256": hashlib.sha256(float_file).hexdigest(),
        "network": str(models / FLOAT / "network"),
        "training": str(samples / "training_samples"),
        "validation": str(samples / "validation_samples"),
        "at_most": bound_of(recipe),
        "finetuning": finetuning(name, recipe),
    }
    text, file = json.dumps(task, indent=2), folder / "task.json"
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return
    if file.exists():
        print("The float model or the peers' settings have changed: they begin anew", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "float.onnx").write_bytes(float_file)
    inputs = np.load(samples / "training_samples" / "inputs.npy", mmap_mode="r")
    count = min(CALIBRATION_SAMPLES, len(inputs))
    np.save(folder / "calibration.npy", inputs[np.sort(np.random.default_rng(1).choice(len(inputs), count, False))])
    file.write_text(text, encoding="utf-8")


def finetuning(name: str, recipe: dict[str, Any]) -> dict[str, Any]:
    """Return how the peers finetune: as the winner was, or as the candidate that was for most epochs."""
    found = DATA / "06_models" / name / "found_training.json"
    training = Training.model_validate_json(found.read_bytes()) if found.exists() else None
    training = training or Training.model_validate(recipe.get("training", {}))
    candidates = {key: read_candidate(name, key, value) for key, value in recipe.get("candidates", {}).items()}
    chains = {key: finetunings(key, candidates) for key in candidates}
    chain = chains.get(winner_of(name)) or max(chains.values(), key=num_epochs, default=[])
    first = chain[0] if chain else Finetune(epochs=EPOCHS)
    distill = first.distill or Distill()
    settings = training.model_dump(mode="json", include={"optimizer", "schedule", "augmentation", "keep"})
    settings["optimizer"]["lr"] = first.lr or settings["optimizer"]["lr"]
    if first.schedule is not None:
        settings["schedule"] = first.schedule.model_dump(mode="json")
    batch_size = training.batch_size if isinstance(training.batch_size, int) else 128
    taught = {"temperature": distill.temperature, "weight": distill.weight}
    return {**settings, **taught, "batch_size": batch_size, "epochs": num_epochs(chain) or EPOCHS}


def read_candidate(recipe: str, name: str, value: Any) -> Candidate:
    """Return the candidate as the recipe has it, or as its search has found it."""
    found = DATA / "06_models" / recipe / name / "found_candidate.json"
    if found.exists():
        value = json.loads(found.read_bytes())
        value.pop("name", None)
    return Candidate.model_validate(value)


def finetunings(name: str, candidates: dict[str, Candidate]) -> list[Finetune]:
    """Return all training in the chain that makes ``name``, in order, with that between steps of pruning."""
    if name not in candidates:
        return []
    found = finetunings(candidates[name].from_, candidates)
    for step in candidates[name].steps:
        if isinstance(step, Finetune):
            found.append(step)
        elif isinstance(step, QuantizeAware):
            found.append(Finetune(epochs=step.epochs, distill=step.distill))
        elif (between := getattr(step, "between", None)) is not None:
            found.extend([between] * (getattr(step, "iterations", 1) - 1))
    return found


def num_epochs(chain: list[Finetune]) -> int:
    """Return the epochs of all of ``chain``."""
    return sum(step.epochs for step in chain)


def encoder_of(name: str):  # type: ignore[no-untyped-def]  # a union that has no name here
    """Return the encoder that the run of the recipe has fitted."""
    return read_encoder((DATA / "04_feature" / name / "encoder.json").read_bytes())
