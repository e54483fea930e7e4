"""A pretrained folder held against its own config.json and the recipe, before anything is trained. No torch in here."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any

from thresher.errors import DataError, nearest
from thresher.modalities.image.pretrained import PROCESSOR, read_preprocessing
from thresher.modalities.text.pretrained import PretrainedTokenizer, read_tokenizer
from thresher.models.imported.layer_differences import Shape, describe_shape
from thresher.models.pretrained.config import Pretrained
from thresher.models.pretrained.families import (
    FAMILIES,
    Architecture,
    Family,
    embedding_width,
    first_of,
    longest_text,
    num_blocks,
    only_size,
)
from thresher.models.pretrained.folder import CONFIG, CONVERT, PretrainedFolder
from thresher.models.safetensors_header import read_header

INSTALL = "pip install 'thresher[pretrained]'"
LIBRARY = "transformers"
REFUSED = {
    "auto_map": "names Python code that would be run",
    "quantization_config": "says that the weights are quantized",
}
"""Keys of config.json that a folder may not have, and why."""
NOT_ARCHITECTURE = {
    "_name_or_path", "_attn_implementation", "architectures", "attn_implementation", "dtype", "finetuning_task",
    "fusion_config", "gradient_checkpointing", "id2label", "label2id", "num_labels", "problem_type", "torch_dtype",
    "transformers_version", "transformers_weights", "use_cache",
}  # fmt: skip
"""Keys that say nothing of the encoder, or are the task's own."""


def require_library() -> None:
    """Raise a DataError where the library that builds pretrained models is not installed; it is not imported."""
    if find_spec("transformers") is None:  # as text: code fingerprints take a computed name for any module
        raise DataError(f"a pretrained model needs the package {LIBRARY}, which is not installed. Fix: {INSTALL}.")


def check_folder(folder: PretrainedFolder, config: Pretrained, modality: str, max_length: int) -> None:
    """Check all that can be known of ``folder`` without torch.

    Args:
        modality: of the recipe's data.
        max_length: the most tokens of a text that the recipe uses.

    Raises:
        DataError: a config that is no encoder's, weights or what makes its input that do not fit it, or a text too long
            for it.
    """
    architecture = read_architecture(folder)
    check_fits(folder, architecture, config, modality)
    if FAMILIES[architecture["model_type"]].takes == "image":
        _check_pictures(folder, architecture)
    else:
        check_tokens(folder, architecture, max_length)
    check_weights(folder, architecture, config)


def check_fits(folder: PretrainedFolder, architecture: Architecture, config: Pretrained, modality: str) -> None:
    """Raise a DataError for an encoder of another modality or without what ``config`` pools or freezes."""
    family = FAMILIES[architecture["model_type"]]
    able = [name for name, one in FAMILIES.items() if one.takes == modality]
    if able and modality != family.takes:  # another modality is refused by the recipe's own check
        raise DataError(
            f"{folder.name}: model_type {architecture['model_type']} takes data of modality {family.takes}, and "
            f"data.modality is {modality}. Fix: one of {', '.join(able)}, or data of that modality."
        )
    if config.pooling != "default" and family.takes != "text":
        raise DataError(
            f"{folder.name}: pooling: {config.pooling} is of the tokens of a text, and model_type "
            f"{architecture['model_type']} takes data of modality {family.takes}. Fix: leave pooling out."
        )
    blocks = num_blocks(architecture)
    if blocks is not None and config.freeze.blocks > blocks:
        raise DataError(
            f"{folder.name}: has {blocks} blocks, and freeze.blocks is {config.freeze.blocks}. "
            f"Fix: freeze: {{blocks: {blocks}}} at most."
        )


def _check_pictures(folder: PretrainedFolder, architecture: Architecture) -> None:
    made, wanted = read_preprocessing(folder.files, folder.name).made, only_size(architecture)
    if wanted is not None and made != wanted:
        raise DataError(
            f"{folder.name}: takes images of {wanted[0]}x{wanted[1]} pixels, and {PROCESSOR} makes {made[0]}x{made[1]} "
            f"of them. Fix: take {PROCESSOR} and {CONFIG} of one and the same model."
        )


def check_tokens(folder: PretrainedFolder, architecture: Architecture, max_length: int) -> PretrainedTokenizer:
    """Return the tokenizer of ``folder``; raises a DataError where it does not fit ``architecture``, or texts do not.

    Args:
        architecture: the folder's config.json; empty where it has none.
        max_length: the most tokens of a text that the recipe uses.
    """
    tokenizer = read_tokenizer(folder.files, max_length, folder.name)
    rows = first_of(architecture, "vocab_size")
    if rows is not None and tokenizer.vocabulary_size > rows:
        raise DataError(
            f"{folder.name}: its tokenizer makes tokens up to {tokenizer.vocabulary_size - 1:,}, and {CONFIG} says "
            f"vocab_size {rows:,}. Fix: take tokenizer.json and weights of one and the same model."
        )
    _check_padding(folder, architecture, tokenizer.padding)
    check_positions(folder, architecture, tokenizer.padding, max_length)
    return tokenizer


