"""The nodes of the selection stage."""

from __future__ import annotations

from typing import Any

import numpy as np

from thresher.candidate_failure import CandidateFailure
from thresher.compression.calibration import read_trace
from thresher.compression.candidate import NamedCandidate
from thresher.compression.describe import chain_words
from thresher.evaluation import Measurement
from thresher.evaluation.baseline import Baseline, compare_with_baseline
from thresher.evaluation.corruptions import CorruptionChoice, describe_settings
from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.exported import ExportedQuality
from thresher.evaluation.judge import judge
from thresher.evaluation.model_card import model_card
from thresher.evaluation.reference import Reference, compare_with_reference
from thresher.evaluation.report.context import Account, Predictions, Searched, Sensitivities
from thresher.evaluation.report.page import report_page
from thresher.evaluation.report.pareto import plot_verdict
from thresher.evaluation.runtime import open_session, predict
from thresher.evaluation.selection import Selection
from thresher.evaluation.set_comparison import POOLED, SetComparison, SetOutputs, compare_sets, pool
from thresher.evaluation.slices import SliceComparison
from thresher.evaluation.slices import compare_slices as compare_parts
from thresher.evaluation.verdict import Verdict
from thresher.modalities import AnyEncoder
from thresher.modalities.decision import DecisionRule
from thresher.modalities.fingerprint import DataFingerprint
from thresher.modalities.samples import EncodedSamples
from thresher.models import FLOAT, ModelChoice
from thresher.onnx_graph import VOCABULARY, read_note
from thresher.pipelines.types import DataFrame, Figure
from thresher.search.plots import plot_budget_search
from thresher.search.result import BudgetSearch, Sensitivity
from thresher.training import Training


def compare_slices(
    selection: Selection, slices: DataFrame, test_samples: EncodedSamples, **results: Any
) -> SliceComparison:
    """Return how every candidate does on each part of the test split, beside float.

    Args:
        slices: the part of each test sample, a column for each of ``selection.slices.by``.
        results: `CANDIDATE.predictions` of all candidates, and their `.decision` where the recipe has one.
    """
    assert selection.slices is not None
    outputs = _each("predictions", results)
    labels, names = test_samples.labels, test_samples.class_names
    return compare_parts(slices, selection.slices, labels, outputs, FLOAT, names, _rules(results))


def compare_test_sets(
    selection: Selection, sources: dict[str, Any], test_samples: EncodedSamples, **results: Any
) -> SetComparison:
    """Return how every candidate does on each further test set, beside float, and on all of other samples together.

    Args:
        sources: `data` of the recipe, whose `tests` and `corruptions` say what the sets are.
        results: `SET.set_samples` of all sets, and `CANDIDATE.SET.set_predictions` of all candidates; their
            `.predictions` where there are sets of other samples, and `.decision` where the recipe has one.
    """
    answered = _named("set_predictions", results)
    samples: dict[str, EncodedSamples] = _named("set_samples", results)
    sets: dict[str, SetOutputs] = {}
    for key, each in samples.items():
        given = {name.removesuffix(f".{key}"): found for name, found in answered.items() if name.endswith(f".{key}")}
        sets[key] = _outputs(_describe_set(key, sources), each, given)
    others = {key: each for key, each in sets.items() if key in sources.get("tests", {})}
    if others:
        test = _outputs("the test split", test_samples, _named("predictions", results))
        sets[POOLED] = pool({"test": test, **others})
    return compare_sets(sets, selection, test_samples.class_names, _rules(results))


def _outputs(source: str, samples: EncodedSamples, given: dict[str, np.ndarray | CandidateFailure]) -> SetOutputs:
    failed = {name: each.reason for name, each in given.items() if isinstance(each, CandidateFailure)}
    outputs = {name: each for name, each in given.items() if not isinstance(each, CandidateFailure)}
    return SetOutputs(source, samples.labels, outputs, failed)


def _describe_set(key: str, sources: dict[str, Any]) -> str:
    if entry := sources.get("tests", {}).get(key):
        return str(entry)
    return f"test: {describe_settings(CorruptionChoice.model_validate(sources['corruptions'][key]).root)}"


def compare_baseline(
    require: dict[str, Any], training_samples: EncodedSamples, test_samples: EncodedSamples, **results: Any
) -> Baseline:
    """Return how every candidate does beside constant answers: the most frequent class, or the mean of the labels.

    Args:
        require: what the recipe requires, which says by which metric that counts, and how surely.
        results: `CANDIDATE.predictions` of all candidates, and their `.decision` where the recipe has one.
    """
    outputs: dict[str, np.ndarray] = _each("predictions", results)
    selection = Selection.model_validate({"require": require})
    return compare_with_baseline(training_samples, test_samples, outputs, selection, _rules(results))


def compare_reference(
    reference_onnx: bytes | CandidateFailure,
    float_predictions: np.ndarray,
    test_samples: EncodedSamples,
    encoder: AnyEncoder,
    threads: int,
    require: dict[str, Any],
) -> Reference:
    """Return how the trees do on the test split, beside float.

    Args:
        require: what the recipe requires, which says how surely.
    """
    if isinstance(reference_onnx, CandidateFailure):
        return Reference(figures={}, failure=reference_onnx.reason)
    outputs = predict(open_session(reference_onnx, threads), test_samples.inputs, encoder.model_input)
    confidence = Selection.model_validate({"require": require}).confidence
    return compare_with_reference(outputs, float_predictions, test_samples, len(reference_onnx), confidence)


