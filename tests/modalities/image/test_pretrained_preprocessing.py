"""A pretrained model's pictures are made as transformers' own processors make them, without transformers."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from thresher.errors import DataError, InvalidInputError
from thresher.modalities import modality_of, read_encoder, read_pretrained
from thresher.modalities.image.encoder import ImageEncoder, ImageEncoding
from thresher.modalities.image.service import ImageService
from thresher.modalities.samples import Samples
from thresher.readers.image_folder import read_image_folder

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
CONFIGS: dict[str, dict[str, Any]] = {
    "vit": {"image_processor_type": "ViTImageProcessor", "size": {"height": 20, "width": 24}},
    "swin, of before": {"feature_extractor_type": "ViTFeatureExtractor", "size": 24, "resample": 3, **IMAGENET},
    "deit": {"image_processor_type": "DeiTImageProcessor", "size": 25, "crop_size": 22, **IMAGENET},
    "resnet": {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 28}, "crop_pct": 0.875},
    "convnext, large": {"image_processor_type": "ConvNextImageProcessorFast", "size": 384, "resample": 2},
    "mobilenet_v1": {"image_processor_type": "MobileNetV1ImageProcessor", "size": 32, "crop_size": 28},
    "mobilenet_v2": {
        "image_processor_type": "MobileNetV2ImageProcessor",
        "size": {"shortest_edge": 21},
        "crop_size": {"height": 28, "width": 17},
        "resample": 0,
    },
    "efficientnet": {
        "image_processor_type": "EfficientNetImageProcessor",
        "size": {"height": 33, "width": 33},
        "do_center_crop": True,
        "crop_size": [29, 28],
        "rescale_factor": 0.00784313725490196,
        "rescale_offset": True,
        "resample": 1,
        **IMAGENET,
    },
    "efficientnet, plain": {"image_processor_type": "EfficientNetImageProcessor", "size": 30, "include_top": False},
    "unscaled": {"image_processor_type": "ViTImageProcessor", "size": 16, "do_rescale": False, "image_mean": 100.5,
                 "image_std": 50.25},
    "not normalized": {"image_processor_type": "ViTImageProcessor", "size": 16, "do_normalize": False, "resample": 5},
    "cut alone": {"image_processor_type": "ViTImageProcessor", "do_resize": False, "do_center_crop": True,
                  "crop_size": 19, "do_pad": False, "resample": None},
}  # fmt: skip
SIZES = [(1, 1), (1, 300), (300, 1), (28, 28), (31, 17), (17, 64), (65, 40), (400, 390)]
"""Height and width."""


def picture(height: int, width: int, channels: int = 3) -> np.ndarray:
    noise = np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, channels))
    return noise.astype(np.uint8)


def written(pixels: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(file, "PNG", **options)
    return file.getvalue()


def encoder_of(config: Mapping[str, Any], raw: np.ndarray | None = None, **changes: Any) -> ImageEncoder:
    raw = picture(28, 28) if raw is None else raw
    samples = Samples(raw.transpose(2, 0, 1)[None], np.zeros(1, np.int64), ("a", "b"), **changes)
    files = {"preprocessor_config.json": json.dumps(config).encode(), "config.json": b'{"model_type": "vit"}'}
    encoder = read_pretrained(files, "theirs", ImageEncoding(), samples)
    stored = read_encoder(encoder.model_dump_json())
    assert isinstance(stored, ImageEncoder) and stored == encoder
    return stored


def theirs(config: Mapping[str, Any], image: Image.Image) -> np.ndarray:
    """Return float [C, H, W] of transformers' own processor."""
    import transformers

    named = config.get("image_processor_type") or config["feature_extractor_type"].replace("Feature", "Image")
    kind = named.removesuffix("Fast").replace("ImageExtractor", "ImageProcessor")
    fields = {key: value for key, value in config.items() if not key.endswith("_type")}
    processor = getattr(transformers, f"{kind}Pil")(**fields, do_convert_rgb=True)
    return np.asarray(processor(image, return_tensors="np")["pixel_values"][0])


