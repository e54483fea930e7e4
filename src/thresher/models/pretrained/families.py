"""The encoders that a pretrained folder may hold, and what differs between them. No torch in here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Architecture = Mapping[str, Any]
"""The content of config.json."""


@dataclass(frozen=True)
class Family:
    """Where the parts of an encoder are, by the names that the transformers library gives them.

    Attributes:
        base: the encoder within the classifier, which is what precedes the other names.
        blocks: the list of its blocks.
        embeddings: what comes before the first block.
        words: the table of tokens.
        positions_after_padding: whether places are counted from the padding token's id on, as fairseq does: there are
            so many fewer of them.
    """

    base: str
    blocks: str = "encoder.layer"
    embeddings: tuple[str, ...] = ("embeddings",)
    words: str = "embeddings.word_embeddings.weight"
    positions_after_padding: bool = False


FAMILIES: dict[str, Family] = {
    "bert": Family("bert"),
    "deberta": Family("deberta"),
    "deberta-v2": Family("deberta"),
    "distilbert": Family("distilbert", blocks="transformer.layer"),
    "electra": Family("electra", embeddings=("embeddings", "embeddings_project")),
    "modernbert": Family("model", blocks="layers", words="embeddings.tok_embeddings.weight"),
    "roberta": Family("roberta", positions_after_padding=True),
    "xlm-roberta": Family("roberta", positions_after_padding=True),
}
"""`model_type` in config.json -> its family."""


def first_of(architecture: Architecture, *keys: str) -> int | None:
    """Return the first of ``keys`` that ``architecture`` gives as a whole number: families name their sizes each."""
    found = (architecture.get(key) for key in keys)
    return next((value for value in found if isinstance(value, int) and not isinstance(value, bool)), None)


def num_blocks(architecture: Architecture) -> int | None:
    """Return the number of blocks; None where config.json leaves it to the family's default."""
    return first_of(architecture, "num_hidden_layers", "n_layers")


def embedding_width(architecture: Architecture) -> int | None:
    """Return the length of a token's vector; None where config.json leaves it to the family's default."""
    return first_of(architecture, "embedding_size", "hidden_size", "dim")


def longest_text(architecture: Architecture, padding: int) -> int | None:
    """Return how many tokens of a text the model has places for; None where config.json does not say it."""
    positions = first_of(architecture, "max_position_embeddings")
    family = FAMILIES[architecture["model_type"]]
    return positions - padding - 1 if positions is not None and family.positions_after_padding else positions
