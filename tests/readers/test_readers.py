"""Raw datasets on real files, damaged in every way that the error messages name."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kedro.io import DataCatalog, DatasetError
from PIL import Image

from thresher.errors import DataError
from thresher.modalities.samples import Samples
from thresher.readers import BundledDigits, IdxImages, ImageFolder
from thresher.readers.split import Split, SplitOptions, select_split

CLOTHES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
needs_data = pytest.mark.skipif(
    "THRESHER_TEST_DATA" not in os.environ, reason="THRESHER_TEST_DATA names no folder with fashion_mnist/ in it"
)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (4, 3, 5), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path, pixels: np.ndarray) -> Path:
    (tmp_path / "images.gz").write_bytes(gzip.compress(idx(pixels), mtime=0))
    (tmp_path / "labels").write_bytes(idx(np.array([0, 1, 1, 0], dtype=np.uint8)))
    return tmp_path


def entry(folder: Path, **changes: object) -> IdxImages:
    arguments = {"path": str(folder), "images": "images.gz", "labels": "labels", "class_names": ["cat", "dog"]}
    return IdxImages(**(arguments | {"fetch": "pets"} | changes))  # type: ignore[arg-type]


def error_of(dataset: IdxImages | ImageFolder) -> str:
    """Return the DataError's text, reached as a caller of Kedro reaches it."""
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert isinstance(caught.value.__cause__, DataError)
    assert str(caught.value.__cause__) in str(caught.value)
    return str(caught.value.__cause__)


def test_idx_gzip_and_plain_load_as_samples(folder: Path, pixels: np.ndarray) -> None:
    samples = entry(folder).load()
    np.testing.assert_array_equal(samples.inputs, pixels[:, None])
    assert samples.labels.tolist() == [0, 1, 1, 0]
    assert samples.labels.dtype == np.int64
    assert samples.class_names == ("cat", "dog")
    assert entry(folder).exists()


@given(st.integers(0, 5), st.integers(1, 6), st.integers(1, 6), st.booleans())
def test_idx_round_trip(tmp_path_factory: pytest.TempPathFactory, n: int, h: int, w: int, packed: bool) -> None:
    folder = tmp_path_factory.mktemp("idx")
    pixels = np.arange((n + 1) * h * w, dtype=np.uint8).reshape(n + 1, h, w)
    (folder / "images.gz").write_bytes(gzip.compress(idx(pixels), mtime=0) if packed else idx(pixels))
    (folder / "labels").write_bytes(idx(np.zeros(n + 1, dtype=np.uint8)))
    np.testing.assert_array_equal(entry(folder).load().inputs[:, 0], pixels)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("images.gz", b"GIF8 and more", "not an IDX file: it starts with 47 49 46 38"),
        ("images.gz", b"", "not an IDX file: it starts with nothing"),
        ("images.gz", b"\0\0\x0d\x03" + bytes(12), "IDX type 0x0d"),
        ("images.gz", idx(np.zeros((2, 2), np.uint8)), "2 dimensions, expected 3"),
        ("labels", idx(np.zeros((2, 2, 2), np.uint8)), "swapped in the catalog?"),
        ("images.gz", b"\0\0\x08\x03\0\0", "truncated within its header"),
        ("images.gz", idx(np.zeros((4, 3, 5), np.uint8))[:-7], "69 bytes, but 76 by its header (4 x 3 x 5)"),
        ("images.gz", gzip.compress(idx(np.zeros((4, 3, 5), np.uint8)), mtime=0)[:-12], "truncated or damaged gzip"),
        ("images.gz", b"\x1f\x8b" + bytes(30), "truncated or damaged gzip"),
        ("images.gz", idx(np.zeros((0, 3, 5), np.uint8)), "4 labels"),
        ("labels", idx(np.zeros(3, np.uint8)), "4 images in"),
        ("labels", idx(np.array([0, 1, 7, 9], np.uint8)), "label 7 of sample 2 has no class name (2 such labels"),
    ],
)
def test_damaged_idx_says_what_and_where(folder: Path, name: str, content: bytes, says: str) -> None:
    (folder / name).write_bytes(content)
    text = error_of(entry(folder))
    assert says in text
    assert str(folder / name) in text
    assert "Fix: " in text


