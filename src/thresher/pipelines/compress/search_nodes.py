"""The nodes of a candidate whose chain is searched for."""

from __future__ import annotations

from typing import Any

from thresher.candidate_failure import CandidateFailure, attempt
from thresher.compression.candidate import NamedCandidate
from thresher.compression.data import CompressionData
from thresher.evaluation import Measurement
from thresher.modalities import AnyEncoder
from thresher.modalities.samples import EncodedSamples
from thresher.pipelines.types import Checkpoints, Figure, Network
from thresher.process_state import shared_access
from thresher.search.plots import plot_budget_search
from thresher.search.result import BudgetSearch, Sensitivity
from thresher.training import Training
from thresher.training.execution import ChosenExecution


def measure_sensitivity(
    network: Network,
    encoder: AnyEncoder,
    training_samples: EncodedSamples,
    validation_samples: EncodedSamples,
    training: Training,
) -> Sensitivity | CandidateFailure:
    """Return how much of its quality a network loses with each layer's channels, one layer at a time."""
    from thresher.search import sensitivity

    def make() -> Sensitivity:
        data = CompressionData("sensitivity", encoder.model_input, training_samples, validation_samples, training)
        with shared_access():
            return sensitivity.measure_sensitivity(network, data)

    return attempt("sensitivity", measure_sensitivity.__name__, make, network)


def search_chain(
    base: Network,
    float_onnx_file: bytes,
    encoder: AnyEncoder,
    training_samples: EncodedSamples,
    validation_samples: EncodedSamples,
    candidate: NamedCandidate,
    training: Training,
    execution: ChosenExecution,
    checkpoints: Checkpoints,
    evaluation: Measurement,
    *more: Any,
) -> tuple[NamedCandidate | CandidateFailure, BudgetSearch | CandidateFailure, Figure | CandidateFailure]:
    """Return the candidate with the steps that a search finds, all that it judged, and the plot of it.

    Args:
        more: the sensitivity of ``base``, where channels may go; then the networks of ``candidate.teachers``.
    """
    from thresher.search import chain_search
    from thresher.training.loop import torch_threads

    def make() -> tuple[NamedCandidate, BudgetSearch, Figure]:
        assert candidate.search is not None
        curves, teachers = (more[0], more[1:]) if candidate.search.prunes else (None, more)
        known = dict(zip(candidate.teachers, teachers, strict=True))
        samples = (training_samples, validation_samples)
        data = CompressionData(candidate.name, encoder.model_input, *samples, training, execution, checkpoints, known)
        task = chain_search.SearchTask(candidate, base, float_onnx_file, data, evaluation, curves)
        with shared_access(), torch_threads(execution.threads):
            found, result = chain_search.search_chain(task)
        return found, result, plot_budget_search(result)

    made = attempt(candidate.name, search_chain.__name__, make, base, *more)
    return (made, made, made) if isinstance(made, CandidateFailure) else made
