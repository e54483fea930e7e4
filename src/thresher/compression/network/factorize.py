"""Low-rank factorization: a layer becomes two smaller ones whose product comes near it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from thresher.compression.data import CompressionData
from thresher.compression.layer_names import match_values
from thresher.config import KindConfig
from thresher.errors import CompressionError
from thresher.events import Step, emit

if TYPE_CHECKING:
    from torch import nn

    from thresher.compression.network.decomposition import Decomposition
    from thresher.models.low_rank import LowRank
    from thresher.models.network import Network

DEFAULT_ENERGY = 0.9
LARGE = 1_000_000
"""Weights of a layer, from which on a singular value decomposition takes seconds to minutes."""


class Factorize(KindConfig):
    """Split linear layers and convolutions by a truncated singular value decomposition.

    A layer is split only where that saves parameters. Embeddings, recurrent layers and grouped convolutions stay whole.
    """

    kind: Literal["factorize"] = "factorize"
    energy: float | None = Field(default=None, gt=0, le=1)
    """Share of the squared singular values that each layer keeps; 0.9 where neither this nor rank_share is given."""
    rank_share: float | None = Field(default=None, gt=0, lt=1)
    """The share of its full rank that each layer keeps, rounded to a whole rank of at least 1, in place of `energy`."""
    ranks: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    """Layer -> its own rank; 0 leaves it whole. In a name, * and ? stand for any letters; a layer that such a one means
    stays whole where two of that rank would not be smaller. The layer that makes the outputs is split only where its
    own name is given."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_energy(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("energy") is None and given.get("rank_share") is None:
            return {**given, "energy": DEFAULT_ENERGY}
        return given

    @model_validator(mode="after")
    def _has_one_measure(self) -> Factorize:
        if self.energy is not None and self.rank_share is not None:
            raise ValueError("give one of energy and rank_share")
        return self


def factorize(network: Network, config: Factorize, data: CompressionData) -> Network:
    """Return a copy of ``network`` whose layers are split where that saves weights; biases stay what they are.

    A weight W [outputs, inputs * places of the kernel] becomes B A, the nearest matrix of its rank (Eckart and Young
    1936). A is a layer of that many outputs, of a convolution with the whole kernel, and B a linear layer or 1x1
    convolution upon it: the scheme of Zhang et al., "Accelerating Very Deep Convolutional Networks for Classification
    and Detection", TPAMI 2016, without their fit to the layer's responses. What was split before is split anew, from
    its product. Layers that hold zeros, as `prune_weights` leaves them, stay whole: a product has none.

    Raises:
        CompressionError: no layer can be split with a gain, or a name or rank in `ranks` with which that is so.
    """
    smaller = copy.deepcopy(network).eval()
    ranks, whole = _split_layers(smaller, config, data)
    if not ranks:
        kept = "; ".join(f"{name}: {reason}" for name, reason in whole.items()) or "it has no such layer"
        raise CompressionError(
            f"{data.candidate}: factorize splits no layer of this network ({kept}). Lower energy or rank_share, or put "
            "factorize before prune_weights."
        )
    emit(Step(_describe_which(ranks, whole)))
    smaller.spec = network.spec.model_copy(update={"ranks": network.spec.ranks | ranks})
    smaller.spec = smaller.spec.model_copy(update={"channel_plan": smaller.channel_plan()})
    return smaller


def _split_layers(smaller: Network, config: Factorize, data: CompressionData) -> tuple[dict[str, int], dict[str, str]]:
    """Split layers of ``smaller`` in place; return name -> rank, and name -> why it stays whole."""
    from thresher.compression.network.decomposition import find_splittable, is_pruned

    layers, output = find_splittable(smaller.body), smaller.output_layer()
    asked = match_values(config.ranks, list(layers), f"{data.candidate}: factorize.ranks")
    ranks: dict[str, int] = {}
    whole: dict[str, str] = {}
    for name, layer in layers.items():
        if sum(weight.numel() for weight in layer.parameters()) >= LARGE:
            emit(Step(f"{config.kind}: decomposing {name}, which may take a while"))
        if name not in config.ranks and output in layer.modules():
            whole[name] = "it makes the outputs"
        elif asked.get(name) == 0:
            whole[name] = "rank 0"
        elif is_pruned(layer):
            whole[name] = "it holds zeros of prune_weights"
        elif (split := _split(name, layer, asked.get(name), config, data)) is None:
            whole[name] = "it would not be smaller"
        else:
            smaller.body.set_submodule(name, split)
            ranks[name] = split.rank
    return ranks, whole


def _split(name: str, layer: nn.Module, asked: int | None, config: Factorize, data: CompressionData) -> LowRank | None:
    """Return the two layers in place of ``layer``, None where they would not be smaller."""
    from thresher.compression.network.decomposition import Decomposition

    parts = Decomposition(layer)
    if asked is not None and asked > parts.largest and name in config.ranks:
        raise CompressionError(
            f"{data.candidate}: factorize.ranks: {name} in rank {asked} has no fewer weights than it has now. "
            + (f"Give at most {parts.largest}." if parts.largest else "Give 0.")
        )
    rank = _choose_rank(parts, config) if asked is None else asked
    return parts.split(rank) if rank <= parts.largest else None


def _choose_rank(parts: Decomposition, config: Factorize) -> int:
    if config.rank_share is not None:
        return max(1, round(config.rank_share * parts.full))
    assert config.energy is not None
    return parts.rank_for(config.energy)


def _describe_which(ranks: dict[str, int], whole: dict[str, str]) -> str:
    split = ", ".join(f"{name} in rank {rank}" for name, rank in ranks.items())
    left = "; whole stay " + ", ".join(f"{name} ({reason})" for name, reason in whole.items()) if whole else ""
    return f"factorize: {split}{left}"
