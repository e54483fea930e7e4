"""The encoders that a pretrained folder may hold, and what differs between them. No torch in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

Architecture = Mapping[str, Any]
"""The content of config.json."""


@dataclass(frozen=True)
class Family:
    """Where the parts of an encoder are, by the names that the transformers library gives them.

    Attributes:
        base: the encoder within the classifier, which is what precedes the other names.
        blocks: the list of its blocks; of networks that have stages, of these.
        blocks_in_file: what files call it, where that is something else.
        embeddings: what comes before the first block.
        words: the table of tokens.
        stem: the first convolution, of an encoder of images.
        positions_after_padding: whether places are counted from the padding token's id on, as fairseq does: there are
            so many fewer of them.
        has_places: whether it takes images of the size in its config alone.
        num_blocks: of its blocks, where that is not for a config to say.
        fixed: the ends of the names of layers that no pruning touches.
        sizes_itself: whether blocks set numbers of theirs by the first image that they see.
    """

    base: str
    blocks: str = "encoder.layer"
    blocks_in_file: str = ""
    embeddings: tuple[str, ...] = ("embeddings",)
    words: str = "embeddings.word_embeddings.weight"
    stem: str = ""
    positions_after_padding: bool = False
    has_places: bool = False
    num_blocks: int | None = None
    fixed: tuple[str, ...] = ()
    sizes_itself: bool = False

    @property
    def takes(self) -> str:
        """The modality."""
        return "image" if self.stem else "text"


PATCHES = "embeddings.patch_embeddings.projection.weight"
FAMILIES: dict[str, Family] = {
    "bert": Family("bert"),
    "deberta": Family("deberta"),
    "deberta-v2": Family("deberta"),
    "distilbert": Family("distilbert", blocks="transformer.layer"),
    "electra": Family("electra", embeddings=("embeddings", "embeddings_project")),
    "modernbert": Family("model", blocks="layers", words="embeddings.tok_embeddings.weight"),
    "roberta": Family("roberta", positions_after_padding=True),
    "xlm-roberta": Family("roberta", positions_after_padding=True),
    "convnext": Family("convnext", blocks="encoder.stages", stem="embeddings.patch_embeddings.weight"),
    "convnextv2": Family("convnextv2", blocks="encoder.stages", stem="embeddings.patch_embeddings.weight"),
    "deit": Family("deit", "layers", "encoder.layer", stem=PATCHES, has_places=True),
    "efficientnet": Family("efficientnet", blocks="encoder.blocks", stem="embeddings.convolution.weight"),
    "mobilenet_v1": Family(
        "mobilenet_v1", "layer", embeddings=("conv_stem",), stem="conv_stem.convolution.weight", num_blocks=26
    ),
    "mobilenet_v2": Family(
        "mobilenet_v2",
        "layer",
        embeddings=("conv_stem",),
        stem="conv_stem.first_conv.convolution.weight",
        num_blocks=16,
    ),
    "resnet": Family("resnet", "encoder.stages", embeddings=("embedder",), stem="embedder.embedder.convolution.weight"),
    # A bias for each head and place is added to what they make: a table, which is not cut with them.
    "swin": Family(
        "swin", blocks="encoder.layers", stem=PATCHES, fixed=(".q_proj", ".k_proj", ".v_proj"), sizes_itself=True
    ),
    "vit": Family("vit", "layers", "encoder.layer", stem=PATCHES, has_places=True),
}
"""`model_type` in config.json -> its family."""


def first_of(architecture: Architecture, *keys: str) -> int | None:
    """Return the first of ``keys`` that ``architecture`` gives as a whole number: families name their sizes each."""
    found = (architecture.get(key) for key in keys)
    return next((value for value in found if isinstance(value, int) and not isinstance(value, bool)), None)


def num_blocks(architecture: Architecture) -> int | None:
    """Return the number of blocks; None where config.json leaves it to the family's default."""
    family, stages = FAMILIES[architecture["model_type"]], architecture.get("depths")
    if family.num_blocks is not None:
        return family.num_blocks
    if isinstance(stages, Sequence):
        return len(stages)
    if architecture["model_type"] == "efficientnet":
        repeats, factor = architecture.get("num_block_repeats"), architecture.get("depth_coefficient")
        if not isinstance(repeats, Sequence) or not isinstance(factor, (int, float)):
            return None
        count: int = sum(ceil(factor * repeat) for repeat in repeats)
        return count
    return first_of(architecture, "num_hidden_layers", "n_layers")


def only_size(architecture: Architecture) -> tuple[int, int] | None:
    """Return height and width of the images that the model takes; None where it takes any, or config.json is silent."""
    said = architecture.get("image_size")
    if not FAMILIES[architecture["model_type"]].has_places and not architecture.get("use_absolute_embeddings"):
        return None
    sides = tuple(said) if isinstance(said, Sequence) else (said, said)
    return sides if len(sides) == 2 and all(isinstance(side, int) for side in sides) else None


def embedding_width(architecture: Architecture) -> int | None:
    """Return the length of a token's vector; None where config.json leaves it to the family's default."""
    return first_of(architecture, "embedding_size", "hidden_size", "dim")


def longest_text(architecture: Architecture, padding: int) -> int | None:
    """Return how many tokens of a text the model has places for; None where config.json does not say it.

    Of a family that is not known it cannot: some count from the padding token's id on.
    """
    positions = first_of(architecture, "max_position_embeddings")
    family = FAMILIES.get(architecture.get("model_type", ""))
    if positions is None or family is None:
        return None
    return positions - padding - 1 if family.positions_after_padding else positions
