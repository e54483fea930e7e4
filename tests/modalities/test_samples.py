"""Samples are taken together and known by their content."""

import numpy as np
import pytest

from thresher.modalities.fingerprint import fingerprint
from thresher.modalities.samples import Samples


def make_samples(**changes: object) -> Samples:
    inputs = np.arange(3 * 4, dtype=np.uint8).reshape(3, 1, 2, 2)
    values = {"inputs": inputs, "labels": np.array([0, 1, 0]), "class_names": ("no", "yes"), **changes}
    return Samples(**values)  # type: ignore[arg-type]


def test_inputs_and_labels_are_taken_together() -> None:
    taken = make_samples().take(np.array([2, 1]))
    assert (len(taken), taken.labels.tolist(), taken.inputs[:, 0, 0, 0].tolist()) == (2, [0, 1], [8, 4])


def test_inputs_without_a_label_each_are_a_bug() -> None:
    with pytest.raises(AssertionError):
        make_samples(labels=np.array([0, 1]))


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": np.arange(1, 13, dtype=np.uint8).reshape(3, 1, 2, 2)},
        {"inputs": np.arange(12, dtype=np.uint8).reshape(3, 1, 1, 4)},
        {"inputs": np.arange(12, dtype=np.int8).reshape(3, 1, 2, 2)},
        {"labels": np.array([0, 1, 1])},
        {"class_names": ("no", "maybe")},
    ],
    ids=["pixels", "shape", "type", "labels", "class names"],
)
def test_the_content_hash_tells_samples_apart_by(change: dict[str, object]) -> None:
    assert make_samples(**change).content_hash() != make_samples().content_hash()


def test_the_content_hash_does_not_depend_on_the_layout_in_memory() -> None:
    transposed = np.ascontiguousarray(make_samples().inputs.transpose(0, 1, 3, 2)).transpose(0, 1, 3, 2)
    assert make_samples(inputs=transposed).content_hash() == make_samples().content_hash()


def test_the_fingerprint_names_both_splits() -> None:
    train, test = make_samples(), make_samples().take(np.array([0]))
    print_ = fingerprint(train, test)
    assert (print_.train_sha256, print_.test_sha256) == (train.content_hash(), test.content_hash())
    assert (print_.num_train_samples, print_.num_test_samples) == (3, 1)
    assert ("uint8 1x2x2" in print_.inputs, print_.class_names) == (True, ("no", "yes"))
