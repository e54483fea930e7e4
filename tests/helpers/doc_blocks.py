"""The examples in the documentation, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks in ``language`` of docs/``page``."""
    return [text for found, text in BLOCK.findall((DOCS / page).read_text(encoding="utf-8")) if found == language]
