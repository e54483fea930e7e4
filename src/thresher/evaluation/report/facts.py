"""What the page and the model card say alike: data, training, machine, and what was not measured."""

from __future__ import annotations

from thresher.evaluation.metrics import LOSS
from thresher.evaluation.report.account import Account
from thresher.models import FLOAT
from thresher.models.external.config import ExternalModel

FOUND = "Some of it was found before, without the test samples: see `search/` or `training/` in the MLflow run."
LOSSES = {"classification": "Drops in accuracy are", "regression": "Increases of the RMSE are"}
MEASURED = {
    "peak_memory": "Peak memory was not measured.",
    "load_ms": "Load time was not measured.",
    "energy": "Energy was not measured: this machine has no counter of it that can be read.",
}
"""How the name of a metric begins -> what is said where no candidate has one."""


def outcome(account: Account) -> str:
    """Return who wins, and by what."""
    verdict = account.verdict
    if verdict.winner is None:
        return "No candidate qualifies: each breaks a requirement of the recipe, and nothing was packed."
    return f"{verdict.winner} wins, the least {verdict.minimize} among the candidates that meet the requirements."


def conditions(account: Account) -> str:
    """Return on what, and how, quality and latency were measured."""
    verdict, measurement = account.verdict, account.measurement
    threads = f"{measurement.threads} thread" + "s" * (measurement.threads > 1)
    versions = sorted({evaluation.onnxruntime_version for evaluation in account.evaluations.values()})
    return (
        f"{LOSSES[verdict.task]} against the float model on the same {verdict.num_test_samples:,} test samples, by "
        f"paired bootstrap; each bound holds one-sided at {verdict.confidence:.0%}. Latencies are those of ONNX "
        f"Runtime {', '.join(versions)} on {threads}, on the file that is served, timed in turns with the float "
        "model, at the float model's clock."
    )


def requirements(account: Account) -> list[str]:
    """Return the recipe's bounds, a line each."""
    lines = []
    for metric, bound in account.selection.require.items():
        side, value = ("at most", bound.at_most) if bound.at_most is not None else ("at least", bound.at_least)
        confidence = f", with {bound.confidence:.0%} confidence" if bound.confidence else ""
        lines.append(f"{metric}: {side} {value:,.12g}{confidence}")
    return lines


def data_rows(account: Account) -> list[tuple[str, str, str]]:
    """Return (split, samples, SHA-256)."""
    data = account.fingerprint
    return [
        ("train", f"{data.num_train_samples:,}", data.train_sha256),
        ("test", f"{data.num_test_samples:,}", data.test_sha256),
    ]


def label_words(account: Account) -> str:
    """Return what the labels are."""
    names = account.fingerprint.class_names
    return f"{len(names)} classes: {', '.join(names)}" if names else "numbers; RMSE and MAE are in their unit"


def training_words(account: Account) -> str:
    """Return how the float model was trained."""
    training, model = account.training, account.model.root
    if isinstance(model, ExternalModel):
        return f"Model {model.kind}, from {model.path}: it was not trained here, and on what is not known here."
    batch = "all samples" if training.batch_size == "full" else training.batch_size
    epochs = f"{training.epochs:,} epochs" + " at most" * (training.early_stopping is not None)
    found = f" {FOUND}" if account.found else ""
    return (
        f"Model {model.kind}, by {training.optimizer.kind}, learning rate {training.optimizer.lr:.3g}, "
        f"batches of {batch}, {epochs}, seed {training.seed}.{found}"
    )


def chain_lines(account: Account) -> dict[str, list[str]]:
    """Return what was done to each candidate, and on what it was calibrated; float has no steps."""
    lines = {name: list(steps) for name, steps in account.chains.items()}
    for name, calibration in account.calibration.items():
        said = f"calibrated on {int(calibration['samples']):,} training samples, SHA-256 {calibration['sha256']}"
        lines.setdefault(name, []).append(said)
    return lines


def machine_rows(account: Account) -> list[tuple[str, str]]:
    """Return what the figures were measured on, and when."""
    return [*account.verdict.machine.items(), ("date", account.verdict.days)]


def paired_columns() -> tuple[str, ...]:
    """Return the names of the columns of `paired_rows`."""
    return ("candidate", "lost", "gained", "same class as float")


def paired_rows(account: Account) -> list[tuple[str, ...]]:
    """Return how each candidate's classes differ from the float model's on the same test samples; none of a regression.

    Lost are samples that float classifies right and the candidate wrong, gained the reverse.
    """
    rows: list[tuple[str, ...]] = []
    for name, evaluation in account.evaluations.items():
        quality = evaluation.quality
        if quality.kind == "classification" and name != FLOAT:
            lost, gained = quality.paired.lost, quality.paired.gained
            rows.append((name, f"{lost:,}", f"{gained:,}", f"{quality.agreement:.2%}"))
    return rows


def limits(account: Account) -> list[str]:
    """Return what the figures do not say."""
    verdict = account.verdict
    metrics = verdict.of(FLOAT).metrics
    said = [
        "The figures are of this test split. Other samples, and samples that differ from it in kind, were not tried.",
        "Latencies are of this machine and this load: another processor may order the candidates differently.",
    ]
    if (judged := sum(bool(each.metrics) for each in verdict.candidates)) > 1:
        said.append(
            f"The winner was chosen among {judged} candidates on the same test samples that its figures are of, which "
            "favours it a little."
        )
    if not account.selection.require.keys() & {LOSS[verdict.task], *_QUALITY[verdict.task]}:
        said.append("The recipe has no bound on what may be lost in quality.")
    said += [sentence for name, sentence in MEASURED.items() if not any(key.startswith(name) for key in metrics)]
    if not has_slices(account):
        said.append("Parts of the test split, such as single classes or groups, were not judged apart.")
    said.append("Calibrated probabilities, fairness, robustness to noise and to attacks were not measured.")
    return said


def has_slices(account: Account) -> bool:
    """Return whether parts of the test split were judged apart."""
    return any(getattr(evaluation, "slices", None) for evaluation in account.evaluations.values())


_QUALITY = {"classification": ("accuracy",), "regression": ("rmse", "mae", "r2")}
