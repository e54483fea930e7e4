"""The page and the schema of readers are those of their models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from thresher.__main__ import thresher
from thresher.catalog.readers_page import COMMON, all_readers, catalog_schema, readers_page


def test_the_page_is_the_one_that_is_printed(project: Path) -> None:
    written = (project / "docs/readers.md").read_text(encoding="utf-8")
    assert CliRunner().invoke(thresher, ["readers"]).stdout == written, "thresher readers > docs/readers.md"


def test_the_schema_is_the_one_that_is_printed(project: Path) -> None:
    written = (project / "docs/catalog.schema.json").read_text(encoding="utf-8")
    printed = CliRunner().invoke(thresher, ["schema", "--catalog"]).stdout
    assert printed == written, "thresher schema --catalog > docs/catalog.schema.json"
    assert json.loads(written) == catalog_schema()


def test_every_argument_of_every_reader_has_a_row() -> None:
    sections = {part.partition("\n")[0]: part for part in readers_page().split("\n## ")}
    for reader in all_readers():
        for name in reader.options_type.model_fields:
            assert f"\n| `{name}` | " in sections["Arguments of all readers" if name in COMMON else reader.__name__]


@pytest.mark.parametrize(
    ("changes", "sound"),
    [
        ({}, True),
        ({"missing": ["NA"]}, True),
        ({"missing": "NA"}, False),
        ({"header": "no"}, False),
        ({"seed": -1}, False),
        ({"lable": "y"}, False),
    ],
)
def test_editors_check_entries_by_the_schema(project: Path, changes: dict[str, Any], sound: bool) -> None:
    catalog = yaml.safe_load((project / "conf/base/catalog.yml").read_text(encoding="utf-8"))
    catalog["own"] = {"type": "thresher.readers.TableFile", "file": "t.csv", "label": "y", **changes}
    validator = jsonschema.Draft202012Validator(catalog_schema())
    assert validator.is_valid(catalog) is sound
