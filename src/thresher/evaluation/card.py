"""The model card: what travels with a model so that a stranger can judge it."""

from __future__ import annotations

from thresher.evaluation.table import verdict_markdown
from thresher.evaluation.verdict import Verdict
from thresher.modalities.fingerprint import DataFingerprint
from thresher.models import ModelChoice
from thresher.training import Training

CARD = """# {name}

{description}

Winner: **{winner}**, the least {minimize} among the candidates that meet the recipe's requirements.

{table}

{losses} against the float model on the same {samples:,} test samples, by paired bootstrap; each bound holds one-sided
at {confidence:.0%}. Latencies are those of ONNX Runtime on the file that is served, timed in turns with the float
model, at the float model's clock.

## Made and judged on

| | samples | SHA-256 |
| --- | --- | --- |
| train | {train_samples:,} | {train_hash} |
| test | {test_samples:,} | {test_hash} |

Inputs: {inputs}. Labels: {labels}.

## Trained

{model}, by {optimizer}, learning rate {rate:.3g}, batches of {batch}, {epochs}, seed {seed}.{found}

## Measured on

{machine}
"""

FOUND = "Some of it was found before, without the test samples: see `search/` or `training/` in the MLflow run."
LOSSES = {"classification": "Drops in accuracy are", "regression": "Increases of the RMSE are"}


def model_card(
    verdict: Verdict,
    fingerprint: DataFingerprint,
    description: str,
    model: ModelChoice,
    training: Training,
    found: bool,
) -> str:
    """Return the card in Markdown.

    Args:
        model: what was trained.
        training: how.
        found: whether a search or a range test has chosen some of it.

    Source of the form: Mitchell et al., "Model Cards for Model Reporting", 2019; of its parts, those that can be
    measured here. What the model must not be used for is a person's to add.
    """
    names = fingerprint.class_names
    return CARD.format(
        name=verdict.recipe,
        description=description or "(the recipe gives no description)",
        winner=verdict.winner or "none, no candidate qualifies",
        minimize=verdict.minimize,
        table=verdict_markdown(verdict),
        samples=verdict.num_test_samples,
        confidence=verdict.confidence,
        losses=LOSSES[verdict.task],
        train_samples=fingerprint.num_train_samples,
        train_hash=fingerprint.train_sha256,
        test_samples=fingerprint.num_test_samples,
        test_hash=fingerprint.test_sha256,
        inputs=fingerprint.inputs,
        labels=f"{len(names)} classes: {', '.join(names)}" if names else "numbers; RMSE and MAE are in their unit",
        model=f"Model {model.root.kind}",
        optimizer=training.optimizer.kind,
        rate=training.optimizer.lr,
        batch="all samples" if training.batch_size == "full" else training.batch_size,
        epochs=f"{training.epochs:,} epochs at most" if training.early_stopping else f"{training.epochs:,} epochs",
        seed=training.seed,
        found=" " + FOUND if found else "",
        machine="\n".join(f"- {key}: {value}" for key, value in {**verdict.machine, "date": verdict.days}.items()),
    )
