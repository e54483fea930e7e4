"""A pretrained folder held against the encoder whose tokens or pictures a student takes. No torch in here."""

from __future__ import annotations

import json
from typing import Any

from thresher.errors import DataError
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.model_input import ModelInput
from thresher.modalities.text.model_input import TextInput
from thresher.modalities.text.pretrained import read_tokenizer
from thresher.models.pretrained.check import check_fits, check_positions, check_weights, read_architecture
from thresher.models.pretrained.config import Pretrained
from thresher.models.pretrained.families import first_of, only_size
from thresher.models.pretrained.folder import CONFIG, PretrainedFolder

PARTS = ("model", "added_tokens", "normalizer", "pre_tokenizer")
"""What of a tokenizer's document decides on the tokens of a text, but for those that stand around it."""
PROBE, RGB = "a b", 3
DRAWN = "take the architecture alone: student: {kind: pretrained, init: random}"


def check_student(
    folder: PretrainedFolder, config: Pretrained, modality: str, given: ModelInput | None, tokenizer: str | None
) -> None:
    """Check that a student of ``folder`` can take what the recipe's encoder makes, as far as that is known.

    Args:
        given: what the encoder makes; None where that is not known yet.
        tokenizer: the encoder's, as the JSON document of the `tokenizers` library.

    Raises:
        DataError: a folder that is no encoder's of this modality, other tokens, texts too long for it, pictures of
            another size or of other channels.
    """
    architecture = read_architecture(folder)
    check_fits(folder, architecture, config, modality)
    check_weights(folder, architecture, config)
    if isinstance(given, TextInput):
        if config.init == "weights":
            _check_same_tokens(folder, given, tokenizer)
        check_positions(folder, architecture, given.padding, given.max_length)
    elif isinstance(given, ImageInput):
        channels, size = first_of(architecture, "num_channels"), only_size(architecture)
        wanted = (channels or RGB, *(size or (given.height, given.width)))
        if wanted != given.longest:
            raise DataError(
                f"{folder.name}: takes pictures of {_describe(wanted)}, and is given {_describe(given.longest)}. "
                f"Fix: another folder, or with init: random other num_channels and image_size in {CONFIG}."
            )


def student_architecture(folder: PretrainedFolder, config: Pretrained, given: ModelInput) -> dict[str, Any]:
    """Return the encoder of ``folder``; one whose weights are drawn has a row for each token of ``given``."""
    architecture = read_architecture(folder)
    if config.init == "random" and isinstance(given, TextInput):
        architecture |= {"vocab_size": given.vocabulary_size, "pad_token_id": given.padding}
    return architecture


def _describe(size: tuple[int, ...]) -> str:
    channels, height, width = size
    return f"{height}x{width} pixels and {channels} channel{'s' * (channels > 1)}"


def _check_same_tokens(folder: PretrainedFolder, given: TextInput, tokenizer: str | None) -> None:
    own = read_tokenizer(folder.files, given.max_length, folder.name)
    other = "the encoder's is none that a folder brought along" if tokenizer is None else ""
    if tokenizer is not None and (differing := _differences(own.document, tokenizer)):
        other = f"it differs in {', '.join(differing)}"
    if not other and own.padding != given.padding:
        other = f"it pads with token {own.padding} and not {given.padding}"
    if other:
        raise DataError(
            f"{folder.name}: its weights know the tokens of its own tokenizer, which is not the recipe's: {other}. "
            f"Allowed: a folder with the tokenizer of model.path. Fix: such a folder, or {DRAWN}."
        )


def _differences(one: str, other: str) -> list[str]:
    """Return the parts of two tokenizers that would give other tokens."""
    from tokenizers import Tokenizer

    documents = [json.loads(document) for document in (one, other)]
    differing = [part for part in PARTS if documents[0].get(part) != documents[1].get(part)]
    around = [Tokenizer.from_str(document).encode(PROBE).ids for document in (one, other)]
    return differing or ["the tokens around a text"] * (around[0] != around[1])
