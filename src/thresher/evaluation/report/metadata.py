"""What the page and the model card say alike: data, training, machine, and what was not measured."""

from __future__ import annotations

from thresher.evaluation.metrics import LOSS, find_metric, format_value
from thresher.evaluation.multiple_testing import keeps
from thresher.evaluation.report.context import Account
from thresher.evaluation.report.figures import format_interval
from thresher.evaluation.selection import Requirement
from thresher.evaluation.slices import Slice
from thresher.models import FLOAT, is_network
from thresher.models.imported.config import Checkpoint, GraphModel, is_taken_as_it_is
from thresher.models.pretrained.config import Pretrained

FOUND = "Some of it was found before, without the test samples: see `search/` or `training/` in the MLflow run."
LOSSES = {"classification": "Drops in accuracy are", "regression": "Increases of the RMSE are"}
PAIRED_CAPTION = (
    "Test samples that float classifies right and the candidate wrong (lost), and the reverse (gained). McNemar's "
    "exact test: how likely a difference so large is by chance where both are right equally often."
)
PAIRED_COLUMNS = ("candidate", "lost", "gained", "McNemar's p", "same class as float")
SETS_TITLE = "Further test sets"
SLICES_TITLE = "Parts of the test split"
SLICES_CAPTION = "Each candidate beside float on each part, its worst part first"
INTERVALS = {
    "classification": "paired bootstrap or Tango's score interval, whichever is wider",
    "regression": "paired bootstrap",
}
FIGURE = {"accuracy_drop": "accuracy", "rmse_increase": "rmse"}
"""What is lost -> of what."""
MAX_CLASSES = 8
"""The most classes that are named one by one."""
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
        if verdict.nothing_learned:
            return "No candidate qualifies: the float model is no better than a constant answer. Nothing was packed."
        return "No candidate qualifies: each breaks a requirement of the recipe, and nothing was packed."
    return f"{verdict.winner} wins, the {verdict.objective} among the candidates that meet the requirements."


def conditions(account: Account) -> str:
    """Return on what, and how, quality and latency were measured."""
    verdict, measurement = account.verdict, account.measurement
    threads = f"{measurement.threads} thread" + "s" * (measurement.threads > 1)
    versions = sorted({evaluation.onnxruntime_version for evaluation in account.evaluations.values()})
    return (
        f"{LOSSES[verdict.task]} against the float model on the same {verdict.num_test_samples:,} test samples, by "
        f"{INTERVALS[verdict.task]}; each bound holds one-sided at {verdict.confidence:.0%}. "
        f"{_family(account)}Latencies are those of ONNX "
        f"Runtime {', '.join(versions)} on {threads}, on the file that is served, timed in turns with the float "
        "model, in new sessions every round, at the float model's clock."
    )


def _family(account: Account) -> str:
    """Return how requirements with a confidence hold for many candidates, where there are many."""
    tried = sum(bool(each.metrics) for each in account.verdict.candidates) - 1
    if tried < 2 or not any(bound.confidence for bound in account.selection.require.values()):
        return ""
    if account.selection.correction == "none":
        return f"No correction was made for {tried} candidates being tried. "
    return f"Requirements with a confidence are stricter: they hold for all {tried} candidates together (Holm). "


def requirements(account: Account) -> list[str]:
    """Return the recipe's bounds, a line each."""
    bounds = dict(account.selection.require)
    if (slices := account.selection.slices) is not None:
        bounds |= {f"{name} of each part by {', '.join(slices.by)}": bound for name, bound in slices.bounds.items()}
    for name, on in account.selection.require_on.items():
        bounds |= {f"{metric} on {name}": bound for metric, bound in on.items()}
    return [f"{what}: {_bound_words(bound)}" for what, bound in bounds.items()]


