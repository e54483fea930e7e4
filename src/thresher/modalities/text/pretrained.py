"""The tokenizer that a pretrained model brings along, as the `tokenizers` library reads it. No transformers in here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from thresher.errors import DataError

TOKENIZER, SAID_IN = "tokenizer.json", ("tokenizer_config.json", "special_tokens_map.json")

SAVE = "write it with transformers: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)."


@dataclass(frozen=True)
class PretrainedTokenizer:
    """A tokenizer that cuts to the recipe's max_length and pads to the longest text of a batch.

    Attributes:
        document: it as the JSON document of the `tokenizers` library.
        vocabulary_size: one more than its largest token.
        padding: the token that fills a shorter text up.
        unknown: the token for what it does not know; None where it knows everything.
        num_special: tokens that stand around the text itself, such as [CLS] and [SEP].
    """

    document: str
    vocabulary_size: int
    padding: int
    unknown: int | None
    num_special: int


def read_tokenizer(files: Mapping[str, bytes], max_length: int, folder: str) -> PretrainedTokenizer:
    """Return the tokenizer in ``files`` of the pretrained ``folder``.

    Raises:
        DataError: one that cannot be read, has no padding token, or leaves no room for the text itself.
    """
    from tokenizers import Tokenizer

    if TOKENIZER not in files:
        raise DataError(f"{folder}: has no {TOKENIZER}. Fix: {SAVE}")
    try:
        tokenizer = Tokenizer.from_str(files[TOKENIZER].decode())
    except Exception as error:  # tokenizers raises Exception itself
        raise DataError(f"{folder}/{TOKENIZER}: cannot be read ({error}). Fix: copy the file again.") from error
    names = _named_tokens(files, folder)
    padding_token, padding = _padding(tokenizer, names, folder)
    num_special = tokenizer.num_special_tokens_to_add(False)
    if max_length <= num_special:
        raise DataError(
            f"{folder}: puts {num_special} tokens of its own around each text, and data.encoding.max_length is "
            f"{max_length}. Fix: {num_special + 1} or more."
        )
    tokenizer.enable_truncation(max_length)
    tokenizer.enable_padding(direction="right", pad_id=padding, pad_token=padding_token)
    unknown = names.get("unk_token")
    return PretrainedTokenizer(
        document=tokenizer.to_str(),
        vocabulary_size=max(tokenizer.get_vocab(with_added_tokens=True).values(), default=0) + 1,
        padding=padding,
        unknown=None if unknown is None else tokenizer.token_to_id(unknown),
        num_special=num_special,
    )


def _padding(tokenizer: Any, names: Mapping[str, str], folder: str) -> tuple[str, int]:
    """Return the padding token and its id."""
    own = tokenizer.padding or {}
    token = names.get("pad_token", own.get("pad_token"))
    number = None if token is None else tokenizer.token_to_id(token)
    if number is None:
        what = "names no padding token" if token is None else f"has no token {token}, which is to be its padding"
        raise DataError(f"{folder}: its tokenizer {what}. Fix: name one as pad_token in {SAID_IN[0]}.")
    return str(token), int(number)


def _named_tokens(files: Mapping[str, bytes], folder: str) -> dict[str, str]:
    """Return the tokens that the folder names, such as pad_token; the first file that names one decides."""
    named: dict[str, str] = {}
    for name in SAID_IN:
        try:
            document = json.loads(files.get(name, b"{}"))
        except ValueError as error:
            raise DataError(f"{folder}/{name}: is no JSON ({error}). Fix: copy the file again.") from error
        for key in ("pad_token", "unk_token"):
            value = document.get(key) if isinstance(document, dict) else None
            token = value.get("content") if isinstance(value, dict) else value
            if isinstance(token, str):
                named.setdefault(key, token)
    return named
