"""What the peers of `compression.py` are given: the float model, samples, and how to finetune."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from thresher.compression.candidate import Candidate
from thresher.compression.network.finetune import Distill, Finetune
from thresher.compression.network.quantize_aware import QuantizeAware
from thresher.datasets.local import SamplesDataset
from thresher.modalities import read_encoder
from thresher.modalities.model_input import ModelInput
from thresher.modalities.samples import EncodedSamples
from thresher.modalities.text.model_input import TextInput
from thresher.models import FLOAT
from thresher.training import Training

CALIBRATION_SAMPLES = 512
EPOCHS = 5
"""Of finetuning by hand, where no candidate of the recipe is finetuned."""


@dataclass(frozen=True)
class RecipeRun:
    """What the last run of a recipe has left in a project's folder."""

    project: Path
    name: str

    @property
    def file(self) -> Path:
        """The recipe."""
        return self.project / "pipelines" / f"{self.name}.yml"

    @property
    def models(self) -> Path:
        """The folder with one folder a candidate."""
        return self.project / "data" / "06_models" / self.name

    @property
    def verdict(self) -> Path:
        """What was judged of all candidates."""
        return self.project / "data" / "08_reporting" / self.name / "verdict.json"

    @property
    def float_file(self) -> Path:
        """The float model as it is judged."""
        return self.models / FLOAT / "model.onnx"

    @property
    def encoder(self) -> Path:
        """The encoder that was fitted."""
        return self.project / "data" / "04_feature" / self.name / "encoder.json"

    def split(self, split: str) -> Path:
        """Return the folder of training, validation or test."""
        return self.project / "data" / "05_model_input" / self.name / f"{split}_samples"

    @property
    def needed(self) -> list[Path]:
        """What is used of it here."""
        splits = [self.split(split) for split in ("training", "validation", "test")]
        return [self.verdict, self.encoder, self.float_file, *splits]

    def recipe(self) -> dict[str, Any]:
        """Return the recipe as it is written."""
        recipe: dict[str, Any] = yaml.safe_load(self.file.read_text(encoding="utf-8"))
        return recipe

    def model_input(self) -> ModelInput:
        """Return what the models take."""
        given: ModelInput = read_encoder(self.encoder.read_bytes()).model_input
        return given

    def test_samples(self) -> EncodedSamples:
        """Return the encoded test split."""
        return SamplesDataset(str(self.split("test"))).load()

    def winner(self) -> str:
        """Return who won; end where nobody did."""
        winner = json.loads(self.verdict.read_text(encoding="utf-8"))["winner"]
        if winner is None:
            sys.exit(f"The last run of {self.name} has no winner to compare with. Mend the recipe, and run it again.")
        return str(winner)


def bound_of(recipe: dict[str, Any]) -> float | None:
    """Return how much accuracy the recipe lets a winner lose."""
    require = recipe.get("selection", {}).get("require", {})
    bound: float | None = require.get("accuracy_drop", {}).get("at_most")
    return bound


def prepare(run: RecipeRun, folder: Path) -> None:
    """Write the peers' task into ``folder``; what they made for another task is deleted."""
    float_file, given = run.float_file.read_bytes(), run.model_input()
    task = {
        "input": given.name,
        # Columns that hold nothing else are cut from each batch, as every user of such models does.
        "padding": given.padding if isinstance(given, TextInput) else None,
        "float_sha256": hashlib.sha256(float_file).hexdigest(),
        "network": str(run.models / FLOAT / "network"),
        "training": str(run.split("training")),
        "validation": str(run.split("validation")),
        "at_most": bound_of(run.recipe()),
        "finetuning": finetuning(run),
    }
    text, file = json.dumps(task, indent=2), folder / "task.json"
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return
    if file.exists():
        print("The float model or the peers' settings have changed: they begin anew", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "float.onnx").write_bytes(float_file)
    inputs = np.load(run.split("training") / "inputs.npy", mmap_mode="r")
    count = min(CALIBRATION_SAMPLES, len(inputs))
    np.save(folder / "calibration.npy", inputs[np.sort(np.random.default_rng(1).choice(len(inputs), count, False))])
    file.write_text(text, encoding="utf-8")


def finetuning(run: RecipeRun) -> dict[str, Any]:
    """Return how the peers finetune: as the winner was, or as the candidate that was for most epochs."""
    recipe, found = run.recipe(), run.models / "found_training.json"
    training = Training.model_validate_json(found.read_bytes()) if found.exists() else None
    training = training or Training.model_validate(recipe.get("training", {}))
    candidates = {key: read_candidate(run, key, value) for key, value in recipe.get("candidates", {}).items()}
    chains = {key: finetunings(key, candidates) for key in candidates}
    chain = chains.get(run.winner()) or max(chains.values(), key=num_epochs, default=[])
    first = chain[0] if chain else Finetune(epochs=EPOCHS)
    distill = first.distill or Distill()
    settings = training.model_dump(mode="json", include={"optimizer", "schedule", "augmentation", "keep", "clip_norm"})
    settings["optimizer"]["lr"] = first.lr or settings["optimizer"]["lr"]
    if first.schedule is not None:
        settings["schedule"] = first.schedule.model_dump(mode="json")
    batch_size = training.batch_size if isinstance(training.batch_size, int) else 128
    taught = {"temperature": distill.temperature, "weight": distill.weight}
    precision = {"precision": precision_of(run, training)}
    return {**settings, **taught, **precision, "batch_size": batch_size, "epochs": num_epochs(chain) or EPOCHS}


def precision_of(run: RecipeRun, training: Training) -> str:
    """Return what the float model was trained in, as a timed trial chose it where the recipe left it to that."""
    chosen = run.models / "execution.json"
    if training.precision != "auto" or not chosen.exists():
        return training.precision
    return str(json.loads(chosen.read_bytes())["precision"])


def read_candidate(run: RecipeRun, name: str, value: Any) -> Candidate:
    """Return the candidate as the recipe has it, or as its search has found it."""
    found = run.models / name / "found_candidate.json"
    if found.exists():
        value = json.loads(found.read_bytes())
        value.pop("name", None)
    return Candidate.model_validate(value)


def finetunings(name: str, candidates: dict[str, Candidate]) -> list[Finetune]:
    """Return all training in the chain that makes ``name``, in order, with that between steps of pruning.

    That of a student is none of it: it begins with weights of its own, and trains for many more epochs.
    """
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
