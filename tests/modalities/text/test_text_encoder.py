"""Texts become tokens by a tokenizer that knows the training split alone, the same in every process."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from thresher.errors import DataError, InvalidInputError
from thresher.modalities import read_encoder
from thresher.modalities.encoder import UnencodableError
from thresher.modalities.samples import Samples
from thresher.modalities.text.encoder import TextEncoder, TextEncoding

TEXTS = ["How many feet in a mile ?", "who wrote the Bible ?", "How far is the moon ?", "who was first on the moon ?"]
BPE = {"tokenizer": "bpe", "vocabulary_size": 300}


def samples(*texts: str) -> Samples:
    return Samples(np.array(texts, dtype=object), np.arange(len(texts)) % 2, ("no", "yes"))


def fit(*texts: str, **options: Any) -> TextEncoder:
    return TextEncoder.fit(samples(*(texts or TEXTS)), TextEncoding(**options))


def of(*texts: str) -> np.ndarray:
    return np.array(texts, dtype=object)


def test_words_are_tokens_and_padding_stands_at_the_end() -> None:
    encoder = fit()
    tokens = encoder.encode(of("who ?", "the moon is far"))
    assert (tokens.dtype, tokens.shape) == (np.int64, (2, 4))
    assert (tokens[0, 2:] == 0).all()
    assert (tokens[1] > 1).all()
    assert len(set(tokens[1])) == 4
    assert tokens.max() < encoder.vocabulary_size == encoder.model_input.vocabulary_size


def test_what_training_did_not_see_is_the_unknown_token() -> None:
    assert fit().encode(of("who invented the wheel"))[0].tolist().count(1) == 2
    assert 1 not in fit(**BPE).encode(of("who invented the wheel \u2603"))


def test_capital_letters_count_where_the_recipe_says_so() -> None:
    assert (fit().encode(of("WHO"))[0] == fit().encode(of("who"))[0]).all()
    kept = fit(lowercase=False)
    assert kept.encode(of("WHO")).tolist() == [[1]] != kept.encode(of("who")).tolist()


@pytest.mark.parametrize("options", [{}, BPE], ids=["word", "bpe"])
def test_reserved_tokens_cannot_be_written_in_a_text(options: dict[str, Any]) -> None:
    spelt = ["[ padding ]", "[ unknown ]", "[PAD]", "<pad>"]
    tokens = fit(*TEXTS, *spelt * 5, **options).encode(of(*spelt))
    for row in tokens:
        assert (row[: np.count_nonzero(row)] != 0).all()
        assert 1 not in row


def test_long_texts_are_cut_to_the_maximum() -> None:
    encoder = fit(max_length=3)
    assert encoder.encode(of("who wrote the Bible ?")).tolist() == encoder.encode(of("who wrote the")).tolist()
    assert encoder.model_input.longest == (3,)


def test_rare_words_and_a_small_vocabulary() -> None:
    assert fit(min_frequency=2).vocabulary_size < fit().vocabulary_size
    assert fit(vocabulary_size=5).vocabulary_size == 5
    with pytest.raises(DataError, match="min_frequency below 9"):
        fit(min_frequency=9)
    with pytest.raises(DataError, match=r"frequent enough\. Fix: texts with words"):
        TextEncoder.fit(Samples(np.array([" ", "  "], dtype=object), np.array([0, 1]), ("a", "b")), TextEncoding())
    with pytest.raises(ValidationError, match="at least 259"):
        TextEncoding(tokenizer="bpe", vocabulary_size=258)


@pytest.mark.parametrize("options", [{}, BPE], ids=["word", "bpe"])
@pytest.mark.parametrize("text", ["", "  \n\t ", "\u2028"])
def test_empty_texts_are_refused_by_their_index(options: dict[str, Any], text: str) -> None:
    with pytest.raises(UnencodableError, match="Empty text") as caught:
        fit(**options).encode(of("who", "moon", text))
    assert caught.value.index == 2
    with pytest.raises(InvalidInputError, match="at least one word"):
        fit(**options).encode_json(text)


@pytest.mark.parametrize("value", [None, 3, True, ["who"], {"text": "who"}])
def test_what_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInputError, match="Not a text"):
        fit().encode_json(value)


def test_half_a_surrogate_pair_is_no_text() -> None:
    with pytest.raises(UnencodableError, match="Not a text of Unicode") as caught:
        fit().encode(of("who", json.loads('"\\ud800"')))
    assert caught.value.index == 1


def test_files_are_utf_8() -> None:
    encoder = fit()
    assert encoder.encode_file("\ufeffwho".encode()).tolist() == encoder.encode_json("who").tolist()
    with pytest.raises(InvalidInputError, match="Not UTF-8 at byte 4"):
        encoder.encode_file(b"who \xff")
    for wide in ("utf-16-le", "utf-16-be", "utf-32-le"):  # of which all bytes are UTF-8 as well
        with pytest.raises(InvalidInputError, match="as UTF-16 has"):
            encoder.encode_file("how many feet".encode(wide))


@pytest.mark.parametrize("options", [{}, BPE, {"vocabulary_size": 3}], ids=["word", "bpe", "tiny"])
def test_the_encoder_is_its_json_and_its_example_is_valid(options: dict[str, Any]) -> None:
    encoder = fit(**options)
    again = read_encoder(encoder.model_dump_json())
    assert again == encoder
    assert (again.encode(of(*TEXTS)) == encoder.encode(of(*TEXTS))).all()
    example = encoder.example()
    assert example
    assert 1 not in encoder.encode_json(example)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=5))
def test_one_by_one_and_together_agree(texts: list[str]) -> None:
    encoder = FITTED
    try:
        together = encoder.encode(of(*texts))
    except UnencodableError as error:
        with pytest.raises(InvalidInputError):
            encoder.encode_json(texts[error.index])
        return
    for row, text in zip(together, texts, strict=True):
        alone = encoder.encode_json(text)
        assert row[: alone.shape[1]].tolist() == alone[0].tolist()
        assert not row[alone.shape[1] :].any()


FITTED = fit(**BPE)
IN_ANOTHER_PROCESS = """
import sys, hashlib
import numpy as np
from thresher.modalities.samples import Samples
from thresher.modalities.text.encoder import TextEncoder, TextEncoding
texts = np.array(sys.argv[2:], dtype=object)
encoding = TextEncoding(tokenizer=sys.argv[1], vocabulary_size=300)
encoder = TextEncoder.fit(Samples(texts, np.zeros(len(texts), np.int64), ("no", "yes")), encoding)
print(hashlib.sha256(encoder.model_dump_json().encode()).hexdigest())
"""


@pytest.mark.parametrize("tokenizer", ["word", "bpe"])
def test_the_same_texts_give_the_same_tokenizer_in_every_process(tokenizer: str) -> None:
    words = [f"{a}{b}{c}" for a in "abcd" for b in "xyz" for c in "mno"]  # all equally frequent: ties everywhere
    texts = [" ".join(words[start::3]) for start in range(3)]
    ours = fit(*texts, tokenizer=tokenizer, vocabulary_size=300).model_dump_json()
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, tokenizer, *texts]
    theirs = {
        subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path.cwd()).stdout.strip()
        for _ in range(2)
    }
    assert theirs == {hashlib.sha256(ours.encode()).hexdigest()}
