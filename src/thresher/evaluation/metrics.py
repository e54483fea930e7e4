"""The names that a recipe may minimize or require, and what each is worth for one evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thresher.evaluation.statistics import Interval, exactly
from thresher.kinds.metric_names import find_whole
from thresher.kinds.record import KindError, MetricKind
from thresher.kinds.registry import registry

if TYPE_CHECKING:
    from thresher.evaluation.answers import JudgedAnswers
    from thresher.evaluation.evaluation import Evaluation
    from thresher.evaluation.latency import Latency

CONFIDENCE = 0.95


LOSS = {"classification": "accuracy_drop", "regression": "rmse_increase"}
"""Task -> the metric that says how much worse than the reference a model is."""
AT_EACH_BATCH_SIZE = ("latency", "energy")
"""What metrics measure whose name may end with `_batchN`."""
_JOULES = ((1.0, "J"), (1e3, "mJ"), (1e6, "uJ"))


def available_metrics(batch_sizes: tuple[int, ...], task: str, computed: tuple[str, ...] = ()) -> dict[str, MetricKind]:
    """Return every metric that is measured in this task with these batch sizes; `_batchN` names the batch size N.

    Energy is among them, though only some machines count it. Of those with an implementation, the ``computed`` are.
    """
    kinds = [kind for kind in registry().usable(MetricKind) if kind.is_always_measured or not kind.is_computed]
    ours = {kind.name: kind for kind in kinds if kind.task in (None, task)}
    named = {name: kind for name in computed if (kind := _find(name)) is not None and kind.task in (None, task)}
    ours = {loss.name: loss for loss in map(MetricKind.loss, named.values()) if loss} | named | ours
    timed = {name: kind for name, kind in ours.items() if kind.measures in AT_EACH_BATCH_SIZE}
    return ours | {f"{name}_batch{size}": kind for name, kind in timed.items() for size in batch_sizes}


def find_metric(name: str) -> MetricKind:
    """Return the metric ``name``, with or without a batch size or brackets in it; raises a KindError if there is none.

    Of a loss, such as `recall[spam]_drop`, that is the metric of the loss.
    """
    whole = find_whole(name)
    if whole is not None:
        return whole
    if (whose := _loses(name)) != name and (kind := find_whole(whose)) is not None:
        loss = kind.loss()
        if loss is not None and loss.name == name:
            return loss
    return registry().find(MetricKind, name.partition("_batch")[0])


def _find(name: str) -> MetricKind | None:
    try:
        return find_metric(name)
    except KindError:
        return None


def computed_metric(name: str) -> str:
    """Return the metric with an implementation that must be measured for ``name``, which may be its loss; or ""."""
    kind = _find(name)
    if kind is None or kind.is_computed:
        return name if kind else ""
    return "" if name in registry().names(MetricKind.group) or name.partition("_batch")[1] else _loses(name)


def _loses(name: str) -> str:
    """Return the metric of whose loss ``name`` may be the name."""
    return name.removesuffix("_drop").removesuffix("_increase")


def format_value(metric: str, value: float) -> str:
    """Return ``value`` as a person reads it, with its unit."""
    if metric.startswith(("latency_ms", "load_ms")):
        return f"{value * 1000:.3g} us" if value < 0.9995 else f"{value:.2f} ms"
    if metric.startswith("speedup"):
        return f"{value:.2f}x"
    if metric.startswith("throughput"):
        return f"{value:,.0f} samples/s" if value >= 100 else f"{value:.3g} samples/s"
    if metric.startswith("energy_joules"):
        factor, unit = next(pair for pair in _JOULES if value * pair[0] >= 1 or pair[1] == "uJ")
        return f"{value * factor:,.3g} {unit}" if value * factor < 1000 else f"{value * factor:,.0f} {unit}"
    if metric in ("accuracy", "balanced_accuracy", "log_loss", "accuracy_drop", "r2"):
        return f"{value:.4f}"
    if metric == "mcnemar_p":
        return f"{value:.3g}"
    if find_metric(metric).measures == "quality":  # in the label's unit, or its implementation's, whatever that is
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.1f}"
    return f"{value:,.0f}" + (" bytes" if metric.endswith("bytes") else "")


def speedup_beside(metric: str) -> str:
    """Return the metric `speedup` at the batch size that ``metric`` names, where it names one."""
    _, batch, size = metric.partition("_batch")
    return f"speedup{batch}{size}"


def speed_words(speedup: Interval | None, reference: str) -> str:
    """Return how fast a model is beside ``reference``; what may be the noise of the rounds is not called a speed.

    Args:
        speedup: None where the machine was too busy to measure it.
    """
    if speedup is None:
        return f"on a machine too busy to compare its speed with that of {reference}"
    if speedup.lower > 1 or speedup.upper < 1:
        return f"{speedup.value:.2f}x as fast as {reference}"
    return f"not measurably faster or slower than {reference}"


def measure_metrics(evaluation: Evaluation, baseline: Evaluation, confidence: float) -> dict[str, Interval]:
    """Return every metric of ``evaluation``; where there is no interval, its bounds are the value.

    Latencies are brought to the clock of ``baseline``, the float model's own evaluation: each candidate was timed in
    turns with the float model, and what the machine did to those rounds it did to both.
    """
    metrics = measure_quality_metrics(evaluation, confidence)
    metrics |= {name: exactly(value, confidence) for name, value in evaluation.cost.model_dump().items()}
    metrics |= _footprint_metrics(evaluation, baseline, confidence)
    for index, latency in enumerate(evaluation.latencies):
        of_batch = _latency_metrics(latency, baseline.latencies[index], confidence)
        metrics |= {f"{name}_batch{latency.batch_size}": value for name, value in of_batch.items()}
        if index == 0:
            metrics |= of_batch
    return metrics


def measure_quality_metrics(answers: JudgedAnswers, confidence: float) -> dict[str, Interval]:
    """Return every metric of quality of ``answers``, losses too; without an interval its bounds are the value."""
    metrics = {name: exactly(value, confidence) for name, value in answers.quality.figures.items()}
    losses = [LOSS[answers.quality.kind], *(loss.name for name in answers.own if (loss := find_metric(name).loss()))]
    metrics |= {loss: measure_loss(answers, loss, confidence) for loss in losses}
    return metrics | {name: own.interval(confidence) for name, own in answers.own.items()}


def measure_loss(evaluation: JudgedAnswers, metric: str, confidence: float) -> Interval:
    """Return what is lost in quality, by the ``metric`` of a loss; nothing, surely, by a model beside itself."""
    if evaluation.candidate == evaluation.reference:
        return exactly(0.0, confidence)
    if metric in LOSS.values():
        return evaluation.quality.loss(confidence)
    lost = evaluation.own[_loses(metric)].loss_interval(confidence)
    assert lost is not None
    return lost


def measure_interval(evaluation: JudgedAnswers, metric: str, confidence: float) -> Interval:
    """Return one metric that has an interval at any confidence: a loss of quality, a speedup, or the user's own."""
    if metric in evaluation.own:
        return evaluation.own[metric].interval(confidence)
    if metric.startswith("speedup"):
        timed: Evaluation = evaluation  # type: ignore[assignment]  # nothing else has a speed
        return timed.latency_of(metric).speedup(confidence)
    return measure_loss(evaluation, metric, confidence)


