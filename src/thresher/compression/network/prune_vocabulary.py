"""Pruning of the vocabulary: tokens that the training split does not use lose their rows of the embedding."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from thresher.compression.data import CompressionData
from thresher.config import KindConfig
from thresher.errors import CompressionError
from thresher.events import Step, emit
from thresher.modalities.text.model_input import TextInput

if TYPE_CHECKING:
    import torch

    from thresher.compression.network.token_table import TokenTable
    from thresher.models.network import Network

ROWS_AT_ONCE = 1024
TRIED = (1, 2, 3, 5, 8, 13, 21, 34)
MOST_LOST = 0.2
"""The share of the training split's tokens that a search may leave without a row of their own."""
EXAMPLES = 8
"""Training samples whose answers must stay what they were."""


class PruneVocabulary(KindConfig):
    """Remove the embedding's rows of tokens that the training split does not use; the tokenizer stays what it is.

    A token without a row of its own has from then on that of the token whose row was most like its own.
    """

    kind: Literal["prune_vocabulary"] = "prune_vocabulary"
    min_count: int = Field(default=1, ge=1)
    """Occurrences in the training split with which a token keeps its row."""
    keep_rare: int = Field(default=0, ge=0)
    """So many of the others keep theirs, too: those that occur most, then those that stand first in the vocabulary, as
    most vocabularies begin with what is common. Texts to come have tokens that the training split does not."""


def prune_vocabulary(network: Network, config: PruneVocabulary, data: CompressionData) -> Network:
    """Return a copy of ``network`` whose table of tokens has rows for those alone that the training split uses.

    A token that loses its row has that of the kept one whose row has the largest cosine with it. Padding, the unknown
    and other special tokens of the tokenizer keep theirs. How many tokens of the validation split have lost theirs is
    said.

    Raises:
        CompressionError: no table that can be cut, one that was cut before, or no row that would go.
    """
    import torch

    from thresher.models.vocabulary import KeptRows, share_rows

    smaller = copy.deepcopy(network).eval()
    table = _find_table(smaller, data)
    keeps = _kept_rows(table, config, data)
    if keeps.all():
        often = "once" if config.min_count == 1 else f"{config.min_count} times"
        rare = f", or is one of {config.keep_rare:,} others that are kept" if config.keep_rare else ""
        advice = "Raise min_count, lower keep_rare" if config.keep_rare else "Raise min_count"
        raise CompressionError(
            f"{data.candidate}: prune_vocabulary: each of the {len(keeps):,} rows of {table.name} is used {often} or "
            f"more in the training split{rare}. {advice}, or leave it out."
        )
    numbers, padding = keeps.cumsum(0) - 1, table.padding
    num_met, num_lost = _count_lost(table, keeps, data)
    kept = KeptRows(
        table=table.name,
        rows=int(keeps.sum()),
        padding=None if padding is None else int(numbers[padding]),
        before=len(keeps),
        num_met=num_met,
        num_lost=num_lost,
    )
    numbers[~keeps] = _most_alike(table.weight[~keeps], table.weight[keeps], kept.padding)
    shared = share_rows(smaller.body, kept)
    with torch.no_grad():
        shared.row_of.copy_(numbers)
        shared.rows.weight.copy_(table.weight[keeps])
    smaller.spec = network.spec.model_copy(update={"kept_rows": kept})
    smaller.spec = smaller.spec.model_copy(update={"channel_plan": smaller.channel_plan()})
    emit(Step(f"prune_vocabulary keeps {kept.words}"))
    return smaller


def find_min_counts(network: Network, data: CompressionData) -> tuple[int, ...]:
    """Return each `min_count` worth trying: the rows that go are more than with the one before.

    Raises:
        CompressionError: as `prune_vocabulary` does, also where none would remove a row of few enough tokens.
    """
    table = _find_table(copy.deepcopy(network).eval(), data)
    counts = table.count(data.training_samples.inputs)
    counts[_text(data).padding] = 0
    found, rows = list[int](), len(counts)
    for min_count in TRIED:
        keeps = _kept_rows(table, PruneVocabulary(min_count=min_count), data)
        if counts[(~keeps).numpy()].sum() <= MOST_LOST * counts.sum() and keeps.sum() < rows:
            found.append(min_count)
            rows = int(keeps.sum())
    if not found:
        raise CompressionError(
            f"{data.candidate}: prune_vocabulary: the training split makes some use of every row of "
            f"{table.name}. Leave it out."
        )
    return tuple(found)


def _find_table(network: Network, data: CompressionData) -> TokenTable:
    from thresher.compression.network.token_table import find_token_table

    if network.spec.kept_rows is not None:
        raise CompressionError(f"{data.candidate}: prune_vocabulary was applied already. Remove the second step.")
    table = find_token_table(network, data.training_samples.inputs[:EXAMPLES])
    if isinstance(table, str):
        raise CompressionError(f"{data.candidate}: prune_vocabulary cannot cut this network: {table}. Leave it out.")
    return table


def _kept_rows(table: TokenTable, config: PruneVocabulary, data: CompressionData) -> torch.Tensor:
    """Return a bool [V], true for the rows that stay."""
    import torch

    counts = torch.from_numpy(table.count(data.training_samples.inputs))
    keeps = counts >= config.min_count
    reserved = (_text(data).padding, _text(data).unknown, table.padding)
    keeps[[token for token in reserved if token is not None]] = True
    rare = counts.masked_fill(keeps, -1).argsort(descending=True, stable=True)[: int((~keeps).sum())]
    keeps[rare[: config.keep_rare]] = True
    return keeps


def _text(data: CompressionData) -> TextInput:
    assert isinstance(data.input, TextInput)
    return data.input


def _most_alike(gone: torch.Tensor, kept: torch.Tensor, padding: int | None) -> torch.Tensor:
    """Return for each row of ``gone`` the place of the row of ``kept`` that has the largest cosine with it.

    Never that of the padding, which stands for no token at all.
    """
    import torch
    from torch.nn import functional as F

    directions = F.normalize(kept, dim=1)
    places = []
    for rows in gone.split(ROWS_AT_ONCE):
        cosines = F.normalize(rows, dim=1) @ directions.T
        if padding is not None:
            cosines[:, padding] = -torch.inf
        places.append(cosines.argmax(dim=1))
    return torch.cat(places)


def _count_lost(table: TokenTable, keeps: torch.Tensor, data: CompressionData) -> tuple[int, int]:
    """Return how many tokens the validation split has, padding aside, and how many of them have lost their row."""
    counts = table.count(data.validation_samples.inputs)
    counts[_text(data).padding] = 0
    return int(counts.sum()), int(counts[(~keeps).numpy()].sum())
