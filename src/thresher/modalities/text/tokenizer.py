"""Trains a tokenizer with the `tokenizers` library, deterministically."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from thresher.events import Step, emit
from thresher.modalities.text.encoder import TextEncoding

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Blanks within, as no word and no piece of one has: a text that spells a reserved token is not taken for it.
RESERVED = ["[ padding ]", "[ unknown ]"]
PADDING_TOKEN, UNKNOWN_TOKEN = RESERVED
LONGEST_WORD = 1000
"""Characters. Byte pairs are merged one by one, each in a time that grows with the word: 100,000 took 26 s."""
_LONG_WORD, _LONG_GAP = re.compile(rf"(\S{{{LONGEST_WORD}}})(?=\S)"), re.compile(rf"(\s{{{LONGEST_WORD}}})\s+")


def train_tokenizer(texts: Any, config: TextEncoding) -> Tokenizer:
    """Return a tokenizer trained on ``texts`` that cuts to ``config.max_length`` and pads to the longest of a batch."""
    from tokenizers import Tokenizer

    tokenizer, trainer = (_word_level if config.tokenizer == "word" else _byte_pairs)(config)
    tokenizer.normalizer = _normalizer(config)
    learned = _with_short_words(texts) if config.tokenizer == "bpe" else texts
    tokenizer.train_from_iterator(learned, trainer, length=len(texts))
    document = json.loads(tokenizer.to_str())
    # As "added tokens" the reserved ones would be looked for in every text.
    document["added_tokens"] = []
    trained = Tokenizer.from_str(json.dumps(document))
    trained.enable_truncation(config.max_length)
    trained.enable_padding(pad_id=0, pad_token=PADDING_TOKEN)
    return trained


def _with_short_words(texts: Sequence[str]) -> Iterator[str]:
    """Yield ``texts`` with words, and gaps between them, of at most `LONGEST_WORD` characters; say which had longer."""
    longest, where = 0, 0
    for number, text in enumerate(texts):
        if len(text) > LONGEST_WORD:
            word = max(map(len, text.split()), default=0)
            if word > max(longest, LONGEST_WORD):
                longest, where = word, number
            text = _LONG_GAP.sub(r"\1", _LONG_WORD.sub(r"\1 ", text))
        yield text
    if longest:
        emit(
            Step(
                f"tokenizer: training text {where} holds {longest:,} characters without a blank; byte pairs are "
                f"learned of pieces of {LONGEST_WORD:,}"
            )
        )


def _normalizer(config: TextEncoding) -> Any:
    from tokenizers import normalizers

    steps: list[Any] = [normalizers.NFC(), normalizers.Strip()]
    return normalizers.Sequence([*steps, normalizers.Lowercase()] if config.lowercase else steps)


def _word_level(config: TextEncoding) -> tuple[Tokenizer, Any]:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN_TOKEN))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer, trainers.WordLevelTrainer(
        vocab_size=config.vocabulary_size,
        min_frequency=config.min_frequency,
        special_tokens=RESERVED,
        show_progress=False,
    )


def _byte_pairs(config: TextEncoding) -> tuple[Tokenizer, Any]:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return tokenizer, trainers.BpeTrainer(
        vocab_size=config.vocabulary_size,
        min_frequency=config.min_frequency,
        special_tokens=RESERVED,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
