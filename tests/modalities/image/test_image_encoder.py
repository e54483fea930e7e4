"""The one encoder: every way to write an image gives the same tensor, everything else is refused with a reason."""

import io
import tracemalloc
from typing import Any

import numpy as np
import pytest
from PIL import Image

from thresher.errors import DataError, InvalidInputError
from thresher.modalities.description import describe
from thresher.modalities.image.decode import encode_png
from thresher.modalities.image.encoder import ImageEncoder, ImageEncoding
from thresher.modalities.samples import Samples

GREY = ImageEncoder(channels=1, mean=(0.0,), std=(1.0,), height=3, width=2, class_names=("no", "yes"))
COLOUR = ImageEncoder(
    channels=3,
    mean=(
        0.0,
        0.0,
        0.0,
    ),
    std=(
        1.0,
        1.0,
        1.0,
    ),
    height=3,
    width=2,
    class_names=("no", "yes"),
)
GREY_PIXELS = np.arange(6, dtype=np.uint8).reshape(3, 2) * 40
COLOUR_PIXELS = np.arange(18, dtype=np.uint8).reshape(3, 2, 3) * 14


def image_file(pixels: np.ndarray, kind: str = "PNG", mode: str | None = None) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(
    "pixels",
    [
        GREY_PIXELS,
        GREY_PIXELS[..., None],
        GREY_PIXELS[None],
        GREY_PIXELS[None, ..., None],
        GREY_PIXELS.tolist(),
        GREY_PIXELS[None].tolist(),
        GREY_PIXELS.astype(np.int64),
        GREY_PIXELS.astype(np.float32),
        np.asfortranarray(GREY_PIXELS),
    ],
    ids=["HW", "HWC", "NHW", "NHWC", "lists", "list of lists", "int64", "whole floats", "Fortran order"],
)
def test_every_way_to_write_a_grey_image_gives_the_same_tensor(pixels: Any) -> None:
    encoded = GREY.encode_array(pixels)
    assert (encoded.dtype, encoded.shape, encoded.flags.c_contiguous) == (np.uint8, (1, 1, 3, 2), True)
    assert np.array_equal(encoded[0, 0], GREY_PIXELS)


@pytest.mark.parametrize("pixels", [COLOUR_PIXELS, COLOUR_PIXELS[None], COLOUR_PIXELS.tolist()])
def test_every_way_to_write_a_colour_image_gives_the_same_tensor(pixels: Any) -> None:
    encoded = COLOUR.encode_array(pixels)
    assert (encoded.shape, encoded.flags.c_contiguous) == ((1, 3, 3, 2), True)
    assert np.array_equal(encoded[0].transpose(1, 2, 0), COLOUR_PIXELS)


def test_a_batch_keeps_its_order() -> None:
    batch = np.stack([GREY_PIXELS, 255 - GREY_PIXELS])
    assert np.array_equal(GREY.encode_array(batch), batch[:, None])


@pytest.mark.parametrize(
    ("encoder", "pixels", "reason"),
    [
        (GREY, [[1, 2], [3, 4]], r"Shape \[2, 2\] given"),
        (GREY, [], r"Shape \[0\] given"),
        (GREY, np.zeros((0, 3, 2), np.uint8), r"Shape \[0, 3, 2\] given"),
        (GREY, np.zeros((1, 1, 3, 2), np.uint8), r"Shape \[1, 1, 3, 2\] given"),
        (GREY, COLOUR_PIXELS, r"Shape \[3, 2, 3\] given"),
        (COLOUR, GREY_PIXELS, r"Shape \[3, 2\] given"),
        (GREY, 7, "An image cannot be a number"),
        (GREY, None, "An image cannot be null"),
        (GREY, False, "An image cannot be true/false"),
        (GREY, "image.png", "An image cannot be text"),
        (GREY, {"pixels": 1}, "An image cannot be an object"),
        (GREY, np.array(7), r"Shape \[\] given"),
        (GREY, [[1, 2], [3, 4], [5]], "Rows of unequal length"),
        (GREY, [[[[[1]]]]], "Lists nested more than 4 deep"),
        (GREY, [[1, 2], [3, 4], [5, 256]], "Pixels from 1 to 256 given"),
        (GREY, [[1, 2], [3, 4], [5, -1]], "Pixels from -1 to 5 given"),
        (GREY, [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], "multiplied by 255"),
        (GREY, [[1, 2], [3, 4], [5, float("nan")]], "Pixels from nan to nan given"),
        (GREY, [[1, 2], [3, 4], [5, float("inf")]], "Pixels from 1.0 to inf given"),
        (GREY, [[1, 2], [3, 4], [5, 10**400]], "got mixed or missing values"),
        (GREY, [[1, 2], [3, 4], [5, True]], "got true/false"),
        (GREY, [["1", "2"], [3, 4], [5, 6]], "got text"),
        (GREY, [[1, 2], [3, 4], [5, None]], "got null"),
        (GREY, [[1, 2], [3, 4], [5, {}]], "got an object"),
        (GREY, GREY_PIXELS > 3, "got true/false"),
        (GREY, GREY_PIXELS.astype(str), "got text"),
        (GREY, GREY_PIXELS.astype(complex), "got complex128"),
    ],
)
def test_everything_else_is_refused_with_what_was_given_and_expected(
    encoder: ImageEncoder, pixels: Any, reason: str
) -> None:
    with pytest.raises(InvalidInputError, match=reason) as caught:
        encoder.encode_array(pixels)
    assert encoder.expected in str(caught.value)