def test_no_images_at_all(folder: Path) -> None:
    (folder / "images.gz").write_bytes(idx(np.zeros((0, 3, 5), np.uint8)))
    (folder / "labels").write_bytes(idx(np.zeros(0, np.uint8)))
    assert "holds no images" in error_of(entry(folder))


def test_missing_idx_names_the_fetch_command(folder: Path) -> None:
    (folder / "labels").unlink()
    assert "no such file. Fix: run 'thresher fetch pets'." in error_of(entry(folder))
    assert "correct the path in the catalog" in error_of(entry(folder, fetch=None))
    assert not entry(folder).exists()


def test_idx_that_is_a_folder(folder: Path) -> None:
    (folder / "labels").unlink()
    (folder / "labels").mkdir()
    assert "Is a directory" in error_of(entry(folder))


@pytest.mark.parametrize("dataset", [BundledDigits(split="test"), ImageFolder(path="nowhere")])
def test_raw_data_is_read_only(dataset: BundledDigits) -> None:
    with pytest.raises(DatasetError, match="read-only"):
        dataset.save("anything")


def test_catalog_makes_path_absolute_and_keeps_other_arguments(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The conversion that KedroContext applies, from another working directory."""
    from kedro.framework.context.context import _convert_paths_to_absolute_posix

    config = {
        "pets.train": {
            "type": "thresher.readers.IdxImages",
            "path": "data/01_raw",
            "images": "images.gz",
            "labels": "labels",
            "class_names": ["cat", "dog"],
            "metadata": {"kedro-viz": {"layer": "raw"}},
        }
    }
    (folder / "data").mkdir()
    (folder / "data" / "01_raw").symlink_to(folder)
    monkeypatch.chdir("/")
    catalog = DataCatalog.from_config(_convert_paths_to_absolute_posix(folder, config))
    assert len(catalog.load("pets.train")) == 4


@needs_data
def test_fashion_mnist_as_published() -> None:
    path = str(Path(os.environ["THRESHER_TEST_DATA"]) / "fashion_mnist")
    names = {"images": "t10k-images-idx3-ubyte.gz", "labels": "t10k-labels-idx1-ubyte.gz"}
    samples = IdxImages(path=path, **names, class_names=CLOTHES).load()
    assert samples.inputs.shape == (10_000, 1, 28, 28)
    assert np.bincount(samples.labels).tolist() == [1_000] * 10


def save_image(path: Path, value: int, mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode in ("L", "I;16") else (value, 0, 255 - value)).save(path)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for number in range(10):
        save_image(tmp_path / "dog" / f"{number}.png", 100 + number)
        save_image(tmp_path / "cat" / f"{number}.PNG", number)
    return tmp_path


def test_image_folder_order_classes_and_hidden_files(pictures: Path) -> None:
    (pictures / "cat" / ".DS_Store").write_bytes(b"junk")
    (pictures / ".git").mkdir()
    (pictures / "README.txt").write_text("where it is from")
    samples = ImageFolder(path=str(pictures)).load()
    assert samples.class_names == ("cat", "dog")
    assert samples.inputs.shape == (20, 3, 4, 6)
    assert samples.inputs[:, 0, 0, 0].tolist() == [*range(10), *range(100, 110)]
    assert samples.labels.tolist() == [0] * 10 + [1] * 10


def test_image_folder_grey_jpeg_and_resizing(tmp_path: Path) -> None:
    save_image(tmp_path / "a" / "1.jpg", 200, "L", (9, 7))
    save_image(tmp_path / "b" / "1.jpeg", 50, "RGB", (5, 5))
    samples = ImageFolder(path=str(tmp_path), channels=1, size=[3, 4]).load()
    assert samples.inputs.shape == (2, 1, 3, 4)
    assert abs(int(samples.inputs[0].mean()) - 200) <= 1


def test_image_folder_split_is_a_partition(pictures: Path) -> None:
    both = [
        ImageFolder(path=str(pictures), test_share=0.3, split=split, seed=5).load().inputs[:, 0, 0, 0].tolist()
        for split in ("train", "test")
    ]
    assert [len(part) for part in both] == [14, 6]
    assert sorted(both[0] + both[1]) == [*range(10), *range(100, 110)]


def test_image_folder_of_several_sizes(pictures: Path) -> None:
    save_image(pictures / "dog" / "big.png", 1, size=(8, 8))
    text = error_of(ImageFolder(path=str(pictures)))
    assert text.startswith(f"{pictures / 'dog' / 'big.png'}: 8x8 pixels (height x width), but 4x6 in ")
    assert "'size: [height, width]'" in text


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"not an image", "not a readable PNG or JPEG"), (None, "not a readable PNG or JPEG"), (b"", "not a readable")],
)
def test_image_folder_with_an_unreadable_file(pictures: Path, content: bytes | None, says: str) -> None:
    file = pictures / "cat" / "5.PNG"
    file.write_bytes(file.read_bytes()[:50] if content is None else content)
    text = error_of(ImageFolder(path=str(pictures)))
    assert text.startswith(f"{file}: {says}")


def test_image_of_sixteen_bits(pictures: Path) -> None:
    save_image(pictures / "cat" / "deep.png", 40_000, "I;16")
    assert "more than 8 bits" in error_of(ImageFolder(path=str(pictures)))


def test_image_bomb(pictures: Path) -> None:
    Image.new("1", (9_000, 9_000)).save(pictures / "cat" / "bomb.png")
    assert "9000x9000 pixels" in error_of(ImageFolder(path=str(pictures)))


def test_image_folder_missing_empty_or_loose(tmp_path: Path) -> None:
    assert "no such folder" in error_of(ImageFolder(path=str(tmp_path / "nowhere")))
    assert "holds no folders" in error_of(ImageFolder(path=str(tmp_path)))
    (tmp_path / "cat").mkdir()
    assert f"{tmp_path / 'cat'}: a class without images" in error_of(ImageFolder(path=str(tmp_path)))
    save_image(tmp_path / "stray.png", 3)
    assert f"{tmp_path / 'stray.png'}: an image outside of any class" in error_of(ImageFolder(path=str(tmp_path)))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"channels": 2}, "1 for grey or 3 for RGB"),
        ({"size": [28]}, r"\[height, width\]"),
        ({"split": "trian", "test_share": 0.2}, "Did you mean 'train'"),
        ({"split": "train"}, "test_share: missing beside 'split'"),
        ({"split": "train", "test_share": 1.0}, "between 0 and 1"),
        ({"test_share": 0.2}, "0.2 given without 'split'"),
    ],
)
def test_image_folder_refuses_arguments_before_reading(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(DataError, match=says):
        ImageFolder(path="nowhere", **arguments)  # type: ignore[arg-type]


def test_constructor_errors_reach_a_catalog_with_their_cause() -> None:
    with pytest.raises(DatasetError) as caught:
        DataCatalog.from_config({"d": {"type": "thresher.readers.BundledDigits", "split": "tset"}}).get("d")
    assert isinstance(caught.value.__cause__, DataError)
    assert "Did you mean 'test'?" in str(caught.value)


def test_bundled_digits() -> None:
    train, test = BundledDigits(split="train").load(), BundledDigits(split="test").load()
    assert len(train) + len(test) == 1_797
    assert abs(len(test) / 1_797 - 0.33) < 0.005
    assert train.inputs.shape[1:] == (1, 8, 8)
    assert train.inputs.dtype == np.uint8
    assert (train.inputs.min(), train.inputs.max()) == (0, 255)
    assert train.class_names == tuple("0123456789")
    assert test.content_hash() == BundledDigits(split="test").load().content_hash()
    assert test.content_hash() != BundledDigits(split="test", seed=1).load().content_hash()


PARTS: tuple[Split, Split] = ("train", "test")


@given(
    labels=st.lists(st.integers(-1, 4), min_size=1, max_size=60),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**31),
)
def test_split_is_a_stratified_partition(labels: list[int], share: float, seed: int) -> None:
    whole = Samples(np.arange(len(labels)), np.array(labels, dtype=np.int64), tuple("abcde"))
    if max(map(labels.count, labels)) == 1:  # no class has a sample for each side
        for split in PARTS:
            with pytest.raises(DataError, match="cannot be divided into train and test"):
                select_split(whole, SplitOptions(split=split, test_share=share, seed=seed))
        return
    train, test = (select_split(whole, SplitOptions(split=split, test_share=share, seed=seed)) for split in PARTS)
    assert sorted([*train.inputs, *test.inputs]) == list(range(len(labels)))
    for label in set(labels):
        count, in_test = labels.count(label), int((test.labels == label).sum())
        assert abs(in_test - count * share) <= 1
        if count > 1:
            assert 1 <= in_test < count
        else:
            assert in_test == 0
