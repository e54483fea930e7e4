"""Corruptions do what they say to raw samples, as much as they say, and the same each time."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from thresher.contracts.report import ContractReport
from thresher.errors import DataError
from thresher.evaluation.corruptions import CorruptionChoice, corrupt, describe_settings
from thresher.evaluation.corruptions.examples import choose_examples
from thresher.kinds.built_in import CORRUPTIONS
from thresher.kinds.record import CorruptionKind
from thresher.kinds.registry import registry
from thresher.modalities import encode, fit_encoder
from thresher.modalities.samples import Samples
from thresher.modalities.series.encoder import SeriesEncoding
from thresher.modalities.tabular.encoder import TabularEncoding
from thresher.modalities.tabular.table import Table
from thresher.pipelines.train.nodes import corrupt_test

RANDOM = np.random.default_rng(0)


def objects(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def images(channels: int = 3) -> np.ndarray:
    return RANDOM.integers(64, 192, (300, channels, 12, 10), dtype=np.uint8)


INPUTS: dict[str, Any] = {
    "image": images(),
    "text": objects([f"The quick brown fox number {index} jumps over the lazy dog" for index in range(200)]),
    "tabular": Table(
        {
            "age": RANDOM.normal(40, 10, 500),
            "height": np.full(500, np.nan),
            "town": objects([("Bern", "Linz")[index % 2] for index in range(500)]),
        }
    ),
    "series": objects([RANDOM.normal(size=(20 + index % 5, 2)) for index in range(100)]),
}


def samples(modality: str, inputs: Any = None) -> Samples[Any]:
    inputs = INPUTS[modality] if inputs is None else inputs
    return Samples(inputs, np.zeros(len(inputs), np.int64), ("a", "b"))


def corrupted(name: str, inputs: Any = None, **settings: Any) -> Any:
    kind = registry().find(CorruptionKind, name)
    return corrupt(samples(kind.takes[0], inputs), kind.config_class(**settings)).inputs


@pytest.mark.parametrize("name", [kind.name for kind in CORRUPTIONS])
def test_the_same_again_leaves_the_clean_samples_as_they_are(name: str) -> None:
    modality = registry().find(CorruptionKind, name).takes[0]
    before = samples(modality).content_hash()
    kind = registry().find(CorruptionKind, name)
    first, again = (corrupt(samples(modality), kind.config_class()) for _ in range(2))
    assert first.content_hash() == again.content_hash() != before
    assert samples(modality).content_hash() == before
    if "seed" in kind.config_class.model_fields:
        other = corrupt(samples(modality), kind.config_class(seed=2))
        assert other.content_hash() != first.content_hash()
        assert describe_settings(kind.config_class()).startswith(f"{name}, seed 1")


def test_noise_has_its_deviation_and_contrast_leaves_its_share() -> None:
    clean = INPUTS["image"].astype(float)
    assert (corrupted("gaussian_noise", std=0.05) - clean).std() == pytest.approx(0.05 * 255, rel=0.02)
    assert abs((corrupted("gaussian_noise", std=0.05) - clean).mean()) < 0.2
    faint = corrupted("contrast", factor=0.2)
    assert faint.std(axis=(2, 3)).mean() == pytest.approx(0.2 * clean.std(axis=(2, 3)).mean(), rel=0.03)
    assert np.abs(faint.mean(axis=(2, 3)) - clean.mean(axis=(2, 3))).max() < 0.5


def test_a_blurred_point_is_a_normal_distribution_and_stays_in_its_channel() -> None:
    point = np.zeros((1, 2, 21, 21), np.uint8)
    point[0, 0, 10, 10] = 255
    blurred = corrupted("gaussian_blur", point, sigma=1.0)[0]
    assert blurred[0, 10, 10] == round(255 / (2 * np.pi)) == 41
    assert blurred[0, 10, 11] == round(255 / (2 * np.pi) * np.exp(-0.5)) and not blurred[1].any()


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_what_pillow_saves(channels: int) -> None:
    clean = images(channels)[:3]
    found = corrupted("jpeg", clean, quality=10)
    file, pixels = io.BytesIO(), clean[1].transpose(1, 2, 0)
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(file, "JPEG", quality=10)
    saved = np.asarray(Image.open(file)).reshape(12, 10, channels).transpose(2, 0, 1)
    assert np.array_equal(found[1], saved) and np.abs(saved.astype(int) - clean[1]).mean() > 5


def test_typos_strike_about_their_share_of_the_letters_and_empty_no_text() -> None:
    from difflib import SequenceMatcher

    pairs = list(zip(INPUTS["text"], corrupted("typos", share=0.1), strict=True))
    edits = sum(
        max(ends[1] - ends[0], ends[3] - ends[2])
        for before, after in pairs
        for way, *ends in SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
        if way != "equal"
    )
    letters = sum(letter.isalpha() for before, _ in pairs for letter in before)
    assert 0.08 < edits / letters < 0.14  # one that is swapped is two edits, one struck as it was none
    assert all(corrupted("typos", objects(["a"] * 100), share=1.0))
    assert corrupted("case", to="swapped")[0].startswith("tHE QUICK")


def test_values_go_missing_by_column_and_numbers_shift_by_their_own_deviation() -> None:
    gone = corrupted("missing_values", share=0.3, columns=("age", "town"))
    assert 0.2 < np.isnan(gone.columns["age"]).mean() < 0.4
    assert 0.2 < np.mean([value is None for value in gone.columns["town"]]) < 0.4
    moved = corrupted("shifted_columns", by=2.0)
    distance = moved.columns["age"] - INPUTS["tabular"].columns["age"]
    assert np.allclose(distance, 2 * INPUTS["tabular"].columns["age"].std())
    assert moved.columns["town"] is INPUTS["tabular"].columns["town"] and np.isnan(moved.columns["height"]).all()


def test_a_column_that_cannot_be_meant_is_named_with_the_nearest() -> None:
    with pytest.raises(DataError, match=r"column 'agee' is not there\. Did you mean 'age'"):
        corrupted("missing_values", columns=("agee",))
    with pytest.raises(DataError, match="column 'town' is not one of numbers"):
        corrupted("shifted_columns", columns=("town",))
    with pytest.raises(DataError, match="no column of numbers"):
        corrupted("shifted_columns", Table({"town": objects(["Bern"])}))


def test_dropped_steps_are_missing_in_every_channel_and_some_are_left() -> None:
    dropped = corrupted("dropped_samples", share=0.9)
    missing = np.concatenate([np.isnan(each) for each in dropped])
    assert 0.8 < missing.mean() < 0.95 and all((~np.isnan(each)).any(axis=0).all() for each in dropped)


def test_corrupted_samples_are_encoded_as_others_are() -> None:
    clean = samples("tabular", Table({name: INPUTS["tabular"].columns[name] for name in ("age", "town")}))
    gone = corrupt(clean, registry().find(CorruptionKind, "missing_values").config_class(share=0.5))
    assert np.isfinite(encode(fit_encoder(clean, TabularEncoding()), gone).inputs).all()
    series = samples("series")
    silent = corrupt(series, registry().find(CorruptionKind, "dropped_samples").config_class(share=0.9))
    encoded = encode(fit_encoder(series, SeriesEncoding()), silent).inputs
    assert np.isfinite(encoded[0, :20]).all()  # interpolated


@pytest.mark.parametrize("name", ["gaussian_noise", "typos", "missing_values", "dropped_samples"])
def test_examples_show_what_changed(name: str) -> None:
    kind = registry().find(CorruptionKind, name)
    clean = samples(kind.takes[0])
    found = choose_examples(clean, corrupt(clean, kind.config_class()), "words")
    assert len(found.examples) == 6 and 6 <= found.num_changed <= found.num_samples == len(clean)
    assert all(one.before != one.after for one in found.examples)
    assert found.are_pictures is (name == "gaussian_noise")
    nothing = choose_examples(clean, clean, "words")
    assert nothing.num_changed == 0 and nothing.examples == ()


def test_what_a_corruption_makes_is_not_blamed_on_the_data() -> None:
    rows = samples("tabular", Table({"age": RANDOM.normal(40, 10, 50)}))
    encoder = fit_encoder(rows, TabularEncoding())
    report = ContractReport(
        success=True, num_samples=50, num_samples_by_split={}, statistics={}, results=[], created_at="", gx_version=""
    )
    choice = CorruptionChoice.model_validate({"kind": "shifted_columns", "by": 1e300})
    with pytest.raises(
        DataError, match=r"data\.corruptions, shifted_columns, by 1e\+300.*: make the corruption weaker"
    ):
        corrupt_test(rows, encoder, report, choice)