def test_a_png_of_grey_gives_its_pixels() -> None:
    assert np.array_equal(GREY.encode_file(image_file(GREY_PIXELS)), GREY_PIXELS[None, None])


def test_a_png_of_colour_gives_its_pixels() -> None:
    expected = COLOUR_PIXELS.transpose(2, 0, 1)[None]
    assert np.array_equal(COLOUR.encode_file(image_file(COLOUR_PIXELS)), expected)
    assert np.array_equal(COLOUR.encode_file(image_file(COLOUR_PIXELS, mode="RGBA")), expected)


def test_a_jpeg_gives_nearly_its_pixels() -> None:
    flat = np.full((3, 2), 100, np.uint8)
    assert np.abs(GREY.encode_file(image_file(flat, "JPEG")).astype(int) - 100).max() <= 2


def test_colour_is_turned_into_grey_for_a_grey_model() -> None:
    encoded = GREY.encode_file(image_file(np.stack([GREY_PIXELS] * 3, axis=-1)))
    assert np.array_equal(encoded, GREY_PIXELS[None, None])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Not a readable PNG or JPEG file"),
        (b"not an image", "Not a readable PNG or JPEG file"),
        (image_file(GREY_PIXELS)[:40], "Not a readable PNG or JPEG file"),
        (image_file(GREY_PIXELS, "GIF"), "A file of type GIF, not a PNG or JPEG"),
        (image_file(GREY_PIXELS.T), r"Image of 2x3 \(height x width\) pixels"),
        (image_file(GREY_PIXELS.astype(np.uint16) * 256), "More than 8 bits a channel"),
    ],
    ids=["empty", "text", "cut short", "GIF", "turned", "16 bits"],
)
def test_files_that_are_no_such_image_are_refused(content: bytes, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        GREY.encode_file(content)


def test_the_encoder_is_fitted_to_shape_and_classes_and_survives_json() -> None:
    samples = Samples(np.zeros((4, 3, 5, 6), np.uint8), np.zeros(4, np.int64), ("no", "yes"))
    encoder = ImageEncoder.fit(samples, ImageEncoding())
    assert encoder == ImageEncoder(
        channels=3,
        mean=(
            0.0,
            0.0,
            0.0,
        ),
        std=(
            1.0,
            1.0,
            1.0,
        ),
        height=5,
        width=6,
        class_names=("no", "yes"),
    )
    assert ImageEncoder.model_validate_json(encoder.model_dump_json()) == encoder


def test_pictures_are_resized_and_repeated_as_the_recipe_says() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (4, 1, 6, 6), np.uint8)
    samples = Samples(pixels, np.zeros(4, np.int64), ("no", "yes"))
    encoder = ImageEncoder.fit(samples, ImageEncoding(size=(9, 12), channels=3))
    encoder = ImageEncoder.model_validate_json(encoder.model_dump_json())
    assert encoder.model_input.longest == (3, 9, 12)
    assert encoder.model_input.mean == pytest.approx((pixels.mean(),) * 3)
    encoded = encoder.encode(pixels)
    expected = np.asarray(Image.fromarray(pixels[0, 0]).resize((12, 9), Image.Resampling.BILINEAR))
    assert encoded.dtype == np.uint8 and all(np.array_equal(channel, expected) for channel in encoded[0])
    assert np.array_equal(encoder.encode_json(pixels[0, 0].tolist()), encoded[:1])
    assert np.array_equal(encoder.encode_file(encode_png(pixels[0, 0])), encoded[:1])
    assert encoder.encode_file(encode_png(np.zeros((40, 30, 3), np.uint8))).shape == (1, 3, 9, 12)


def test_channels_alone_keep_the_size_and_neither_changes_nothing() -> None:
    grey = Samples(np.arange(72, dtype=np.uint8).reshape(2, 1, 6, 6), np.zeros(2, np.int64), ("no", "yes"))
    encoder = ImageEncoder.fit(grey, ImageEncoding(channels=3))
    assert np.array_equal(encoder.encode(grey.inputs), np.repeat(grey.inputs, 3, axis=1))
    assert ImageEncoder.fit(grey, ImageEncoding(channels=1)).preprocessing is None
    coloured = Samples(np.zeros((2, 3, 6, 6), np.uint8), np.zeros(2, np.int64), ("no", "yes"))
    with pytest.raises(DataError, match=r"data.encoding.channels is 1, and data.train has pictures in colour"):
        ImageEncoder.fit(coloured, ImageEncoding(channels=1, size=(4, 4)))
    with pytest.raises(DataError, match=r"data.encoding.size: theirs says it itself. Fix: leave it out"):
        ImageEncoder.from_files({}, "theirs", ImageEncoding(size=(4, 4)), grey)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_spread_is_numpy_s_without_its_copy_of_all_pictures(dtype: type) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (500, 3, 64, 64)).astype(dtype)
    pixels[:, 1] //= 7
    samples = Samples(pixels, np.zeros(500, np.int64), ("no",))
    tracemalloc.start()
    encoder = ImageEncoder.fit(samples, ImageEncoding())
    describe(samples, "train", ImageEncoding())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert encoder.mean == tuple(pixels.mean(axis=(0, 2, 3), dtype=np.float64))
    np.testing.assert_allclose(encoder.std, pixels.std(axis=(0, 2, 3), dtype=np.float64), rtol=1e-13)
    assert most < 8 * 500 * 3 * 64 * 64  # in float64
