"""The one decoder of pictures: what it gives is what a viewer shows, at both ends, or it refuses with a reason."""

from __future__ import annotations

import io
import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kedro.io import DatasetError
from PIL import Image, ImageOps

from thresher.errors import DataError, InvalidInputError
from thresher.modalities.image.decode import PictureError, check_background, decode_picture
from thresher.modalities.image.encoder import ImageEncoder, ImageEncoding
from thresher.modalities.samples import Samples
from thresher.modalities.split_compatibility import require_agreement
from thresher.readers import ImageFolder, NpzImages, ParquetImages

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)


def file(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def decode(content: bytes, channels: int = 3, background: Any = None, **options: Any) -> np.ndarray:
    return decode_picture(content, channels, check_background(background), max_pixels=10_000, **options)


def oriented(orientation: int, kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return file(Image.fromarray(PIXELS), kind, exif=exif, **({"quality": 95} if kind == "JPEG" else {}))


@pytest.mark.oddity(
    "Images", "a photograph with an EXIF orientation, all eight", "is turned, in training and in the service"
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(10))
def test_a_picture_is_turned_as_its_exif_says(orientation: int, kind: str) -> None:
    content = oriented(orientation, kind)
    shown = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    assert shown.shape == ((5, 3, 3) if 5 <= orientation <= 8 else (3, 5, 3))
    np.testing.assert_array_equal(decode(content), shown)


def test_a_damaged_exif_is_none() -> None:
    content = file(Image.fromarray(PIXELS), exif=b"Exif\0\0MM\0*" + bytes([255] * 40))
    np.testing.assert_array_equal(decode(content), PIXELS)


def test_both_ends_turn_and_want_the_size_after_turning() -> None:
    encoder = ImageEncoder(channels=3, mean=(0,) * 3, std=(1,) * 3, height=5, width=3, class_names=("no", "yes"))
    assert encoder.encode_file(oriented(6, "PNG")).shape == (1, 3, 5, 3)
    for orientation in (1, 3):
        with pytest.raises(InvalidInputError, match=r"Image of 3x5 \(height x width\) pixels\. Expected"):
            encoder.encode_file(oriented(orientation, "PNG"))


def clear(mode: str) -> tuple[Image.Image, dict[str, Any]]:
    """Return a picture of 1x2 of which the left pixel is clear and the right one is red or its grey."""
    grey = 76
    if mode == "RGBA":
        return Image.fromarray(np.array([[[9, 8, 7, 0], [255, 0, 0, 255]]], np.uint8)), {}
    if mode == "LA":
        return Image.fromarray(np.array([[[9, 0], [grey, 255]]], np.uint8), "LA"), {}
    image = Image.fromarray(np.array([[9, grey]], np.uint8))
    if mode == "L":
        return image, {"transparency": 9}
    if mode == "1":
        return Image.fromarray(np.array([[255, 0]], np.uint8)).convert("1"), {"transparency": 1}
    if mode == "RGB":
        return Image.fromarray(np.array([[[9, 8, 7], [255, 0, 0]]], np.uint8)), {"transparency": (9, 8, 7)}
    palette = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    palette.putpalette([9, 8, 7, 255, 0, 0])
    return palette, {"transparency": bytes([0, 255]) if mode == "PA" else 0}


@pytest.mark.oddity(
    "Images",
    "transparent pixels: RGBA, LA, palettes, a transparent colour",
    "are laid on the declared background, in training and in the service; refused without one",
)
@pytest.mark.parametrize("mode", ["RGBA", "LA", "L", "1", "RGB", "P", "PA"])
def test_transparent_pixels_show_the_background_or_are_refused(mode: str) -> None:
    image, options = clear(mode)
    content = file(image, **options)
    with pytest.raises(PictureError, match=r"not opaque, and no background is declared.*background: white"):
        decode(content)
    for background, colour in (("white", [255] * 3), ("black", [0] * 3), ([10, 200, 30], [10, 200, 30])):
        assert decode(content, background=background)[0, 0].tolist() == colour
    right = {"LA": [76] * 3, "L": [76] * 3, "1": [0] * 3}.get(mode, [255, 0, 0])
    assert decode(content, background="white")[0, 1].tolist() == right
    assert decode(content, channels=1, background="white")[0, 0].tolist() == [255]


def test_half_clear_pixels_are_mixed() -> None:
    content = file(Image.fromarray(np.array([[[0, 0, 0, 128]]], np.uint8)))
    assert abs(int(decode(content, background="white")[0, 0, 0]) - 127) <= 1


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_that_is_opaque_everywhere_needs_no_background(mode: str) -> None:
    content = file(Image.fromarray(PIXELS).convert(mode))
    np.testing.assert_array_equal(decode(content), np.asarray(Image.fromarray(PIXELS).convert(mode).convert("RGB")))


def test_a_transparent_colour_of_a_turned_picture_is_still_transparent() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = file(Image.fromarray(PIXELS), exif=exif, transparency=tuple(map(int, PIXELS[0, 0])))
    assert decode(content, background="black")[0, -1].tolist() == [0, 0, 0]


def png(depth: int, kind: int, row: bytes, transparent: bytes) -> bytes:
    """Return a PNG of 1x2 as Pillow does not write it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 2, 1, depth, kind, 0, 0, 0)
    parts = ((b"IHDR", header), (b"tRNS", transparent), (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, data) for name, data in parts)


@pytest.mark.parametrize(
    ("depth", "row", "transparent", "other"),
    [(1, 0b01000000, 1, 0), (2, 0b01110000, 1, 255), (4, 0x3F, 3, 255), (2, 0b11010000, 3, 85)],
)
def test_a_transparent_grey_of_few_bits_is_transparent(depth: int, row: int, transparent: int, other: int) -> None:
    content = png(depth, 0, bytes([row]), struct.pack(">H", transparent))
    with pytest.raises(PictureError, match="not opaque"):
        decode(content)
    shown = decode(content, background=[1, 2, 3])[0].tolist()
    assert sorted(shown) == sorted([[1, 2, 3], [other] * 3])


def test_a_transparent_colour_of_sixteen_bits_is_refused() -> None:
    row, colour = struct.pack(">6H", 1, 2, 3, 256, 0, 0), struct.pack(">3H", 1, 2, 3)
    with pytest.raises(PictureError, match="a transparent colour in more than 8 bits"):
        decode(png(16, 2, row, colour), background="white")


def animated(kind: str) -> bytes:
    frames = [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
    return file(frames[0], kind, save_all=True, append_images=frames[1:])


@pytest.mark.oddity(
    "Images",
    "animations, GIF, WebP, TIFF, HEIC, cut files, pixel bombs, 16-bit grey",
    "are refused with what they are and what to do",
)
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (animated("PNG"), "an animation of 2 pictures"),
        (animated("GIF"), "of type GIF, not a PNG or JPEG. Fix: convert it"),
        (animated("WEBP"), "of type WebP"),
        (animated("TIFF"), "of type TIFF"),
        (file(Image.fromarray(PIXELS), "BMP"), "of type BMP"),
        (b"\0\0\0\x1cftypheic" + bytes(40), "a HEIC, AVIF or video file"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "of type SVG"),
        (b"", "not a readable PNG or JPEG file (empty)"),
        (b"GI", "not a readable PNG or JPEG file"),
        (file(Image.fromarray(PIXELS))[:60], "not a readable PNG or JPEG file"),
        (file(Image.fromarray(np.tile(PIXELS, (20, 20, 1))), "JPEG")[:-400], "not a readable PNG or JPEG file"),
        (file(Image.new("L", (101, 100))), "101x100 pixels. Fix: at most 10,000 are read."),
        (file(Image.fromarray(np.full((3, 2), 4_000, np.uint16))), "more than 8 bits a channel (mode I;16)"),
    ],
)
def test_what_is_no_single_picture_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(PictureError) as caught:
        decode(content)
    assert says in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.oddity("Images", "a JPEG with a second picture inside (MPO)", "is its first picture, as viewers show it")
def test_a_photograph_with_a_preview_inside_is_its_first_picture() -> None:
    content = animated("MPO")
    np.testing.assert_array_equal(decode(content), np.asarray(Image.open(io.BytesIO(content)).convert("RGB")))


@pytest.mark.oddity("Images", "a JPEG in CMYK", "is turned into RGB; colour profiles are not applied")
@pytest.mark.parametrize("colour", [(0, 0, 0, 0), (255, 0, 0, 0), (0, 0, 0, 255)])
def test_a_cmyk_jpeg_has_the_colours_of_its_inks(colour: tuple[int, int, int, int]) -> None:
    content = file(Image.new("CMYK", (8, 8), colour), "JPEG", quality=95)
    cyan, magenta, yellow, black = colour
    expected = [255 - min(255, ink + black) for ink in (cyan, magenta, yellow)]
    assert np.abs(decode(content)[4, 4].astype(int) - expected).max() <= 4


def test_one_bit_is_black_and_white() -> None:
    assert decode(file(Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1")), 1).ravel().tolist() == [0, 255]


@pytest.mark.parametrize("background", ["green", [1, 2], [1, 2, 256], [1, 2, True], 3, "", [0.5, 0, 0]])
def test_a_background_that_is_no_colour_is_refused_before_reading(background: Any) -> None:
    for build in (
        lambda: ImageFolder(path="x", background=background),
        lambda: ParquetImages(file="x", background=background),
    ):
        with pytest.raises(DataError, match="background"):
            build()


# Icons whose shape lies in the alpha channel; under the clear pixels stands whatever the editor left (case 11).
def icons(folder: Path, flat: bool) -> Path:
    random = np.random.default_rng(0)
    for number, name in enumerate(("cross", "square")):
        (folder / name).mkdir(parents=True)
        for index in range(10):
            alpha = np.zeros((12, 12), np.uint8)
            alpha[2:9, 2:9] = 255 * number
            alpha[5, 2:9] = alpha[2:9, 5] = 255
            image = Image.fromarray(np.dstack([random.integers(0, 256, (12, 12, 3), dtype=np.uint8), alpha]))
            if flat:
                below = Image.new("RGBA", image.size, "white")
                below.alpha_composite(image)
                image = below.convert("RGB")
            image.save(folder / name / f"{index}.png")
    return folder


def test_icons_are_read_as_they_look_and_the_service_reads_them_alike(tmp_path: Path) -> None:
    clear_folder, flat_folder = icons(tmp_path / "clear", flat=False), icons(tmp_path / "flat", flat=True)
    with pytest.raises(DatasetError, match=r"not opaque.*and 15 more.*background: white"):
        ImageFolder(path=str(clear_folder)).load()
    read = ImageFolder(path=str(clear_folder), background="white").load()
    np.testing.assert_array_equal(read.inputs, ImageFolder(path=str(flat_folder)).load().inputs)

    fitted = ImageEncoder.fit(read.take(np.arange(10)), ImageEncoding())
    encoder = ImageEncoder.model_validate_json(fitted.model_dump_json())
    content = (clear_folder / "cross" / "0.png").read_bytes()
    np.testing.assert_array_equal(encoder.encode_file(content), read.inputs[:1])
    unaware = encoder.model_copy(update={"background": None})
    with pytest.raises(InvalidInputError, match="Pixels that are not opaque, and no background is declared"):
        unaware.encode_file(content)
    with pytest.raises(DataError, match="background of train"):
        require_agreement(read, ImageFolder(path=str(flat_folder)).load())


def test_upside_down_photographs_are_read_upright(tmp_path: Path) -> None:
    """Case 12: half of the photographs were taken with the telephone upside down."""
    for name, tag in (("plain", 0), ("tagged", 3)):
        for label in ("down", "up"):
            pixels = np.full((16, 16), 20, np.uint8)
            pixels[slice(8) if label == "up" else slice(8, 16)] = 200
            exif, image = Image.Exif(), Image.fromarray(pixels)
            if tag:
                image, exif[0x0112] = image.rotate(180), tag
            (tmp_path / name / label).mkdir(parents=True)
            image.save(tmp_path / name / label / "1.jpg", quality=95, exif=exif)
    tagged, plain = (ImageFolder(path=str(tmp_path / name), channels=1).load() for name in ("tagged", "plain"))
    assert np.abs(tagged.inputs.astype(int) - plain.inputs).max() <= 2


def test_parquet_images_have_a_background_and_are_turned(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    contents = [file(clear("RGBA")[0]), file(clear("LA")[0])]
    parquet.write_table(pa.table({"image": contents, "label": ["a", "b"]}), tmp_path / "x.parquet")
    with pytest.raises(DatasetError, match=r"x.parquet:1.*not opaque"):
        ParquetImages(path=str(tmp_path), file="x.parquet").load()
    samples = ParquetImages(path=str(tmp_path), file="x.parquet", background=[1, 2, 3]).load()
    assert samples.inputs[0, :, 0, 0].tolist() == [1, 2, 3]
    assert samples.background == (1, 2, 3)


@pytest.mark.oddity(
    "Images",
    "a folder with other files, or folders within the folder of a class",
    "are refused by name; none is left out",
)
def test_files_in_a_folder_that_are_not_read_are_named(tmp_path: Path) -> None:
    for place in ("cat/1.PNG", "dog/1.JPG", "dog/inner/2.png", "dog/3.webp", "cat/notes.txt"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        kind = {".PNG": "PNG", ".png": "PNG", ".JPG": "JPEG", ".webp": "WEBP"}.get(Path(place).suffix)
        (tmp_path / place).write_bytes(file(Image.fromarray(PIXELS), kind) if kind else b"see below")
    with pytest.raises(DatasetError) as caught:
        ImageFolder(path=str(tmp_path)).load()
    text = str(caught.value)
    assert "3.webp: a file of type WebP" in text
    assert "inner: a folder within the folder of a class" in text
    assert "notes.txt: not a readable PNG or JPEG" in text
    (tmp_path / "loose.webp").write_bytes(file(Image.fromarray(PIXELS), "WEBP"))
    with pytest.raises(DatasetError, match=r"loose.webp: an image outside of any class"):
        ImageFolder(path=str(tmp_path)).load()


def test_what_file_managers_leave_in_a_folder_is_no_picture(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(file(Image.fromarray(PIXELS)))
        for left in (".DS_Store", "Thumbs.db", "desktop.ini"):
            (tmp_path / name / left).write_bytes(b"left")
    assert len(ImageFolder(path=str(tmp_path)).load()) == 2


def test_links_are_followed_and_dead_ones_named(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.png").write_bytes(file(Image.fromarray(PIXELS)))
    for name in ("cat", "dog"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "1.png").symlink_to(tmp_path / "elsewhere.png")
    assert len(ImageFolder(path=str(tmp_path / "data")).load()) == 2
    (tmp_path / "data" / "dog" / "2.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(DatasetError, match=r"2\.png: No such file or directory"):
        ImageFolder(path=str(tmp_path / "data")).load()


@pytest.mark.oddity("Images", "64-bit integers as labels of an NPZ, also big-endian", "are read exactly")
@pytest.mark.parametrize("labels", [np.array([2**53, 2**53 + 1]), np.array([2**63, 2**63 + 1], np.uint64)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_whole_numbers_in_arrays_are_classes_of_their_own(tmp_path: Path, labels: np.ndarray, order: str) -> None:
    np.savez(
        tmp_path / "x.npz", images=np.zeros((2, 3, 4), np.uint8), labels=labels.astype(labels.dtype.newbyteorder(order))
    )
    samples = NpzImages(path=str(tmp_path), file="x.npz").load()
    assert samples.class_names == tuple(map(str, labels.tolist()))
    assert samples.labels.tolist() == [0, 1]


@pytest.mark.oddity("Images", "an NPZ with Python objects", "is refused, never unpickled")
def test_arrays_of_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=np.zeros((2, 3, 4), np.uint8), labels=np.array([{}, 1], object))
    with pytest.raises(DatasetError, match=r"not a readable .npz file"):
        NpzImages(path=str(tmp_path), file="x.npz").load()


def test_samples_keep_their_background_when_some_are_taken() -> None:
    samples = Samples(np.zeros((2, 3, 1, 1), np.uint8), np.zeros(2, np.int64), ("a",), background=(1, 2, 3))
    assert samples.take(np.array([0])).background == (1, 2, 3)
