"""The shipped catalog's entries on the data as its authors published it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from kedro.framework.context.context import _convert_paths_to_absolute_posix
from kedro.io import DataCatalog

from thresher.modalities import EncodingChoice, encode, fit_encoder
from thresher.modalities.samples import Samples
from thresher.modalities.split import mark_held_out
from thresher.modalities.split_compatibility import require_agreement

PROJECT = Path(__file__).parents[2]
CATALOG: dict[str, Any] = yaml.safe_load((PROJECT / "conf/base/catalog.yml").read_text(encoding="utf-8"))
needs_data = pytest.mark.skipif(
    "THRESHER_TEST_DATA" not in os.environ, reason="THRESHER_TEST_DATA names no folder with trec/, adult/ and others"
)


def load(project: Path, *names: str) -> list[Samples[Any]]:
    """Return entries of the catalog, in a project whose data/01_raw is the folder of published data."""
    if "THRESHER_TEST_DATA" in os.environ and not (project / "data").exists():
        (project / "data").mkdir()
        (project / "data" / "01_raw").symlink_to(os.environ["THRESHER_TEST_DATA"])
    config = _convert_paths_to_absolute_posix(project, {name: dict(CATALOG[name]) for name in names})
    catalog = DataCatalog.from_config(config)
    return [catalog.load(name) for name in names]


def encoded_shapes(train: Samples[Any], test: Samples[Any], **encoding: Any) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of train, validation and test, encoded as a run does it."""
    require_agreement(train, test)
    held_out = mark_held_out(train, 0.1, 1)
    encoder = fit_encoder(train.take(~held_out), EncodingChoice.model_validate(encoding).root)
    encoder.encode_json(encoder.example())
    return tuple(encode(encoder, part).inputs.shape for part in (train.take(~held_out), train.take(held_out), test))


@needs_data
def test_trec(tmp_path: Path) -> None:
    train, test = load(tmp_path, "trec.train", "trec.test")
    assert (len(train), len(test)) == (5_452, 500)
    assert np.bincount(test.labels).tolist() == [138, 94, 9, 65, 81, 113]
    assert "sister\u00f0city" in train.inputs[[text.startswith("Which city has the old") for text in train.inputs]][0]
    (many, length), _, (count, _) = encoded_shapes(train, test, kind="text")
    assert (many, length, count) == (4_906, 37, 500)


@needs_data
def test_sst2(tmp_path: Path) -> None:
    train, validation, test = load(tmp_path, "sst2.train", "sst2.validation", "sst2.test")
    assert (len(train), len(validation), len(test)) == (6_920, 872, 1_821)
    assert encoded_shapes(train, test, kind="text", tokenizer="bpe", vocabulary_size=2_000)[2][0] == 1_821


@needs_data
def test_adult(tmp_path: Path) -> None:
    train, test = load(tmp_path, "adult.train", "adult.test")
    assert (len(train), len(test)) == (32_561, 16_281)
    assert [int(part.labels.sum()) for part in (train, test)] == [7_841, 3_846]
    assert train.class_names == ("at_most_50K", "over_50K")
    columns = train.inputs.columns
    assert [
        sum(value is None for value in columns[name]) for name in ("workclass", "occupation", "native_country")
    ] == [
        1_836,
        1_843,
        583,
    ]
    assert encoded_shapes(train, test, kind="tabular")[2] == (16_281, 14)


@needs_data
def test_california_housing(tmp_path: Path) -> None:
    train, test = load(tmp_path, "california_housing.train", "california_housing.test")
    assert (len(train), len(test)) == (16_512, 4_128)
    missing = [int(np.isnan(part.inputs.columns["total_bedrooms"]).sum()) for part in (train, test)]
    assert sum(missing) == 207
    assert set(train.inputs.columns["ocean_proximity"]) >= {"NEAR BAY", "INLAND"}
    assert encoded_shapes(train, test, kind="tabular")[2] == (4_128, 8 + 1 + 1)


@pytest.mark.parametrize("name", ["diabetes", "breast_cancer", "wine"])
def test_tables_that_come_with_scikit_learn(tmp_path: Path, name: str) -> None:
    train, test = load(tmp_path, f"{name}.train", f"{name}.test")
    assert encoded_shapes(train, test, kind="tabular")[2] == (len(test), len(train.inputs.columns))


def test_every_known_set_has_its_entries() -> None:
    from thresher.fetch.known_sets import KNOWN_SETS

    for name, known in KNOWN_SETS.items():
        files = {file.name for file in known.files}
        if "model.safetensors" in files:  # recipes name the folder of a model
            continue
        entries = [CATALOG[f"{name}.train"], CATALOG[f"{name}.test"]]
        assert {entry["fetch"] for entry in entries} == {name}
        assert {entry["path"] for entry in entries} == {known.folder}
        for entry in entries:
            named = [entry.get(key) for key in ("file", "images", "labels") if entry.get(key)]
            assert {file for value in named for file in ([value] if isinstance(value, str) else value)} <= files
