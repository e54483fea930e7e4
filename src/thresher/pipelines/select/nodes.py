"""The nodes of the selection stage."""

from __future__ import annotations

from thresher.evaluation.selection import Selection
from thresher.modalities.fingerprint import DataFingerprint
from thresher.models import ModelChoice
from thresher.pipelines.types import Evaluation, Figure, Verdict
from thresher.training import Training


def judge_candidates(name: str, selection: Selection, *evaluations: Evaluation) -> Verdict:
    """Return the verdict over all candidates, in the order of the recipe; nobody qualifying is one, too."""
    from thresher.evaluation.verdict import judge

    return judge(name, {evaluation.candidate: evaluation for evaluation in evaluations}, selection)


def draw_verdict(verdict: Verdict) -> Figure:
    """Return the plot of accuracy, or RMSE, over latency and size."""
    from thresher.evaluation.plots import plot_verdict

    return plot_verdict(verdict)


def write_model_card(
    verdict: Verdict,
    fingerprint: DataFingerprint,
    description: str,
    model: ModelChoice,
    training: Training,
    asked: Training,
) -> str:
    """Return the model card in Markdown: what it is for, what it was made and judged on, every figure.

    Args:
        training: what the model was trained with.
        asked: what the recipe says, which may leave some of it to a search or a range test.
    """
    from thresher.evaluation.card import model_card

    return model_card(verdict, fingerprint, description, model, training, found=training != asked)
