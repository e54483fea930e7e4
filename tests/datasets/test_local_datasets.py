"""What Thresher writes, it reads back; a crash leaves the old file, and nothing beside it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kedro.io import DatasetError

from thresher.datasets.local import (
    ArrayDataset,
    DocumentDataset,
    FolderDataset,
    LocalDataset,
    OnnxDataset,
    SamplesDataset,
)
from thresher.datasets.networks import CheckpointsDataset, NetworkDataset
from thresher.errors import DataError
from thresher.files import replacing_file, replacing_folder
from thresher.modalities.image.encoder import ImageEncoder
from thresher.modalities.samples import Samples

ENCODER = ImageEncoder(channels=1, mean=(0.0,), std=(1.0,), height=2, width=3, class_names=("a", "ü"))


def make_samples(num_samples: int = 4) -> Samples:
    inputs = np.arange(num_samples * 6, dtype=np.uint8).reshape(num_samples, 1, 2, 3)
    return Samples(inputs, np.arange(num_samples, dtype=np.int64) % 2, ("T-shirt/top", "größe, 2"))


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_samples_round_trip(tmp_path: Path) -> None:
    dataset = SamplesDataset(str(tmp_path / "deep" / "samples"))
    assert not dataset.exists()
    samples = make_samples()
    dataset.save(samples)
    loaded = dataset.load()
    assert dataset.exists()
    np.testing.assert_array_equal(loaded.inputs, samples.inputs)
    assert (loaded.inputs.dtype, loaded.labels.dtype) == (np.uint8, np.int64)
    assert loaded.class_names == samples.class_names
    assert all(type(name) is str for name in loaded.class_names)
    assert loaded.content_hash() == samples.content_hash()
    assert loaded.places is None


def test_samples_are_mapped_and_not_read(tmp_path: Path) -> None:
    dataset = SamplesDataset(str(tmp_path / "samples"))
    dataset.save(make_samples())
    assert isinstance(dataset.load().inputs, np.memmap)
    again = SamplesDataset(str(tmp_path / "again"))
    again.save(dataset.load())  # from one file to the other
    np.testing.assert_array_equal(again.load().inputs, make_samples().inputs)
    dataset.save(dataset.load())  # onto itself
    np.testing.assert_array_equal(dataset.load().inputs, make_samples().inputs)


def test_places_and_values_survive(tmp_path: Path) -> None:
    places = np.array(["größe.csv:2", "größe.csv:3"], dtype=object)
    dataset = SamplesDataset(str(tmp_path / "samples"))
    dataset.save(Samples(np.array([[1.5], [np.nan]], np.float32), np.array([0.1, 2.0]), (), places))
    loaded = dataset.load()
    assert [loaded.place(index) for index in range(2)] == list(places)
    np.testing.assert_array_equal(loaded.labels, [0.1, 2.0])
    assert (loaded.class_names, loaded.task, loaded.inputs.dtype) == ((), "regression", np.float32)


def test_checkpoints_are_always_there_and_never_change(tmp_path: Path) -> None:
    dataset = CheckpointsDataset(str(tmp_path / "checkpoints"))
    assert dataset.exists()
    before = dataset.fingerprint(lambda path: "content")
    checkpoints = dataset.load()
    checkpoints.save("float", "key", {"step": 1})
    assert files_below(tmp_path / "checkpoints") == ["float-key.safetensors"]
    assert dataset.fingerprint(lambda path: "other content") == before
    assert CheckpointsDataset(str(tmp_path / "checkpoints")).load().load("float", "key") == {"step": 1}
    with pytest.raises(DatasetError, match="only trainings write here"):
        dataset.save(checkpoints)


def test_empty_samples_round_trip(tmp_path: Path) -> None:
    dataset = SamplesDataset(str(tmp_path / "samples"))
    dataset.save(make_samples(0))
    assert len(dataset.load()) == 0


def test_array_onnx_and_folder_round_trip(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    docs = {"index.html": b"<html>", "static/deep/style.css": b"\0\xff"}
    values: list[tuple[LocalDataset[Any], Any]] = [
        (OnnxDataset(str(tmp_path / "model.onnx")), b"\x08\x0a"),
        (FolderDataset(str(tmp_path / "docs")), docs),
    ]
    for dataset, value in values:
        dataset.save(value)
        assert dataset.load() == value
    ArrayDataset(str(tmp_path / "array.npy")).save(array)
    np.testing.assert_array_equal(ArrayDataset(str(tmp_path / "array.npy")).load(), array)


def test_folder_saved_again_holds_nothing_of_before(tmp_path: Path) -> None:
    dataset = FolderDataset(str(tmp_path / "docs"))
    dataset.save({"old.html": b"old", "index.html": b"1"})
    dataset.save({"index.html": b"2"})
    assert dataset.load() == {"index.html": b"2"}
    assert files_below(tmp_path) == ["docs/index.html"]


def test_document_round_trip(tmp_path: Path) -> None:
    dataset = DocumentDataset(str(tmp_path / "encoder.json"), "encoder")
    dataset.save(ENCODER)
    assert dataset.load() == ENCODER
    assert (tmp_path / "encoder.json").read_text(encoding="utf-8").endswith("}\n")


@pytest.mark.parametrize("name", sorted(DocumentDataset.DOCUMENTS))
def test_every_document_has_its_class(name: str, tmp_path: Path) -> None:
    path = tmp_path / "document.json"
    path.write_text('{"unknown": 1}')
    with pytest.raises(DatasetError, match=r"validation errors? for "):
        DocumentDataset(str(path), name).load()


def test_network_round_trip_without_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    import torch

    from thresher.modalities.image.model_input import ImageInput
    from thresher.modalities.outputs import ClassOutput
    from thresher.models.lenet import LeNet
    from thresher.models.network import Network, NetworkSpec

    monkeypatch.setattr(pickle, "Unpickler", None)
    torch.manual_seed(0)
    image = ImageInput(channels=1, height=28, width=28, mean=(7.0,), std=(9.0,))
    network = Network(NetworkSpec(model=LeNet(), input=image, output=ClassOutput(num_classes=3)))
    dataset = NetworkDataset(str(tmp_path / "network"))
    dataset.save(network)
    images = torch.randint(0, 256, (4, 1, 28, 28), dtype=torch.uint8)
    torch.testing.assert_close(dataset.load()(images), network.eval()(images))
    assert files_below(tmp_path / "network") == ["network.json", "weights.safetensors"]


def pickled_array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return file.getvalue()


def test_pickles_are_refused(tmp_path: Path) -> None:
    (tmp_path / "array.npy").write_bytes(pickled_array())
    with pytest.raises(DatasetError, match="allow_pickle=False"):
        ArrayDataset(str(tmp_path / "array.npy")).load()
    SamplesDataset(str(tmp_path / "samples")).save(make_samples(1))
    for name in ("inputs.npy", "labels.npy"):
        before = (tmp_path / "samples" / name).read_bytes()
        (tmp_path / "samples" / name).write_bytes(pickled_array())
        with pytest.raises(DatasetError, match=r"not readable .*(pickle|Python objects)"):
            SamplesDataset(str(tmp_path / "samples")).load()
        (tmp_path / "samples" / name).write_bytes(before)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY damaged", b"{"])
@pytest.mark.parametrize("name", ["inputs.npy", "labels.npy", "names.json"])
def test_damaged_samples_say_what_to_do(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "samples"
    SamplesDataset(str(path)).save(make_samples())
    (path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=r"samples: not readable .* Delete it and run again") as caught:
        SamplesDataset(str(path)).load()
    assert isinstance(caught.value.__cause__, DataError)


def test_half_of_the_samples_is_damage_too(tmp_path: Path) -> None:
    SamplesDataset(str(tmp_path / "samples")).save(make_samples(4))
    np.save(tmp_path / "samples" / "labels.npy", np.zeros(3, np.int64))
    with pytest.raises(DatasetError, match="4 inputs and 3 labels of 4 samples"):
        SamplesDataset(str(tmp_path / "samples")).load()


@pytest.mark.parametrize("dataset", [SamplesDataset, ArrayDataset, OnnxDataset, NetworkDataset, FolderDataset])
def test_what_was_not_made_yet_says_what_to_run(dataset: Callable[[str], LocalDataset[Any]], tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"missing: not there yet\. Run .* \(kedro run --pipeline RECIPE") as caught:
        dataset(str(tmp_path / "missing")).load()
    assert isinstance(caught.value.__cause__, DataError)


def test_damaged_array_and_document_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"{")
    for dataset in (ArrayDataset(str(tmp_path / "file")), DocumentDataset(str(tmp_path / "file"), "verdict")):
        with pytest.raises(DatasetError, match="Delete it and run again"):
            dataset.load()


def fill_file(path: Path) -> None:
    path.write_bytes(b"half of it")
    raise KeyboardInterrupt


def fill_folder(path: Path) -> None:
    (path / "first").write_bytes(b"half of it")
    raise KeyboardInterrupt


def test_crash_while_writing_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), replacing_file(path) as beside:
        fill_file(beside)
    assert path.read_bytes() == b"old"
    assert files_below(tmp_path) == ["model.onnx"]


def test_crash_while_filling_leaves_the_old_folder_alone(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "old.html").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), replacing_folder(folder) as beside:
        fill_folder(beside)
    assert files_below(tmp_path) == ["docs/old.html"]
    assert [path.name for path in tmp_path.iterdir()] == ["docs"]


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (lambda path: ArrayDataset(str(path)), np.array([object()], dtype=object)),
        (lambda path: OnnxDataset(str(path)), "text is no bytes"),
        (lambda path: DocumentDataset(str(path), "encoder"), object()),
    ],
)
def test_value_that_cannot_be_saved_leaves_nothing(
    make: Callable[[Path], LocalDataset[Any]], value: Any, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(DatasetError):
        make(path).save(value)
    assert path.read_bytes() == b"old"
    assert files_below(tmp_path) == ["file"]
