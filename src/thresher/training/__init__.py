"""What a recipe says of training; the code stands in the modules beside."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from thresher.config import Config
from thresher.kinds.metric_names import ComputedMetric
from thresher.training.augmentation import Augmentation
from thresher.training.execution import Execution
from thresher.training.hpo_space import Search
from thresher.training.optimizers import Adam, Optimizer, measures_steps
from thresher.training.schedules import Constant, Schedule

BatchSize = Annotated[int, Field(ge=1)] | Literal["full"]


def balances(training: Training) -> bool:
    """Return whether samples count otherwise in ``training`` than by their number."""
    return bool(training.class_weights or training.sampling or training.focal_gamma)


class Training(Config):
    """How the float model is trained, and what finetuning starts from."""

    optimizer: Optimizer = Field(default_factory=Adam)
    learning_rate: Literal["auto"] | None = None
    """auto: a range test before the training finds the rate, in place of optimizer.lr."""
    schedule: Schedule = Field(default_factory=Constant)
    """How the learning rate goes from step to step."""
    epochs: int = Field(default=10, ge=1, le=100_000)
    """Passes over the training split."""
    batch_size: BatchSize = Field(default=128, union_mode="left_to_right")
    """Samples a step; "full" is batch gradient descent, 1 is stochastic."""
    group_by_length: bool = False
    """Put texts or series of like length into one batch, so that little of it is padding: up to twice as fast."""
    accumulation: int = Field(default=1, ge=1, le=65536)
    """Parts that a batch goes through the network in, their gradients summed: the same step in less memory.

    A part that does not fit into memory is halved, and so on; the batch stays what it is.
    """
    augmentation: tuple[Augmentation, ...] = ()
    """Done to every batch of images, in order, at random; never in validation."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the target that is spread over all classes (Szegedy et al. 2016)."""
    class_weights: Literal["balanced"] | None = None
    """balanced: a class counts by the inverse of its share of the training split."""
    sampling: Literal["balanced"] | None = None
    """balanced: samples are drawn anew for every epoch, with replacement, each class equally often; an epoch takes as
    many as there are."""
    focal_gamma: float | None = Field(default=None, gt=0, le=10)
    """Focal loss in place of cross-entropy: a sample counts by this power of what its class's probability lacks to 1,
    so that those that are right already count little (Lin et al. 2017)."""
    clip_norm: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """The longest that the gradient of all weights together may be."""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Decay a step of an exponential moving average of the weights, which is what is validated and kept."""
    early_stopping: int | None = Field(default=None, ge=1)
    """Epochs without a better validation after which training ends."""
    keep: Literal["best", "last"] = "best"
    """Whose weights are kept: those of the best epoch on the validation split, or the last epoch's."""
    best_by: Annotated[str, ComputedMetric(("loss",))] = "loss"
    """What says which epoch is best, for keep and early_stopping: the validation loss, or a metric of quality."""
    seed: int = Field(default=1, ge=0, lt=2**63)
    """The seed of the split, the initial weights, the order of the samples, augmentation and dropout."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes CUDA where there is a GPU, else the CPU."""
    precision: Literal["fp32", "bf16", "fp16", "auto"] = "fp32"
    """The precision of the forward and backward passes; weights stay in fp32. auto: bf16 where it trains the
    model at least 1.5 times as fast in a timed trial on this machine, else fp32; which it was is said and kept."""
    activation_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them: less memory, more time."""
    execution: Execution = Field(default_factory=Execution)
    """What changes speed and not the outcome but for its last bits."""
    memory_limit_mb: int | None = Field(default=None, ge=1)
    """Samples that take more than this are read from disk batch by batch; half of what is free by default."""
    checkpoint_seconds: float = Field(default=30.0, gt=0)
    """How often the state of a training is written, besides after every epoch."""
    search: Search | None = None
    """Trainings with other settings first; the one that counts uses the best of them."""

    @model_validator(mode="after")
    def _best_of_something(self) -> Training:
        if self.best_by != "loss" and self.keep == "last" and self.early_stopping is None:
            raise ValueError("best_by says nothing where the last epoch is kept and nothing stops early; leave it out")
        return self

    @model_validator(mode="after")
    def _balances_once(self) -> Training:
        if self.sampling is not None and self.class_weights is not None:
            raise ValueError("sampling and class_weights both make classes count alike; leave out one of them")
        if self.focal_gamma is not None and self.label_smoothing:
            raise ValueError("focal_gamma needs one right class, which label_smoothing spreads; leave out one of them")
        if self.sampling is not None and self.group_by_length:
            raise ValueError("sampling draws samples without regard to their length; leave out group_by_length")
        return self

    @model_validator(mode="after")
    def _one_loss_where_steps_are_measured(self) -> Training:
        if measures_steps(self.optimizer) and self.clip_norm is not None:
            raise ValueError(f"{self.optimizer.kind} measures its steps by the gradient as it is; leave out clip_norm")
        if measures_steps(self.optimizer) and self.precision == "fp16":
            raise ValueError(
                f"{self.optimizer.kind} does without the scaled loss that fp16 needs; use precision fp32 or bf16"
            )
        return self
