"""What a training came to, epoch by epoch."""

from __future__ import annotations

from thresher.config import Config


class Epoch(Config):
    """What one epoch came to; losses are means over samples."""

    epoch: int
    step: int
    """Optimizer steps done at its end."""
    training_loss: float
    validation_loss: float
    """The validation loss without label smoothing and class weights; of a regression, in variances of the labels."""
    validation_metric: float
    """What `TrainingHistory.metric` says: a share from 0 to 1, or an error in the label's own unit."""
    seconds: float
    best_by: float | None = None
    """What `training.best_by` names, where that is a metric."""


class TrainingHistory(Config):
    """Every epoch of one training, in order, and the one whose weights were kept."""

    device: str
    metric: str
    """accuracy (classification) or rmse (regression)."""
    epochs: tuple[Epoch, ...]
    best_epoch: int
    """Whose weights were kept."""
    best_by: str = "loss"
    """What said which epoch is best."""

    @property
    def kept(self) -> Epoch:
        """The epoch whose weights were kept."""
        return self.epochs[self.best_epoch - 1]


class RangeTest(Config):
    """The loss at each rate, and the rate that was chosen."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    """Smoothed, each of the batch at the rate."""
    learning_rate: float
