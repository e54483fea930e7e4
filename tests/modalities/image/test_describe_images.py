"""The sample table: one row an image, with all that a contract can speak about."""

import hashlib

import numpy as np
import pytest

from thresher.modalities.description import describe as describe_samples
from thresher.modalities.image.encoder import ImageEncoding
from thresher.modalities.samples import Samples

PIXELS = np.array([[[[0, 255], [0, 255]]], [[[7, 7], [7, 7]]]], dtype=np.uint8)


def describe(*labels: int):  # type: ignore[no-untyped-def]  # pandas is imported by the code alone
    samples = Samples(PIXELS[: len(labels)], np.array(labels, np.int64), ("no", "yes"))
    return describe_samples(samples, "train", ImageEncoding())


def test_every_sample_is_one_row_of_its_figures() -> None:
    table = describe(0, 1)
    first = table.iloc[0].to_dict()
    assert table["index"].tolist() == [0, 1]
    assert first == {
        "split": "train",
        "index": 0,
        "place": None,
        "label": 0,
        "class_name": "no",
        "height": 2,
        "width": 2,
        "channels": 1,
        "dtype": "uint8",
        "pixel_mean": 127.5,
        "pixel_std": 127.5,
        "pixel_min": 0,
        "pixel_max": 255,
        "content_hash": hashlib.sha256(bytes([0, 255, 0, 255])).hexdigest(),
    }


def test_a_missing_label_is_missing_in_the_table() -> None:
    table = describe(1, -1)
    assert table["label"].isna().tolist() == [False, True]
    assert table["class_name"].isna().tolist() == [False, True]
    assert table["label"].iloc[0] == 1


def test_a_label_beyond_the_classes_keeps_its_number_and_has_no_name() -> None:
    table = describe(0, 9)
    assert table["label"].tolist() == [0, 9]
    assert table["class_name"].isna().tolist() == [False, True]


@pytest.mark.parametrize("labels", [(0, 1), (0, -1)])
def test_labels_are_whole_numbers_whether_or_not_one_is_missing(labels: tuple[int, int]) -> None:
    assert str(describe(*labels)["label"].dtype) == "Int64"


def test_equal_pixels_have_equal_hashes() -> None:
    samples = Samples(PIXELS[[0, 1, 0]], np.zeros(3, np.int64), ("no", "yes"))
    hashes = describe_samples(samples, "train", ImageEncoding())["content_hash"].tolist()
    assert hashes[0] == hashes[2] != hashes[1]