def _bound_words(bound: Requirement) -> str:
    side, value = ("at most", bound.at_most) if bound.at_most is not None else ("at least", bound.at_least)
    confidence = f", with {bound.confidence:.0%} confidence" if bound.confidence else ""
    return f"{side} {value:,.12g}{confidence}"


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
    exported = f" {_capitalized(account.verdict.exported.sentence)}." if account.verdict.exported else ""
    if is_taken_as_it_is(model):
        unknown = "it was not trained here, and its training data is unknown"
        tokens = (
            f", with the tokenizer of {model.tokenizer}" if isinstance(model, GraphModel) and model.tokenizer else ""
        )
        return f"Model {model.kind}, from {model.path}{tokens}: {unknown}.{exported}"
    if not is_network(model):
        settings = model.model_dump(exclude={"kind"}).items()
        words = ", ".join(f"{name} {value:.3g}" for name, value in settings if isinstance(value, int | float))
        found = f" {FOUND}" if account.found else ""
        return f"Model {model.kind}, fitted as a whole: {words}; seed {training.seed}.{found}{exported}"
    batch = "all samples" if training.batch_size == "full" else training.batch_size
    epochs = f"{training.epochs:,} epochs" + " at most" * (training.early_stopping is not None)
    found = f" {FOUND}" if account.found else ""
    name, source = model.kind, ""
    if isinstance(model, Pretrained | Checkpoint):
        name = model.architecture if isinstance(model, Checkpoint) else name
        drawn = isinstance(model, Pretrained) and model.init == "random"
        source = f", from {model.path}, its weights " + ("drawn anew" if drawn else "trained further")
    return (
        f"Model {name}{source}, by {training.optimizer.kind}, learning rate {training.optimizer.lr:.3g}, "
        f"batches of {batch}, {epochs}, seed {training.seed}.{found}{exported}{_balance_words(account)}"
    )


def _balance_words(account: Account) -> str:
    """Return how classes count in the training, by their shares, and what that does to probabilities."""
    training, counts = account.training, {name: count for name, count in account.class_counts.items() if count}
    said = []
    if counts and (training.class_weights or training.sampling):
        total, ordered = sum(counts.values()), sorted(counts, key=lambda name: counts[name])
        shown = ordered if len(ordered) <= MAX_CLASSES else [ordered[0], ordered[-1]]
        each = (
            f"'{name}' ({counts[name] / total:.1%} of the samples) {total / len(counts) / counts[name]:.3g}"
            for name in shown
        )
        how = "What a sample counts" if training.class_weights else "How often an epoch draws a sample, in the mean"
        more = "" if shown is ordered else f", the rarest and the most frequent of {len(counts)}"
        alike = "Probabilities are those of classes that are equally frequent."
        said.append(f"{how}, by its class: {', '.join(each)}{more}. {alike}")
    if training.focal_gamma:
        said.append(f"Focal loss, gamma {training.focal_gamma:g}: probabilities are less sure than cross-entropy's.")
    return "".join(f" {sentence}" for sentence in said)


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def chain_lines(account: Account) -> dict[str, list[str]]:
    """Return what was done to each candidate, and on what it was calibrated; float has no steps."""
    lines = {name: list(steps) for name, steps in account.chains.items()}
    for name, vocabulary in account.vocabularies.items():
        lines.setdefault(name, []).append(f"tokens: {vocabulary}")
    for name, calibration in account.calibration.items():
        said = f"calibrated on {int(calibration['samples']):,} training samples, SHA-256 {calibration['sha256']}"
        if chosen := calibration.get("chosen"):
            said += f"; {chosen}"
        lines.setdefault(name, []).append(said)
    for name, temperature in account.temperatures.items():
        lines.setdefault(name, []).append(f"probabilities: {temperature.sentence}")
    for name, decision in account.decisions.items():
        lines.setdefault(name, []).append(f"answers: {decision.sentence}")
    return lines


def machine_rows(account: Account) -> list[tuple[str, str]]:
    """Return what the figures were measured on, and when."""
    return [*account.verdict.machine.items(), ("date", account.verdict.days)]


def paired_rows(account: Account) -> list[tuple[str, ...]]:
    """Return how each candidate's classes differ from the float model's on the same test samples; none of a regression.

    Lost are samples that float classifies right and the candidate wrong, gained the reverse.
    """
    rows: list[tuple[str, ...]] = []
    for name, evaluation in account.evaluations.items():
        quality = evaluation.quality
        if quality.kind == "classification" and name != FLOAT:
            lost, gained = quality.paired.lost, quality.paired.gained
            p = format_value("mcnemar_p", quality.figures["mcnemar_p"])
            rows.append((name, f"{lost:,}", f"{gained:,}", p, f"{quality.agreement:.2%}"))
    return rows


