"""Texts: a tokenizer trained on the training split alone."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from thresher.config import Config, KindConfig
from thresher.errors import DataError, InvalidInputError
from thresher.modalities.encoder import Encoder, UnencodableError
from thresher.modalities.samples import Inputs, Samples
from thresher.modalities.text.model_input import TextInput
from thresher.modalities.text.pretrained import read_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

UNKNOWN, NUM_RESERVED = 1, 2
"""Of a tokenizer that is trained here, token 0 is padding, 1 is unknown."""
MIN_BPE_VOCABULARY = 256 + NUM_RESERVED + 1
"""Every byte, the reserved tokens and one merge."""
EXAMPLE_WORDS = 6
BLANKS = " \t\r\n"
CHARACTERS_A_TOKEN = 32
"""Of a text that is longer than its tokens need at so many, no more than a part is tokenized."""
MAX_CHARACTERS, MAX_CHARACTERS_A_TOKEN = 1_000_000, 1000
"""Beyond the larger of the two nothing of a text is looked at."""
BY_FOLDER = ("vocabulary_size", "lowercase", "min_frequency")
SETTLED_WORDS = 3
"""Before the end of a part, from which on what follows it cannot change the words."""
BLANK = "\u0120"
"""How a byte-level tokenizer writes a blank."""


class TextEncoding(KindConfig):
    """How texts become tokens: a tokenizer that is trained on the training split, by the `tokenizers` library."""

    kind: Literal["text"] = "text"
    tokenizer: Literal["word", "bpe", "pretrained"] = "word"
    """word: runs of letters and digits, and of punctuation; what training did not see is the unknown token.
    bpe: byte-pair encoding over bytes (Sennrich et al. 2016; Radford et al. 2019), for which nothing is unknown.
    pretrained: that of the pretrained model's folder, which such a recipe takes without being told; the folder decides
    on vocabulary_size, lowercase and min_frequency."""
    vocabulary_size: int = Field(10_000, ge=3)
    """Tokens at most, the padding and the unknown one among them. bpe needs at least 259."""
    lowercase: bool = True
    """Whether capital letters are taken as small ones."""
    max_length: int = Field(256, ge=1)
    """Tokens of a text that are used. A longer one is cut; the sample table's column is_cut says which."""
    min_frequency: int = Field(1, ge=1)
    """Occurrences in the training split that make a word, or a merge of bpe, a token."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.tokenizer == "bpe" and self.vocabulary_size < MIN_BPE_VOCABULARY:
            raise ValueError(
                f"vocabulary_size {self.vocabulary_size} is too small for tokenizer bpe: it begins with the 256 bytes. "
                f"Fix: at least {MIN_BPE_VOCABULARY}."
            )
        decided = [name for name in BY_FOLDER if getattr(self, name) != type(self).model_fields[name].default]
        if self.tokenizer == "pretrained" and decided:
            raise ValueError(f"{decided[0]}: the pretrained model's folder decides on it. Fix: leave it out.")
        return self


def _is_none(value: object) -> bool:
    return value is None


class PretrainedTokens(Config):
    """The tokens of a pretrained tokenizer that mean something."""

    padding: int
    unknown: int | None
    num_special: int
    """Tokens that stand around the text itself, such as [CLS] and [SEP]."""


class TextEncoder(Encoder):
    """Texts to tokens, int64 [N, T], the padding token after the end of each text."""

    NAMES: ClassVar[tuple[str, str]] = ("text", "texts")
    REQUIREMENTS: ClassVar[tuple[str, ...]] = ("tokenizers",)

    kind: Literal["text"] = "text"
    tokenizer: str
    """The tokenizer as the JSON document of the `tokenizers` library; it cuts texts to max_length."""
    vocabulary_size: int
    max_length: int
    pretrained: PretrainedTokens | None = Field(default=None, exclude_if=_is_none)
    """What is different where the tokenizer came with a pretrained model; None where it was trained here."""

    @classmethod
    def fit(cls, samples: Samples[np.ndarray], config: TextEncoding) -> TextEncoder:
        """Return the encoder with a tokenizer trained on ``samples``; the same texts give the same tokenizer.

        Raises:
            DataError: no text has a token.
        """
        from thresher.modalities.text.tokenizer import train_tokenizer

        tokenizer = train_tokenizer(samples.inputs, config)
        if tokenizer.get_vocab_size() <= NUM_RESERVED:
            rarer = f"data.encoding.min_frequency below {config.min_frequency}, or " * (config.min_frequency > 1)
            raise DataError(f"The training texts hold no word that is frequent enough. Fix: {rarer}texts with words.")
        return cls(
            tokenizer=tokenizer.to_str(),
            vocabulary_size=tokenizer.get_vocab_size(),
            max_length=config.max_length,
            class_names=samples.class_names,
        )

    @classmethod
    def from_files(
        cls, files: Mapping[str, bytes], folder: str, config: TextEncoding, samples: Samples[np.ndarray]
    ) -> TextEncoder:
        read = read_tokenizer(files, config.max_length, folder)
        return cls(
            tokenizer=read.document,
            vocabulary_size=read.vocabulary_size,
            max_length=config.max_length,
            pretrained=PretrainedTokens(padding=read.padding, unknown=read.unknown, num_special=read.num_special),
            class_names=samples.class_names,
        )

    @property
    def model_input(self) -> TextInput:
        foreign: dict[str, Any] = {}
        if self.pretrained is not None:
            foreign = {"padding": self.pretrained.padding, "unknown": self.pretrained.unknown, "pads_within": True}
        return TextInput(vocabulary_size=self.vocabulary_size, max_length=self.max_length, **foreign)

    @property
    def unknown(self) -> int | None:
        """The token for what the tokenizer does not know; None where a pretrained one names none."""
        return UNKNOWN if self.pretrained is None else self.pretrained.unknown

    @property
    def expected(self) -> str:
        return f"a text with at least one word; of a longer one the first {self.max_length:,} tokens are used"

    @property
    def file_types(self) -> tuple[str, ...]:
        return ("text/plain",)

    def example(self) -> Any:
        """Return the first words of the vocabulary, which are the most frequent; its first tokens if it has none."""
        vocabulary = self._tokenizer.get_vocab()
        tokens = sorted(vocabulary, key=vocabulary.__getitem__)[NUM_RESERVED:]
        # A token of bpe that begins a word begins with a blank, which it writes as this letter.
        begin_words = any(token.startswith(BLANK) and len(token) > 1 for token in tokens)
        words = [token.removeprefix(BLANK) for token in tokens if token.startswith(BLANK) or not begin_words]
        letters = [word for word in words if word.isalpha() and word.isascii() and len(word) > 1]
        return " ".join((letters or words)[:EXAMPLE_WORDS])

    def encode(self, inputs: Inputs) -> np.ndarray:
        """Return texts (dtype object, [N]) as int64 [N, T], T being the most tokens of a text.

        Raises:
            UnencodableError: a text without a token, or with few among millions of characters.
        """
        assert isinstance(inputs, np.ndarray)
        if not len(inputs):
            return np.zeros((0, 1), np.int64)
        try:
            parts = [self._cut(index, text) for index, text in enumerate(inputs)]
            encoded = self._tokenizer.encode_batch_fast(parts)
        except (TypeError, UnicodeEncodeError) as error:
            raise UnencodableError(
                _find_unreadable(inputs), f"Not a text of Unicode. Expected {self.expected}."
            ) from error
        tokens = np.array([text.ids for text in encoded], dtype=np.int64).reshape(len(inputs), -1)
        own = self.model_input.lengths(tokens) - (0 if self.pretrained is None else self.pretrained.num_special)
        used = own > 0
        if not used.all():
            raise UnencodableError(int(used.argmin()), f"Empty text. Expected {self.expected}.")
        return tokens

    def encode_json(self, value: Any) -> np.ndarray:
        if not isinstance(value, str):
            raise InvalidInputError(f"Not a text: {_kind(value)}. Expected {self.expected}.")
        return self.encode(np.array([value], dtype=object))

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string"}

    def write_json(self, inputs: Any, index: int) -> str:
        return str(inputs[index])

    def encode_file(self, content: bytes) -> np.ndarray:
        """Return the UTF-8 text in ``content`` as int64 [1, T].

        Raises:
            InvalidInputError: other bytes than UTF-8, a NUL, or no word.
        """
        if 0 in content:
            raise InvalidInputError(
                f"A NUL at byte {content.index(0)}, as UTF-16 has. Expected {self.expected}, in UTF-8."
            )
        try:
            return self.encode_json(content.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise InvalidInputError(f"Not UTF-8 at byte {error.start}. Expected {self.expected}.") from error

    def words(self, text: str) -> list[tuple[slice, slice]]:
        """Return where each word that is used stands in ``text``, and where its tokens do in what `encode` makes.

        A word is what the tokenizer cuts a text into first: a run of letters and digits, or of punctuation.
        """
        used = self._used_part(text)
        encoded, tokens = self._tokenizer.encode(text[used]), dict[int, list[int]]()
        for token, word in enumerate(encoded.word_ids):
            if word is not None:
                tokens.setdefault(word, []).append(token)
        words = []
        for own in tokens.values():
            start, end = used.start + encoded.offsets[own[0]][0], used.start + encoded.offsets[own[-1]][1]
            start += end - start - len(text[start:end].lstrip())  # a token of bpe begins with the blank before it
            if start < end:
                words.append((slice(start, end), slice(own[0], own[-1] + 1)))
        return words

    def _cut(self, index: int, text: str) -> str:
        try:
            return text[self._used_part(text)]
        except InvalidInputError as error:
            raise UnencodableError(index, str(error)) from error

    def _used_part(self, text: str) -> slice:
        """Return what of ``text`` its tokens are made of, and a little more, so that no long text is tokenized whole.

        The tokens are those of the whole text: words are cut from left to right, and what stands some words before the
        end of a part does not depend on what follows. Of a text that begins with a word of a million characters, no
        more than that word's first million are looked at.

        Raises:
            UnicodeEncodeError: a part of ``text`` is none of Unicode.
            TypeError: no text.
            InvalidInputError: there are more characters than a million, or 1,000 a token, and too few tokens in those.
        """
        if not isinstance(text, str):
            raise TypeError
        size = self.max_length * CHARACTERS_A_TOKEN
        if len(text) <= size:
            return slice(0, len(text))
        text.encode()
        start, end = 0, len(text)
        if self._drops_blanks:
            start, end = end - len(text.lstrip(BLANKS)), len(text.rstrip(BLANKS))
        most = max(MAX_CHARACTERS, self.max_length * MAX_CHARACTERS_A_TOKEN)
        while start + size < end and (found := self._look(text[start : start + size])) != "settled":
            if size == most:
                if found == "more tokens":
                    break
                raise InvalidInputError(
                    f"The first {most:,} characters hold fewer than {self.max_length:,} tokens, and more follow. "
                    f"Expected {self.expected}, without so much between its words."
                )
            size = min(4 * size, most)
        return slice(start, min(start + size, end))

    def _look(self, part: str) -> Literal["too few tokens", "more tokens", "settled"]:
        """Return whether ``part`` has all tokens, and whether they are those of any text that begins with it."""
        encoded = self._whole_tokenizer.encode(part, add_special_tokens=False)
        words, last = encoded.word_ids, self.max_length - 1
        if len(words) <= self.max_length:
            return "too few tokens"
        kept, end = words[last], words[-1]
        # A token that was added to the tokenizer may hold several words, and the blanks around it.
        rest = sum(map(len, part[encoded.offsets[last][1] :].split()))
        far = kept is not None and end is not None and end - kept >= SETTLED_WORDS
        return "settled" if far and rest >= self._longest_added else "more tokens"

    @cached_property
    def _longest_added(self) -> int:
        added = self._whole_tokenizer.get_added_tokens_decoder().values()
        return max((len(token.content) for token in added), default=0)

    @cached_property
    def _drops_blanks(self) -> bool:
        """Whether blanks at both ends of a text are none of its tokens."""
        text = self.example()
        one, other = self._whole_tokenizer.encode_batch([text, f"{BLANKS}{text}{BLANKS}"])
        return bool(one.ids == other.ids)

    @cached_property
    def _whole_tokenizer(self) -> Tokenizer:
        """The tokenizer that cuts nothing off."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(self.tokenizer)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        return Tokenizer.from_str(self.tokenizer)


def _find_unreadable(inputs: np.ndarray) -> int:
    for index, text in enumerate(inputs):
        try:
            text.encode()
        except (AttributeError, UnicodeEncodeError):  # half of a surrogate pair, which JSON can write
            return index
    raise AssertionError("the tokenizer refuses what is a text")


def _kind(value: Any) -> str:
    kinds = {bool: "true/false", int: "a number", float: "a number", type(None): "null", dict: "an object"}
    return kinds.get(type(value), "a list")
