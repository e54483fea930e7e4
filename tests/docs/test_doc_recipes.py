"""What the documentation shows for a recipe or a catalog is taken, and the commands that it shows exist."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from helpers.doc_blocks import DOCS, blocks
from kedro.io import AbstractDataset

from thresher.cli.program import MODULES
from thresher.recipe.reading import RecipeSource, check_recipe

PAGES = sorted(path.name for path in DOCS.glob("*.md"))
ADDS_ITS_OWN = "extend.md"
"""The recipe of this page has the kinds that the page writes; tests/docs/test_extend_page.py reads it."""
BASE: dict[str, Any] = {
    "task": "classification",
    "data": {"modality": "image", "train": "digits.train", "test": "digits.test"},
    "model": {"kind": "resnet", "depth": 20},
    "candidates": {"int8": [{"kind": "quantize_static", "calibration_samples": 256}]},
    "selection": {"minimize": "latency_ms_p50"},
}


def is_catalog(document: Any) -> bool:
    return isinstance(document, dict) and any(isinstance(one, dict) and "type" in one for one in document.values())


def yaml_blocks() -> list[Any]:
    return [
        pytest.param(page, text, id=f"{page}-{number}")
        for page in [*PAGES, "../README.md"]
        if page != ADDS_ITS_OWN
        for number, text in enumerate(blocks(page, "yaml"))
    ]


@pytest.mark.parametrize(("page", "text"), yaml_blocks())
def test_yaml(page: str, text: str) -> None:
    document = yaml.safe_load(text)
    if is_catalog(document):
        for name, entry in document.items():
            AbstractDataset.from_config(name, entry)
        return
    task = {"task": "regression"} if "rmse" in text else {}
    values = {**BASE, **task, **document}
    check_recipe(RecipeSource("example", page, values, {}), values)


COMMAND = re.compile(r"^(?:\$ )?(thresher|make) +([a-z_-]+)", re.MULTILINE)


@pytest.mark.parametrize("page", [*PAGES, "../README.md"])
def test_commands_exist(page: str) -> None:
    makefile = (DOCS.parent / "Makefile").read_text()
    for language in ("sh", "bash"):
        for program, command in COMMAND.findall("\n".join(blocks(page, language))):
            if program == "make":
                assert re.search(rf"^{command}:", makefile, re.MULTILINE), command
            else:
                assert command in MODULES, command
