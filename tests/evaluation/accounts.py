"""All that reports are written from, with chosen figures: float, half and int8, and one that could not be made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from thresher.candidate_failure import CandidateFailure
from thresher.evaluation import Measurement
from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.judge import judge
from thresher.evaluation.report.context import Account, Predictions
from thresher.evaluation.selection import Selection
from thresher.modalities.fingerprint import DataFingerprint
from thresher.models import ModelChoice
from thresher.training import Training

NAMES = ["float", "half", "int8", "broken"]
REASON = "prune_channels leaves <conv1> without channels | nothing is left"
TRAINING = {"optimizer": {"kind": "adam", "lr": 0.00628}, "batch_size": 32, "epochs": 3}


def make_account(evaluation: Callable[..., Evaluation], task: str, wins: bool = True, **changes: Any) -> Account:
    """Return one in which half wins, or nobody does."""
    half = {"lost": 20, "gained": 5} if task == "classification" else {"worse": 0.3}
    same = {} if task == "classification" else {"worse": 0.0}
    made = [
        evaluation(**same),
        evaluation("half", 0.5, spread=0.01, size_bytes=50, **half),
        evaluation("int8", 2, **same),
    ]
    evaluations = {one.candidate: one for one in made}
    selection = Selection.model_validate({"require": {} if wins else {"macs": {"at_most": 1}}})
    broken = CandidateFailure(candidate="broken", step="compress_network", reason=REASON)
    settings: dict[str, Any] = {
        "verdict": judge("digits", {**evaluations, "broken": broken}, selection),
        "selection": selection,
        "fingerprint": DataFingerprint(
            train_sha256="a" * 64, test_sha256="b" * 64, num_train_samples=1437, num_test_samples=1000,
            class_names=("zero", "one") if task == "classification" else (), inputs="uint8 1x8x8",
        ),
        "description": "Handwritten digits",
        "model": ModelChoice.model_validate({"kind": "cnn"}),
        "training": Training.model_validate(TRAINING),
        "found": False,
        "measurement": Measurement(),
        "chains": {"half": ("prune_channels (ratio 0.5)", "finetune"), "int8": ("quantize_static",), "broken": ()},
        "evaluations": evaluations,
        "calibration": {"int8": {"sha256": "c" * 64, "samples": "256", "seed": "1"}},
    }  # fmt: skip
    return Account(**{**settings, **changes})


def make_predictions(task: str, class_names: tuple[str, ...] = ("zero", "one")) -> Predictions:
    """Return 40 test samples a class, or 1500 values; float errs on the first, half on the first five."""
    if task == "regression":
        labels = np.linspace(0.0, 100.0, 1500)
        outputs = {name: (labels + off)[:, None].astype(np.float32) for name, off in (("float", 1.0), ("half", -2.0))}
        return Predictions(labels, (), outputs)
    num_classes = len(class_names)
    labels = np.tile(np.arange(num_classes), 40)
    exact = np.eye(num_classes, dtype=np.float32)[labels]
    outputs = {}
    for name, errors in (("float", 1), ("half", 5)):
        outputs[name] = exact.copy()
        outputs[name][:errors] = np.roll(exact[:errors], 1, axis=1)
    return Predictions(labels, class_names, outputs)