def ours(encoder: ImageEncoder, content: bytes) -> np.ndarray:
    """Return float [C, H, W] as the network takes it inside of the graph."""
    encoded = encoder.encode_file(content)
    assert encoded.dtype == np.uint8 and encoded.shape[1:] == encoder.model_input.longest
    prepare = modality_of(encoder).load("input_transform")(encoder.model_input)
    return np.asarray(prepare(torch.from_numpy(encoded))[0][0])


@pytest.mark.parametrize("name", CONFIGS)
def test_pictures_of_any_size_are_as_transformers_makes_them(name: str) -> None:
    config = CONFIGS[name]
    encoder = encoder_of(config)
    for size in SIZES:
        pixels = picture(*size)
        expected = theirs(config, Image.fromarray(pixels))
        np.testing.assert_allclose(ours(encoder, written(pixels)), expected, rtol=0, atol=1e-5, err_msg=str(size))


@pytest.mark.parametrize("name", ["vit", "resnet", "mobilenet_v2", "efficientnet"])
def test_grey_transparent_deep_and_turned_pictures_are_too(name: str) -> None:
    config = CONFIGS[name]
    colour = encoder_of(config, background=(255, 255, 255))
    grey = encoder_of(config, picture(9, 9, 1))
    one = picture(31, 17, 1)
    np.testing.assert_allclose(ours(grey, written(one)), theirs(config, Image.fromarray(one[..., 0])), atol=1e-5)
    np.testing.assert_allclose(ours(colour, written(one)), theirs(config, Image.fromarray(one[..., 0])), atol=1e-5)
    half = picture(20, 31, 4)
    np.testing.assert_allclose(ours(colour, written(half)), theirs(config, Image.fromarray(half)), atol=1e-5)
    turned = Image.Exif()
    turned[0x0112] = 6
    content = written(picture(20, 31), exif=turned.tobytes())
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    np.testing.assert_allclose(ours(colour, content), theirs(config, upright), atol=1e-5)
    deep = written(picture(20, 31, 1).astype(np.uint16) * 257)
    with pytest.raises(InvalidInputError, match="More than 8 bits a channel"):
        colour.encode_file(deep)
    with pytest.raises(InvalidInputError, match=r"Pixels that are not opaque.*or a file of any size"):
        encoder_of(config).encode_file(written(half))


def test_arrays_of_training_data_go_the_same_way_as_files() -> None:
    pixels = picture(28, 28, 1)
    encoder = encoder_of(CONFIGS["resnet"], pixels)
    encoded = encoder.encode(np.stack([pixels.transpose(2, 0, 1)] * 3))
    assert encoded.shape == (3, 3, 28, 28)
    for made in (encoder.encode_file(written(pixels)), encoder.encode_json(pixels[..., 0].tolist())):
        np.testing.assert_array_equal(made[0], encoded[2])
    assert encoder.encode_json(encoder.example()).shape == (1, *encoder.model_input.longest)


def test_files_that_the_reader_resized_are_resized_in_the_service_too() -> None:
    large = picture(90, 40)
    reader = Image.fromarray(large).resize((28, 28), Image.Resampling.BILINEAR)
    encoder = encoder_of(CONFIGS["deit"], resized=True)
    expected = encoder.encode(np.asarray(reader).transpose(2, 0, 1)[None])
    np.testing.assert_array_equal(encoder.encode_file(written(large)), expected)


