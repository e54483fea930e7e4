"""What a contract can say of texts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from thresher.modalities.description import BETWEEN, Description, Rule
from thresher.modalities.samples import Samples
from thresher.modalities.text.encoder import TextEncoding

if TYPE_CHECKING:
    import pandas as pd

WORD = re.compile(r"\w+|[^\w\s]+")


class TextDescription(Description):
    """What the sample table shows of a text, and what must hold of it."""

    COLUMNS = ("num_characters", "num_words", "num_lines", "share_ascii", "is_empty", "is_cut")

    def describe(self, samples: Samples[np.ndarray], encoding: TextEncoding) -> pd.DataFrame:
        """Return one row a sample with what a contract can say of a text.

        Columns: num_characters, num_words (runs of letters and digits, and of punctuation), num_lines, share_ascii (of
        the characters), is_empty (no word), is_cut (longer than the encoding's max_length: certainly for the tokenizer
        word; bpe makes more tokens than words, so that it may cut some more).
        """
        import pandas as pd

        texts: list[str] = list(samples.inputs)
        num_words = np.array([len(WORD.findall(text)) for text in texts], dtype=np.int64)
        num_characters = np.array(list(map(len, texts)), dtype=np.int64)
        num_ascii = np.array([len(text) if text.isascii() else sum(map(str.isascii, text)) for text in texts], np.int64)
        return pd.DataFrame(
            {
                "num_characters": num_characters,
                "num_words": num_words,
                "num_lines": np.array([len(text.splitlines()) for text in texts], dtype=np.int64),
                "share_ascii": num_ascii / np.maximum(num_characters, 1),
                "is_empty": num_words == 0,
                "is_cut": num_words > encoding.max_length,
            },
            index=range(len(samples)),
        )

    def rules(self, splits: dict[str, pd.DataFrame], columns: list[str], encoding: TextEncoding) -> Iterable[Rule]:
        yield Rule(
            BETWEEN,
            {"column": "num_words", "min_value": 1},
            "Every text has a word.",
            "write these texts or remove them.",
        )
