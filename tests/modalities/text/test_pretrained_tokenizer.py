"""A pretrained model's tokenizer makes the tokens that transformers makes of the same folder, without transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.pretrained_folders import write_tokenizer

from thresher.errors import DataError
from thresher.modalities import read_encoder, read_pretrained
from thresher.modalities.encoder import UnencodableError
from thresher.modalities.samples import Samples
from thresher.modalities.text.encoder import TextEncoder, TextEncoding
from thresher.modalities.text.service import TextService

NO_SAMPLES = Samples(np.array([], dtype=object), np.array([], np.int64), ("bad", "good"))
ODD = [
    "the film was good, and fun!",
    "  blanks \t at\n\nboth ends  ",
    "CAPITALS and Ünïcödé, naïve",
    "\U0001f600 was \U0001f469‍\U0001f469‍\U0001f467 fun",
    "bell \x07 and null \x00 and \x7f\u200b\u2028 end",
    "好的 film 。한국어 العربية עברית हिन्दी",
    "e\u0301 \u0301\u0323 ẹ İ Σς",
    "[PAD] and [SEP] <pad> </s> <mask> [MASK] [UNK]",
    "x" * 300,
    " " * 200 + "good",
    "good fine " * 300,
    "not" + "-=" * 400 + "bad",
]


def encoder_of(folder: Path, max_length: int = 24) -> TextEncoder:
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    encoding = TextEncoding(tokenizer="pretrained", max_length=max_length)
    encoder = read_pretrained(files, folder.name, encoding, NO_SAMPLES)
    assert isinstance(encoder, TextEncoder)
    return encoder


@pytest.fixture(scope="module", params=[False, True], ids=["word_pieces", "byte_pairs"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(path, byte_pairs=request.param)
    return path


@pytest.mark.parametrize("max_length", [3, 24, 500])
def test_tokens_are_those_of_transformers(folder: Path, max_length: int) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    encoder = encoder_of(folder, max_length)
    million = "the film was good, " * 53_000
    for text in [*ODD, million]:
        expected = theirs(text, truncation=True, max_length=max_length)["input_ids"]
        assert encoder.encode_json(text)[0].tolist() == expected, text[:40]
    wanted = theirs(ODD, truncation=True, max_length=max_length, padding=True)
    tokens = encoder.encode(np.array(ODD, dtype=object))
    np.testing.assert_array_equal(tokens, wanted["input_ids"])
    np.testing.assert_array_equal(encoder.model_input.lengths(tokens), np.sum(wanted["attention_mask"], axis=1))
    assert encoder._tokenizer.encode("").ids == theirs("")["input_ids"]


def test_a_long_text_is_cut_before_it_is_tokenized(folder: Path) -> None:
    encoder, text = encoder_of(folder), "the film was good, " * 53_000
    part = encoder._used_part(text)
    assert (part.start, part.stop) == (0, 24 * 32)


@pytest.mark.parametrize("max_length", [4, 24])
def test_a_token_at_the_end_of_a_part_is_that_of_the_whole(folder: Path, tmp_path: Path, max_length: int) -> None:
    """Also an added one that holds several words, and one that takes the blanks before it."""
    document = json.loads((folder / "tokenizer.json").read_text())
    flags = {"single_word": False, "rstrip": False, "normalized": False, "special": True}
    size = max(token["id"] for token in document["added_tokens"]) + 1000
    many, eats = "<|a b, c d, e f, g|>", "<eats>"
    document["added_tokens"] += [
        {"id": size, "content": many, "lstrip": False, **flags},
        {"id": size + 1, "content": eats, "lstrip": True, **flags},
    ]
    for name in ("tokenizer_config.json", "tokenizer.json"):
        (tmp_path / name).write_text((folder / name).read_text() if "config" in name else json.dumps(document))
    encoder = encoder_of(tmp_path, max_length)
    end = max_length * 32  # of the first part that is looked at
    for added in (many, " " * 40 + eats, "." * (3 * max_length), " " * 70):
        for place in range(end - len(added) - 1, end + 2):
            # So few tokens before it that the last kept one stands at the end of the part.
            text = "x" * place + added + " good fun" * 40
            assert encoder.encode_json(text)[0].tolist() == encoder._tokenizer.encode(text).ids, (added, place)


def test_blanks_around_a_text_are_left_out_where_the_tokenizer_drops_them(folder: Path) -> None:
    encoder, text = encoder_of(folder), " " * 5000 + "good" + "\n" * 5000
    assert encoder.encode_json(text)[0].tolist() == encoder._tokenizer.encode(text).ids
    # To a byte-level tokenizer the blanks are a word.
    assert encoder._used_part(text) == (slice(0, 10_004) if "ByteLevel" in encoder.tokenizer else slice(5000, 5004))


def test_a_text_without_a_token_of_its_own_is_refused(folder: Path) -> None:
    with pytest.raises(UnencodableError, match="Empty text"):
        encoder_of(folder).encode(np.array(["good", ""], dtype=object))


def test_it_is_stored_as_json_and_explains_by_words(folder: Path) -> None:
    encoder = encoder_of(folder)
    stored = read_encoder(encoder.model_dump_json())
    assert stored == encoder and stored.model_input == encoder.model_input
    text = "the film was good"
    words = encoder.words(text)
    assert [text[place] for place, _ in words] == text.split()
    sample = encoder.encode_json(text)
    occlusion = TextService(stored).occlude(sample, text)
    for index in range(4):
        left = occlusion.copy(index)
        assert (left[0, 0], left[0, -1]) == (sample[0, 0], sample[0, -1]) and left.shape[1] < sample.shape[1]
    assert TextService(stored).features(sample)["length"].tolist() == [sample.shape[1]]


def test_an_example_is_a_text_that_it_takes(folder: Path) -> None:
    encoder = encoder_of(folder)
    assert encoder.encode_json(encoder.example()).shape[1] > 2


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("tokenizer.json", b"{", "tokenizer.json: cannot be read"),
        ("tokenizer_config.json", b"{", "tokenizer_config.json: is no JSON"),
        (
            "tokenizer_config.json",
            json.dumps({"pad_token": "[NONE]"}).encode(),
            "has no token .NONE.*name one as pad_token",
        ),
    ],
)
def test_files_that_are_no_tokenizer_are_told(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    write_tokenizer(tmp_path, byte_pairs=False)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=says):
        encoder_of(tmp_path)


def test_a_text_needs_room_beside_the_special_tokens(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, byte_pairs=False)
    with pytest.raises(DataError, match=r"puts 2 tokens of its own around each text.*max_length is 2. Fix: 3 or more"):
        encoder_of(tmp_path, 2)


@pytest.mark.parametrize("settings", [{"lowercase": False}, {"vocabulary_size": 300}, {"min_frequency": 2}])
def test_what_the_folder_decides_cannot_be_set(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(settings))}: the pretrained model's folder decides"):
        TextEncoding(tokenizer="pretrained", **settings)