def test_an_explanation_covers_what_the_model_sees() -> None:
    encoder = encoder_of(CONFIGS["resnet"], picture(32, 64, 1))
    service = ImageService(encoder)
    sample = encoder.encode(picture(32, 64, 1).transpose(2, 0, 1)[None])
    occlusion = service.occlude(sample, None)
    lacking = occlusion.copy(occlusion.num_copies // 2)
    assert lacking.shape == sample.shape and (lacking != sample).any()
    told = occlusion.tell(np.zeros(occlusion.num_copies))
    assert told["size"] == [28, 28] and len(told["replaced_by"]) == 3
    # Resized to 32x64 and cut to 28x28: the middle of 32x64.
    assert service.form()["window"] == (2.0, 18.0, 28.0, 28.0)


def test_a_picture_that_would_become_too_large_is_refused_with_its_size() -> None:
    narrow = picture(1, 30_000)
    with pytest.raises(InvalidInputError, match=r"1x30000.*would be resized to 384x11,520,000"):
        encoder_of({**CONFIGS["deit"], "size": {"shortest_edge": 384}}).encode_file(written(narrow))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"image_processor_type": "CLIPImageProcessor"}, "image_processor_type 'CLIPImageProcessor' is not supported"),
        ({"do_pad": True}, "do_pad True is not supported"),
        ({"do_flip_channel_order": True}, "do_flip_channel_order True is not supported"),
        ({"auto_map": {"AutoImageProcessor": "m.M"}}, "auto_map names Python code"),
        ({"size": {"shortest_edge": 32}}, "leaves the size open. Fix: do_center_crop"),
        ({"do_resize": False}, "leaves the size open"),
        ({"size": {"longest_edge": 32}}, "size .'longest_edge': 32. is not supported"),
        ({"size": {"shortest_edge": 32, "longest_edge": 40}}, "is not supported. Fix: height and width, or"),
        ({"size": {"height": 0, "width": 4}}, "size 0. Fix: whole numbers of pixels"),
        ({"size": 100_000}, "size 100000. Fix: whole numbers"),
        ({"do_center_crop": True}, "crop_size None"),
        ({"resample": 9}, "resample 9 is no filter"),
        ({"image_std": [0.5, 0, 0.5]}, "image_std .*numbers above 0"),
        ({"image_mean": [0.5]}, "image_mean has 1 values, and config.json says 3"),
        ({"image_mean": "grey"}, "image_mean 'grey' is no number"),
        ({"rescale_factor": 0}, "rescale_factor 0"),
        ({"do_resize": "yes"}, "do_resize 'yes'. Fix: true or false"),
        ({"image_processor_type": "ConvNextImageProcessor", "size": [2, 2]}, "takes a shortest edge"),
        ({"image_processor_type": "ConvNextImageProcessor", "size": 32, "crop_pct": 0}, "crop_pct 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_supported_is_refused_by_name(fields: dict[str, Any], says: str) -> None:
    config = {"image_processor_type": "ViTImageProcessor", **fields}
    with pytest.raises(DataError, match=f"^theirs/preprocessor_config.json: .*{says}"):
        encoder_of(config)


def test_a_model_of_grey_pictures_takes_no_coloured_ones() -> None:
    files = {
        "preprocessor_config.json": b'{"size": 16, "image_mean": [0.5], "image_std": [0.5]}',
        "config.json": b'{"model_type": "vit", "num_channels": 1}',
    }
    grey, coloured = (
        Samples(picture(8, 8, channels).transpose(2, 0, 1)[None], np.zeros(1, np.int64), ("a", "b"))
        for channels in (1, 3)
    )
    encoder = read_pretrained(files, "theirs", ImageEncoding(), grey)
    assert encoder.model_input.longest == (1, 16, 16)
    with pytest.raises(DataError, match=r"takes grey pictures, and data\.train has pictures in colour"):
        read_pretrained(files, "theirs", ImageEncoding(), coloured)


@pytest.mark.parametrize(("size", "resized"), [((9, 7), True), (None, False)])
def test_readers_say_whether_they_resized(tmp_path: Path, size: tuple[int, int] | None, resized: bool) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes(written(picture(12, 15)))
    samples = read_image_folder(tmp_path, size, 3)
    assert samples.resized is resized and samples.take(np.array([0])).resized is resized