def judge_candidates(
    name: str,
    selection: Selection,
    baseline: Baseline,
    exported_quality: ExportedQuality,
    *results: Evaluation | CandidateFailure | SliceComparison | SetComparison | Reference,
) -> Verdict:
    """Return the verdict over all candidates, in the order of the recipe; nobody qualifying is one, too.

    Args:
        baseline: how all compare with constant answers.
        exported_quality: of the float model, on the validation split; without that check there is no verdict.
        results: each candidate's evaluation; at the end how they do on slices and on further test sets, where the
            recipe asks for that, and the reference that is shown beside them.
    """
    evaluations = {each.candidate: each for each in results if isinstance(each, Evaluation | CandidateFailure)}
    slices = next((each for each in results if isinstance(each, SliceComparison)), None)
    sets = next((each for each in results if isinstance(each, SetComparison)), None)
    verdict = judge(name, evaluations, selection, slices, baseline, sets)
    reference = next((each for each in results if isinstance(each, Reference)), None)
    return verdict.model_copy(update={"exported": exported_quality, "reference": reference})


def draw_verdict(verdict: Verdict, selection: Selection) -> Figure:
    """Return the plots of accuracy, or RMSE, over latency and size, with the recipe's bounds."""
    return plot_verdict(verdict, selection)


def write_reports(
    verdict: Verdict,
    selection: Selection,
    fingerprint: DataFingerprint,
    description: str,
    model: ModelChoice,
    training: Training,
    asked: Training,
    evaluation: Measurement,
    test_samples: EncodedSamples,
    **results: Any,
) -> tuple[str, str]:
    """Return the model card in Markdown and the report as one HTML page: all that the run came to.

    Args:
        training: what the model was trained with.
        asked: what the recipe says, which may leave some of it to a search or a range test.
        results: `CANDIDATE.chain`, `.evaluation`, `.onnx` and `.predictions` of all candidates, of float without a
            chain; `.sensitivity` where one was measured, `.search` of those whose chain was searched for, and `slices`
            and `sets`, with `SET.examples` of those that are corrupted, where the recipe asks for them, and so for
            `.calibration` and `.decision`, and `training_samples` where classes do not count by their share.
    """
    candidates = {name: NamedCandidate.model_validate(chain) for name, chain in _each("chain", results).items()}
    evaluations: dict[str, Evaluation] = _each("evaluation", results)
    # A file that could not be run may not be readable either.
    files = {name: onnx_file for name, onnx_file in _each("onnx", results).items() if name in evaluations}
    traces = {name: read_trace(onnx_file) for name, onnx_file in files.items()}
    account = Account(
        verdict=verdict,
        selection=selection,
        fingerprint=fingerprint,
        description=description,
        model=model,
        training=training,
        found=training != asked,
        measurement=evaluation,
        chains={name: chain_words(name, candidates) for name in candidates},
        evaluations=evaluations,
        calibration={name: trace for name, trace in traces.items() if trace},
        vocabularies={name: note for name, each in files.items() if (note := read_note(each, VOCABULARY))},
        class_counts=_class_counts(results.get("training_samples")),
        temperatures=_each("calibration", results),
        decisions=_each("decision", results),
        slices=results.get("slices"),
        sets=results.get("sets"),
        corruptions=_named("examples", results),
    )
    predictions = Predictions(
        test_samples.labels, test_samples.class_names, _each("predictions", results), _rules(results)
    )
    curves = [_curves(*named) for named in _named("sensitivity", results).items()]
    searches = [_searched(search) for search in _each("search", results).values()]
    return model_card(account), report_page(account, predictions, curves, searches)


def _class_counts(training_samples: EncodedSamples | None) -> dict[str, int]:
    """Return class -> training samples; nothing where the report does not tell them."""
    if training_samples is None:
        return {}
    names = training_samples.class_names
    counts = np.bincount(training_samples.labels, minlength=len(names)).tolist()
    return dict(zip(names, counts, strict=True))


def _rules(results: dict[str, Any]) -> dict[str, DecisionRule]:
    """Return candidate -> the rule of its classes; nothing where the likeliest class is the answer."""
    return {name: decision.rule for name, decision in _each("decision", results).items()}


def _each(kind: str, results: dict[str, Any]) -> dict[str, Any]:
    """Return candidate -> result of those called `CANDIDATE.kind`, but for those that failed."""
    return {name: result for name, result in _named(kind, results).items() if not isinstance(result, CandidateFailure)}


def _named(kind: str, results: dict[str, Any]) -> dict[str, Any]:
    return {key.rpartition(".")[0]: result for key, result in results.items() if key.endswith(f".{kind}")}


def _curves(base: str, measured: Sensitivity | CandidateFailure) -> Sensitivities:
    if isinstance(measured, CandidateFailure):
        return Sensitivities(base, "accuracy", 0, {}, measured.reason)
    curves = {group: [(point.ratio, point.metric) for point in points] for group, points in measured.curves.items()}
    return Sensitivities(base, measured.metric, measured.num_samples, curves)


def _searched(search: BudgetSearch) -> Searched:
    kept = "keeps the budget" if search.keeps_budget else "comes nearest to the budget, which none keeps"
    sentence = (
        f"{len(search.trials):,} chains were judged on the validation split as pruned and quantized, "
        f"{len(search.finalists):,} of them finetuned. The chosen one {kept}."
    )
    return Searched(search.candidate, sentence, plot_budget_search(search))
