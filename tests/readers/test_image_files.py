"""Images in .npz, Parquet and sheets: the same pixels whatever holds them, and each mistake with its place."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from kedro.io import DatasetError
from PIL import Image
from pyarrow import parquet

from thresher.errors import DataError
from thresher.modalities.image.decode import encode_png
from thresher.modalities.image.encoder import ImageEncoder
from thresher.modalities.image.preprocessing import Preprocessing
from thresher.modalities.samples import Samples
from thresher.pipelines.train.nodes import encode_samples
from thresher.readers import ImageFolder, ImageSheets, NpzImages, ParquetImages
from thresher.readers.base import RawSamples
from thresher.readers.image_arrays import PictureStack

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)
LABELS = [0, 1, 1, 0, 1, 0]
NAMES = ["cat", "dog"]


def error_of(dataset: RawSamples) -> str:
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert isinstance(caught.value.__cause__, DataError)
    return str(caught.value.__cause__)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def check(dataset: RawSamples, first_place: str) -> None:
    samples = dataset.load()
    np.testing.assert_array_equal(samples.inputs, PIXELS.transpose(0, 3, 1, 2))
    assert samples.inputs.dtype == np.uint8
    assert (samples.labels.tolist(), samples.class_names) == (LABELS, ("cat", "dog"))
    assert samples.place(0) == first_place


def npz(folder: Path, **arrays: Any) -> NpzImages:
    np.savez(folder / "x.npz", **arrays)
    return NpzImages(path=str(folder), file="x.npz", class_names=NAMES)


def test_npz(tmp_path: Path) -> None:
    check(npz(tmp_path, images=PIXELS, labels=np.array(LABELS)), "x.npz:1")
    check(npz(tmp_path, images=PIXELS, labels=np.array(NAMES)[LABELS]), "x.npz:1")
    grey = npz(tmp_path, images=PIXELS[..., 0], labels=np.array(LABELS)).load()
    assert grey.inputs.shape == (6, 1, 4, 5)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"image": PIXELS, "labels": LABELS}, "no array 'images'. Did you mean 'image'?"),
        ({"images": PIXELS / 255, "labels": LABELS}, "'images' is float64 [6, 4, 5, 3]. Fix: uint8"),
        ({"images": PIXELS[..., :2], "labels": LABELS}, "'images' is uint8 [6, 4, 5, 2]"),
        ({"images": PIXELS, "labels": LABELS[:5]}, "'labels' is int64 [5]. Fix: one number or text for each of the 6"),
        ({"images": PIXELS, "labels": [0, 1, 2, 0, 1, 7]}, "x.npz:3: label '2' is not declared"),
        ({"images": PIXELS, "labels": np.array(LABELS, dtype=object)}, "not a readable .npz file"),
    ],
)
def test_npz_with_mistakes(tmp_path: Path, arrays: dict[str, Any], says: str) -> None:
    assert says in error_of(npz(tmp_path, **arrays))


def test_npz_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 no")
    assert "not a readable .npz file" in error_of(NpzImages(path=str(tmp_path), file="x.npz"))
    assert "no such file" in error_of(NpzImages(path=str(tmp_path), file="y.npz"))


def write_parquet(folder: Path, images: list[Any], labels: list[Any] = LABELS, name: str = "x.parquet") -> None:
    parquet.write_table(pa.table({"image": images, "label": labels}), folder / name)


def pictures(folder: Path, **changes: Any) -> ParquetImages:
    return ParquetImages(path=str(folder), **({"file": "x.parquet", "class_names": NAMES} | changes))


def test_parquet_with_bytes_and_as_hugging_face_writes_it(tmp_path: Path) -> None:
    contents = [png(image) for image in PIXELS]
    write_parquet(tmp_path, contents)
    check(pictures(tmp_path), "x.parquet:1")
    write_parquet(tmp_path, [{"bytes": content, "path": "a.png"} for content in contents])
    check(pictures(tmp_path), "x.parquet:1")
    for part in range(2):
        write_parquet(tmp_path, contents[part * 3 : part * 3 + 3], LABELS[part * 3 : part * 3 + 3], f"{part}.parquet")
    check(pictures(tmp_path, file=["0.parquet", "1.parquet"]), "0.parquet:1")


def test_parquet_grey_and_resized(tmp_path: Path) -> None:
    write_parquet(tmp_path, [png(image) for image in PIXELS])
    assert pictures(tmp_path, channels=1, size=[2, 3]).load().inputs.shape == (6, 1, 2, 3)


def test_all_unreadable_images_are_told_together(tmp_path: Path) -> None:
    contents: list[Any] = [png(image) for image in PIXELS]
    contents[1], contents[3], contents[4] = b"not an image", None, png(PIXELS[0][:2])
    write_parquet(tmp_path, contents)
    text = error_of(pictures(tmp_path))
    assert text.startswith(f"{tmp_path / 'x.parquet'}:2: not a readable PNG or JPEG file")
    assert "x.parquet:4: not a readable" in text
    assert f"x.parquet:5: 2x5 pixels (height x width), but 4x5 in {tmp_path / 'x.parquet'}:1" in text


def test_parquet_columns(tmp_path: Path) -> None:
    write_parquet(tmp_path, ["text"] * 6)
    assert "column 'image' is of type string. Fix: the bytes of PNG" in error_of(pictures(tmp_path))
    assert "no column 'img' (the images)" in error_of(pictures(tmp_path, image="img"))
    assert "no column 'y' (the labels)" in error_of(pictures(tmp_path, label="y"))
    (tmp_path / "x.parquet").write_bytes(b"no")
    assert "not a readable Parquet file" in error_of(pictures(tmp_path))


def sheets(folder: Path, **changes: Any) -> ImageSheets:
    for number, part in enumerate((PIXELS[:4], PIXELS[4:], PIXELS[:4])):
        (folder / f"{number}.png").write_bytes(png(part.reshape(len(part), -1, 3)))
    (folder / "labels.json").write_text(json.dumps(LABELS))
    arguments = {"images": ["0.png", "1.png"], "labels": "labels.json", "size": [4, 5], "class_names": NAMES}
    return ImageSheets(path=str(folder), **(arguments | changes))


def test_sheets(tmp_path: Path) -> None:
    check(sheets(tmp_path), "0.png:1")
    assert sheets(tmp_path).load().place(4) == "1.png:1"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"images": ["0.png"]}, "4 images in the sheets, but 6 labels"),
        ({"images": ["0.png", "1.png", "2.png"]}, "10 images in the sheets, but 6 labels"),
        ({"size": [5, 5]}, "20 pixels in a row, but 5x5 are 25"),
        ({"class_names": ["cat"]}, "label '1' is not declared"),
        ({"labels": "0.png"}, "not JSON"),
        ({"images": ["labels.json"]}, "labels.json: not a readable PNG"),
        ({"images": ["9.png"]}, "9.png: no such file"),
    ],
)
def test_sheets_with_mistakes(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    assert says in error_of(sheets(tmp_path, **changes))


def test_an_image_folder_names_each_file_and_its_mistakes(tmp_path: Path) -> None:
    for number, image in enumerate(PIXELS):
        (tmp_path / NAMES[LABELS[number]]).mkdir(exist_ok=True)
        (tmp_path / NAMES[LABELS[number]] / f"{number}.png").write_bytes(png(image))
    samples = ImageFolder(path=str(tmp_path)).load()
    assert [samples.place(index) for index in (0, 5)] == ["cat/0.png", "dog/4.png"]
    for name in ("cat/3.png", "dog/2.png"):
        (tmp_path / name).write_bytes(b"damaged")
    text = error_of(ImageFolder(path=str(tmp_path)))
    assert text.startswith(f"{tmp_path / 'cat/3.png'}: not a readable")
    assert f"; {tmp_path / 'dog/2.png'}: not a readable" in text


@pytest.mark.oddity(
    "Images", "more pictures than there is memory for", "refused with both numbers, before the system ends the run"
)
def test_more_pictures_than_memory_are_refused_before_they_are_read() -> None:
    stack = PictureStack(60_000_000_000, 3, (224, 224))
    says = (
        r"^60,000,000,000 pictures of 224x224 pixels \(height x width\) and 3 channels need 9,031,680\.0 GB of memory, "
        r"and [\d,.]+ GB are free\. Fix: a smaller 'size'"
    )
    with pytest.raises(DataError, match=says):
        stack.add(encode_png(np.zeros((9, 9, 3), np.uint8)), "the first")


@pytest.mark.parametrize(("size", "gigabytes"), [(8, "64,000.0"), (4, "80,000.0")], ids=["as they are", "resized"])
def test_more_pictures_than_memory_are_refused_before_they_are_copied(size: int, gigabytes: str) -> None:
    many, few = (
        Samples(np.broadcast_to(np.uint8(0), (count, 1, 8, 8)), np.broadcast_to(np.int64(0), count), ("no",))
        for count in (10**12, 5)
    )
    encoding = Preprocessing(channels=1, size=(size, size), mean=(0,), std=(1,)) if size != 8 else None
    encoder = ImageEncoder(
        channels=1, height=8, width=8, mean=(0,), std=(1,), class_names=("no",), preprocessing=encoding
    )
    with pytest.raises(DataError, match=rf"^a copy of 1,000,000,000,000 pictures.* need {gigabytes} GB of memory"):
        encode_samples(many, few, np.zeros(1, bool), encoder)