def _latency_metrics(latency: Latency, baseline: Latency, confidence: float) -> dict[str, Interval]:
    """Return the figures of one batch size, none where the machine was too busy to measure either of the two."""
    if latency.unmeasured or baseline.unmeasured:
        return {}
    # The median over rounds of the ratio, not the ratio of the medians: a machine that changes its speed halfway
    # moves the second but not the first.
    p50 = baseline.p50 * (1.0 if latency is baseline else latency.ratio)
    exact = {
        "latency_ms_p50": p50,
        "latency_ms_p90": p50 * latency.p90 / latency.p50,
        "latency_ms_p99": p50 * latency.p99 / latency.p50,
        "throughput": 1000 * latency.batch_size / p50,
    }
    if latency.energy and baseline.energy:
        exact["energy_joules"] = baseline.energy.joules * (1.0 if latency is baseline else latency.energy.ratio)
    return {name: exactly(value, confidence) for name, value in exact.items()} | {
        "speedup": latency.speedup(confidence)
    }


def _footprint_metrics(evaluation: Evaluation, baseline: Evaluation, confidence: float) -> dict[str, Interval]:
    ours = evaluation.footprint
    ratio = 1.0 if evaluation is baseline else ours.load_ratio
    load_ms = baseline.footprint.load_ms * ratio
    return {
        "peak_memory_bytes": exactly(ours.peak_memory_bytes, confidence),
        "load_ms": exactly(load_ms, confidence),
    }