def check_positions(folder: PretrainedFolder, architecture: Architecture, padding: int, max_length: int) -> None:
    """Raise a DataError for an encoder with fewer positions than the longest text has tokens."""
    longest = longest_text(architecture, padding)
    if longest is not None and max_length > longest:
        raise DataError(
            f"{folder.name}: takes texts of at most {longest} tokens, and data.encoding.max_length is {max_length}. "
            f"Fix: data: {{encoding: {{max_length: {longest}}}}}."
        )


def read_architecture(folder: PretrainedFolder) -> dict[str, Any]:
    """Return the encoder that config.json describes, without what is a task's own.

    Raises:
        DataError: no encoder of a known family, or one that asks for more than safetensors and known code.
    """
    document = folder.document(CONFIG)
    for key, why in REFUSED.items():
        if document.get(key):
            raise DataError(
                f"{folder.name}/{CONFIG}: {key} {why}. Allowed: the architectures of {LIBRARY} itself, in float. "
                "Fix: take a model without it."
            )
    model_type = document.get("model_type")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        said = f"model_type '{model_type}' is no encoder that is known" if model_type else "has no model_type"
        raise DataError(f"{folder.name}/{CONFIG}: {said}. {nearest(str(model_type), FAMILIES)}")
    if document.get("is_decoder"):
        raise DataError(f"{folder.name}/{CONFIG}: is_decoder is true, and a decoder is no encoder. Fix: another model.")
    return {key: value for key, value in document.items() if key not in NOT_ARCHITECTURE}


def _check_padding(folder: PretrainedFolder, architecture: Architecture, padding: int) -> None:
    said = first_of(architecture, "pad_token_id")
    if said is not None and said != padding:
        raise DataError(
            f"{folder.name}: its tokenizer pads with token {padding}, and {CONFIG} says pad_token_id {said}. "
            "Fix: take tokenizer.json and config.json of one and the same model."
        )


def check_weights(folder: PretrainedFolder, architecture: Architecture, config: Pretrained) -> None:
    """Raise a DataError for weights that are to be taken and are another encoder's, by their names and shapes."""
    if config.init != "weights":
        return
    family, shapes = FAMILIES[architecture["model_type"]], read_shapes(folder)
    begins = family.stem or family.words
    first = next((name for name in shapes if f".{name}".endswith(f".{begins}")), None)
    if first is None:
        raise DataError(
            f"{folder.name}: not the weights of a {architecture['model_type']}: no {begins} in them. Fix: take both of "
            "one and the same model."
        )
    wanted = _first_shape(architecture, family)
    if any(two not in (None, one) for one, two in zip(shapes[first], wanted, strict=False)):
        raise DataError(
            f"{folder.name}: not the weights of its {CONFIG}: {first} has {list(shapes[first])}, and {CONFIG} says "
            f"{describe_shape(wanted)}. Fix: take both of one and the same model."
        )
    blocks_in_file = family.blocks_in_file or family.blocks
    pattern = re.compile(rf"(?:^|\.)(?:{re.escape(blocks_in_file)}|{re.escape(family.blocks)})\.(\d+)\.")
    found = {int(match[1]) for name in shapes if (match := pattern.search(name))}
    blocks = num_blocks(architecture)
    if blocks is not None and found != set(range(blocks)):
        raise DataError(
            f"{folder.name}: not the weights of its {CONFIG}: they have {len(found)} blocks, and it says {blocks}. "
            "Fix: take both of one and the same model."
        )


def _first_shape(architecture: Architecture, family: Family) -> Shape:
    """Return the shape of the first layer's weights, None for what ``architecture`` does not say."""
    if family.takes == "text":
        return first_of(architecture, "vocab_size"), embedding_width(architecture)
    return None, first_of(architecture, "num_channels")


def read_shapes(folder: PretrainedFolder) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of the folder's weights.

    Raises:
        DataError: a file that is no safetensors, or was cut short.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for name, content in folder.weights.items():
        header = read_header(content)
        if header is None:
            raise DataError(f"{folder.name}/{name}: is no safetensors file. Fix: copy it again, or {CONVERT}")
        header.check_size(folder.num_bytes[name], f"{folder.name}/{name}")
        shapes |= header.shapes
    return shapes
