"""Texts as the model takes them: tokens, int64 [N, T], by the `tokenizers` library, padded to the longest."""

from functools import cache
from typing import Any

import numpy as np
from tokenizers import Tokenizer


@cache
def tokenizer_of(document: str) -> Tokenizer:
    """Return the tokenizer of its JSON document, which cuts texts to the model's length."""
    return Tokenizer.from_str(document)


def encode(encoder: dict[str, Any], texts: list[str]) -> np.ndarray:
    """Return the tokens of texts; raises a ValueError for one without any."""
    if wrong := [number for number, text in enumerate(texts) if not _is_text(text)]:
        raise ValueError(f"text {wrong[0]}: not a text")
    encoded = tokenizer_of(encoder["tokenizer"]).encode_batch(texts)
    tokens = np.array([text.ids for text in encoded], np.int64).reshape(len(texts), -1)
    foreign = encoder.get("pretrained") or {"padding": 0, "num_special": 0}
    lengths = ((tokens != foreign["padding"]) * np.arange(1, tokens.shape[1] + 1)).max(axis=1, initial=0)
    if (lengths <= foreign["num_special"]).any():
        raise ValueError(f"text {int((lengths <= foreign['num_special']).argmax())}: no word in it")
    return tokens


def _is_text(value: Any) -> bool:
    """Return whether it is a string, and one of whole characters: JSON can write halves."""
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)