def slice_columns(account: Account) -> tuple[str, ...]:
    """Return the names of the columns of `slice_rows`."""
    figure = "accuracy" if account.verdict.task == "classification" else "RMSE"
    return ("candidate", "slice", "samples", f"float's {figure}", figure, "lost [interval]", "")


def slice_rows(account: Account) -> list[tuple[str, ...]]:
    """Return how each candidate does on each part of the test split, its worst first; parts too small at the end."""
    found, asked = account.slices, account.selection.slices
    if found is None or asked is None:
        return []
    rows: list[tuple[str, ...]] = []
    for name, parts in found.candidates.items():
        for part in parts:
            figures = (format_value(FIGURE[found.metric], value) for value in (part.reference_figure, part.figure))
            lost = format_interval(found.metric, part.loss)
            said = "; ".join(said for metric, bound in asked.bounds.items() if (said := _said_of(part, metric, bound)))
            rows.append((name, str(part), f"{part.num_samples:,}", *figures, lost, said))
    rows += [("all", part, f"{count:,}", "", "", "", "too few to judge") for part, count in found.too_small.items()]
    return rows


def set_columns(account: Account) -> tuple[str, ...]:
    """Return the names of the columns of `set_rows`."""
    figure = "accuracy" if account.verdict.task == "classification" else "RMSE"
    return ("candidate", "test set", "samples", f"float's {figure}", figure, "lost [interval]", "also required")


def set_rows(account: Account) -> list[tuple[str, ...]]:
    """Return how each candidate does on each further test set."""
    rows: list[tuple[str, ...]] = []
    for on, results in account.sets.sets.items() if account.sets else ():
        bounds = account.selection.require_on.get(on, {})
        metrics, count = account.sets.metrics(on, bounds) if account.sets else {}, f"{results.num_samples:,}"
        for name, each in results.answers.items():
            loss, got = LOSS[each.quality.kind], metrics[name]
            figures = (
                format_value(FIGURE[loss], value) for value in (each.quality.reference_figure, each.quality.figure)
            )
            others = [metric for metric in bounds if metric != loss]
            said = "; ".join(f"{metric} {format_interval(metric, got[metric])}" for metric in others)
            rows.append((name, on, count, *figures, format_interval(loss, got[loss]), said))
        rows += [(name, on, count, "", "", "", reason) for name, reason in results.failed.items()]
    return rows


def set_sources(account: Account) -> str:
    """Return what each further test set is."""
    sets = account.sets.sets if account.sets else {}
    return "; ".join(f"{name}: {results.source}" for name, results in sets.items())


def _said_of(part: Slice, metric: str, bound: Requirement) -> str:
    """Return what is to be said of a bound on a part of the test split: nothing of a loss that keeps it."""
    got, is_loss = part.of(metric), metric in LOSS.values()
    if got is None:
        return f"{metric} has no value"
    if is_loss:
        return "" if keeps(got, bound) else "too much"
    return f"{metric} {format_interval(metric, got)}{'' if keeps(got, bound) else ': breaks its bound'}"


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
    if not any(map(_bounds_quality, account.selection.require)):
        said.append("The recipe has no bound on what may be lost in quality.")
    said += [sentence for name, sentence in MEASURED.items() if not any(key.startswith(name) for key in metrics)]
    if account.slices is None:
        said.append("Parts of the test split, such as single classes or groups, were not judged apart.")
    if account.corruptions:
        said.append("Robustness was measured against the corruptions in the report alone, and not to attacks.")
    unmeasured = "fairness" if account.corruptions else "fairness, robustness to noise and to attacks"
    said.append(f"{_capitalized(unmeasured)} {'was' if account.corruptions else 'were'} not measured.")
    return said


def _bounds_quality(metric: str) -> bool:
    return find_metric(metric).measures == "quality" and metric != "mcnemar_p"
