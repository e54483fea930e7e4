"""Pictures of how a training was chosen."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from thresher.training.history import RangeTest
from thresher.training.hpo import WORST

if TYPE_CHECKING:
    import optuna
    from matplotlib.figure import Figure

CHOSEN = "#1b7f3b"


def plot_range_test(result: RangeTest) -> Figure:
    """Return the loss over the learning rate, with the rate that was chosen."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axis = figure.subplots()
    axis.plot(result.rates, result.losses, color="#2f5f9e")
    axis.axvline(result.learning_rate, color=CHOSEN, linestyle="--", label=f"chosen: {result.learning_rate:.2g}")
    axis.set_xscale("log")
    # What follows the explosion says nothing and would flatten what comes before.
    axis.set_ylim(min(result.losses) * 0.95, result.losses[0] * 1.25)
    axis.set_xlabel("learning rate")
    axis.set_ylabel("smoothed training loss")
    axis.set_title("Learning-rate range test")
    axis.grid(alpha=0.2)
    axis.legend(frameon=False)
    return figure


def plot_search(study: optuna.Study) -> Figure:
    """Return the parallel coordinates of all trials that ended with a finite loss."""
    import optuna
    from matplotlib.figure import Figure
    from optuna.trial import TrialState

    shown = optuna.create_study()
    shown.add_trials([trial for trial in study.get_trials(states=(TrialState.COMPLETE,)) if trial.value != WORST])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna calls its own plots experimental
        axes = optuna.visualization.matplotlib.plot_parallel_coordinate(shown, target_name="validation loss")
    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.set_size_inches(11, 5)
    figure.subplots_adjust(left=0.07, right=1.0, bottom=0.25)
    axes.set_title("Trials of the search")
    return figure
