"""Heavy types by names that Kedro can resolve without importing what they stand for.

Kedro reads a node's annotations to type its parameters, when the pipeline is built: `kedro registry list`, and a
recipe's errors, must not pay for torch by that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from thresher.evaluation.baseline import Baseline
    from thresher.evaluation.evaluation import Contender, Evaluation
    from thresher.evaluation.exported import ExportedQuality
    from thresher.evaluation.promotion_gate import Challenge
    from thresher.evaluation.slices import SliceComparison
    from thresher.evaluation.verdict import Verdict
    from thresher.models.imported.findings import Imported
    from thresher.models.network import Network
    from thresher.search.result import BudgetSearch, Sensitivity
    from thresher.training.checkpoints import Checkpoints
    from thresher.training.history import RangeTest, TrainingHistory
    from thresher.training.hpo import SearchResult
else:
    Baseline = Figure = DataFrame = Challenge = Contender = Evaluation = Verdict = Network = TrainingHistory = object
    ExportedQuality = Imported = Checkpoints = RangeTest = SearchResult = BudgetSearch = Sensitivity = (
        SliceComparison
    ) = object

__all__ = [
    "Baseline",
    "BudgetSearch",
    "Challenge",
    "Checkpoints",
    "Contender",
    "DataFrame",
    "Evaluation",
    "ExportedQuality",
    "Figure",
    "Imported",
    "Network",
    "RangeTest",
    "SearchResult",
    "Sensitivity",
    "SliceComparison",
    "TrainingHistory",
    "Verdict",
]
