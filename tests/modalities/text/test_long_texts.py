"""Of long texts a part is tokenized, which gives the tokens of the whole; byte pairs of long words are learned soon."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.events import Step, subscribe
from thresher.modalities.encoder import UnencodableError
from thresher.modalities.samples import Samples
from thresher.modalities.text import encoder as text_module
from thresher.modalities.text.encoder import TextEncoder, TextEncoding
from thresher.modalities.text.tokenizer import LONGEST_WORD, train_tokenizer

KINDS: list[dict[str, Any]] = [{}, {"tokenizer": "bpe", "vocabulary_size": 300}]
WORDS = ["good", "fine ", "who is?", "naïve", "e\u0301", "\u0301\u0323", "ẹ", "好的", "。", "  ", "\n\t", "\u00a0"]
WORDS += [
    "\u2028",
    "...",
    "12",
    "'s",
    "İ",
    "Σς",
    "\U0001f600",
    "한",
    "\u1112\u1161\u11ab",
    "x" * 70,
    " " * 70,
    "-=" * 40,
]


def fit(options: dict[str, Any], max_length: int) -> TextEncoder:
    texts = np.array(["good fine who is naïve 好的", "bad poor 12 ... xx"] * 5, dtype=object)
    given = Samples(texts, np.arange(10, dtype=np.int64) % 2, ("a", "b"))
    return TextEncoder.fit(given, TextEncoding(max_length=max_length, **options))


ENCODERS = {(kind, length): fit(KINDS[kind], length) for kind in (0, 1) for length in (1, 2, 7)}


@pytest.mark.parametrize("which", ENCODERS)
@settings(max_examples=60, deadline=None)
@given(parts=st.lists(st.sampled_from(WORDS), min_size=30, max_size=400))
def test_a_part_gives_the_tokens_of_the_whole(which: tuple[int, int], parts: list[str]) -> None:
    encoder, text = ENCODERS[which], "".join(parts)
    whole = encoder._whole_tokenizer.encode(text).ids[: encoder.max_length]
    if not whole:
        return
    np.testing.assert_array_equal(encoder.encode(np.array([text], dtype=object))[0], whole)


@pytest.mark.parametrize("options", KINDS, ids=["word", "bpe"])
def test_of_a_long_text_a_part_is_tokenized(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, text = fit(options, 64), "good fine " * 100_000
    part = encoder._used_part(text)
    assert (part.start, part.stop) == (0, 64 * text_module.CHARACTERS_A_TOKEN)
    assert encoder.encode(np.array([text, "good"], dtype=object)).shape == (2, 64)
    words = encoder.words(" " * 5000 + text)
    assert len(words) <= 64
    assert (words[0][0], words[1][0]) == (slice(5000, 5004), slice(5005, 5009))


@pytest.mark.oddity(
    "Tables and texts", "a text of megabytes", "A part is tokenized; the tokens are those of the whole text"
)
@pytest.mark.parametrize("options", KINDS, ids=["word", "bpe"])
def test_no_more_of_a_text_is_looked_at_than_a_million_characters(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_module, "MAX_CHARACTERS", 10_000)
    encoder = fit(options, 4)
    assert encoder._used_part(" " * 100_000 + "good" + "\n" * 100_000) == slice(100_000, 100_004)
    long_word = encoder.encode(np.array(["x" * 9_000 + " good"], dtype=object))
    np.testing.assert_array_equal(long_word[0], encoder._whole_tokenizer.encode("x" * 9_000 + " good").ids[:4])
    many = fit({"tokenizer": "bpe", "vocabulary_size": 300}, 4)
    assert many._used_part("xyz" * 50_000) == slice(0, 10_000)
    np.testing.assert_array_equal(
        many.encode_json("xyz" * 50_000)[0], many._whole_tokenizer.encode("xyz" * 50_000).ids[:4]
    )


@pytest.mark.oddity(
    "Tables and texts", "a word after a million characters without one", "It is refused, and not taken for no text"
)
@pytest.mark.parametrize("text", ["good" + " " * 50_000 + "bad", "x" * 50_000 + " good"])
def test_a_text_with_too_few_tokens_among_a_million_characters_is_refused(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_module, "MAX_CHARACTERS", 10_000)
    encoder = fit({}, 4)
    says = "The first 10,000 characters hold fewer than 4 tokens, and more"
    with pytest.raises(UnencodableError, match=says) as told:
        encoder.encode(np.array(["good", text], dtype=object))
    assert told.value.index == 1


def test_what_is_no_text_is_found_behind_the_part_too() -> None:
    encoder = fit({}, 4)
    for wrong in ("good fine " * 100 + "\ud800", 7):
        with pytest.raises(UnencodableError, match="Not a text of Unicode"):
            encoder.encode(np.array(["good", wrong], dtype=object))


@pytest.mark.oddity(
    "Tables and texts",
    "a word of 150,000 characters, and byte pairs",
    "They are learned of pieces in seconds, and it is said",
)
@pytest.mark.parametrize("word", ["x" * 150_000, "ab" * 75_000, "=" * 150_000, " " * 150_000 + "x" * 5000])
def test_byte_pairs_of_a_long_word_are_learned_of_pieces(word: str) -> None:
    said: list[str] = []
    leave = subscribe(lambda event: said.append(event.text) if isinstance(event, Step) else None)
    # Uncut, each of these takes a minute or more: the test would be seen to hang.
    tokenizer = train_tokenizer(["some words here"] * 20 + [f"{word} good"], TextEncoding(**KINDS[1]))
    leave()
    assert tokenizer.get_vocab_size() > 259
    length = max(map(len, word.split()))
    assert said == [
        f"tokenizer: training text 20 holds {length:,} characters without a blank; byte pairs are learned of pieces of "
        f"{LONGEST_WORD:,}"
    ]


def test_short_words_are_learned_as_they_are() -> None:
    texts = ["some words here " * 200, "x" * LONGEST_WORD]
    said: list[object] = []
    leave = subscribe(said.append)
    config = TextEncoding(**KINDS[1])
    one = train_tokenizer(texts, config).to_str()
    leave()
    assert said == []
    assert one == train_tokenizer(["some words here " * 200, " " + "x" * LONGEST_WORD], config).to_str()
