"""What a recipe says of a search for a chain of techniques; the search itself stands in `thresher.search`."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from thresher.compression import ImportanceKind
from thresher.compression.network.finetune import Distill, Finetune
from thresher.config import Config
from thresher.kinds.field import NameOf
from thresher.kinds.record import TechniqueKind

Searched = Annotated[str, NameOf(TechniqueKind, "is_searchable")]
"""The name of a kind that a search can put into a chain."""
CostBudget = Literal["size_bytes", "latency_us"]
COST_BUDGETS: tuple[CostBudget, ...] = get_args(CostBudget)


class Budget(Config):
    """What the chain that is found may cost at most. Of several, each must be kept."""

    size_bytes: int | None = Field(default=None, gt=0)
    """The size of the ONNX file, in bytes."""
    latency_us: float | None = Field(default=None, gt=0)
    """Median time of a call on this machine, at the first of evaluation.batch_sizes."""
    accuracy_drop: float | None = Field(default=None, ge=0, lt=1)
    """Against float on the validation split: the upper bound of its interval at 95 %."""
    rmse_increase: float | None = Field(default=None, ge=0)
    """The same for a regression, in the label's unit."""

    @model_validator(mode="after")
    def _has_one(self) -> Budget:
        if not self.model_dump(exclude_none=True):
            raise ValueError(f"give at least one of {', '.join(type(self).model_fields)}")
        return self

    @property
    def costs(self) -> dict[CostBudget, float]:
        """The bounds on what a model costs, by their names."""
        return {name: bound for name in COST_BUDGETS if (bound := getattr(self, name)) is not None}

    @property
    def loss(self) -> float | None:
        """The bound on what a model may lose in quality."""
        return self.accuracy_drop if self.rmse_increase is None else self.rmse_increase


class CandidateSearch(Config):
    """A search for the chain that keeps a budget: the least costly where quality is bound, else the best one.

    Chains are first judged as they are, without finetuning; the promising ones are finetuned and judged again. All on
    the validation split: the test split is the verdict's alone.
    """

    budget: Budget
    minimize: Literal["size_bytes", "latency_us", "macs"] = "size_bytes"
    """What is to be least where the budget bounds the quality."""
    techniques: tuple[Searched, ...] = Field(default=("prune_channels", "quantize_static"), min_length=1)
    """Kinds that the chain may be made of, in any number of them."""
    importance: tuple[ImportanceKind, ...] = Field(default=("l2",), min_length=1)
    """Ways to choose the channels to remove, of which the search finds the best."""
    round_to: Annotated[int, Field(ge=1, le=256)] | Literal["auto"] = Field(default=1, union_mode="left_to_right")
    """Keep a multiple of this many channels; auto: as `prune_channels` does by default."""
    finetune: Finetune = Finetune(epochs=4, distill=Distill())
    """How the promising chains are trained on."""
    trials: int = Field(default=40, ge=1, le=100_000)
    """Chains to judge without finetuning; an interrupted search goes on with the next."""
    finalists: int = Field(default=5, ge=1, le=1000)
    """Chains to finetune, at most."""
    minutes: float | None = Field(default=None, gt=0)
    """After which nothing further is begun; a search that this ends may come out differently on another day."""

    @property
    def prunes(self) -> bool:
        """Whether the chain may remove channels."""
        return "prune_channels" in self.techniques

    @property
    def factorizes(self) -> bool:
        """Whether the chain may split layers in two of low rank."""
        return "factorize" in self.techniques

    @property
    def cuts_vocabulary(self) -> bool:
        """Whether the chain may remove rows of the table of tokens."""
        return "prune_vocabulary" in self.techniques

    @property
    def drops(self) -> bool:
        """Whether the chain may leave out whole blocks."""
        return "drop_layers" in self.techniques
