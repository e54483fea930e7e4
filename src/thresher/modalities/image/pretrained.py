"""preprocessor_config.json of a pretrained model, read as transformers reads it, without transformers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from thresher.errors import DataError, nearest
from thresher.modalities.image.preprocessing import Pair, Preprocessing

CONFIG, PROCESSOR = "config.json", "preprocessor_config.json"
SAVE = "write it with transformers: AutoImageProcessor.from_pretrained(FOLDER).save_pretrained(FOLDER)."
HALVES = (0.5, 0.5, 0.5)
WARPED = 384
"""ConvNeXT's processor crops nothing for a picture of that many pixels or more."""
MAX_SIDE = 4096


@dataclass(frozen=True)
class Processor:
    """What a class of image processors does where the file does not say it (transformers 5.23, its Pillow backend)."""

    size: Mapping[str, int]
    resample: int
    crop: int | None = None
    crops: bool = False
    squares: bool = True
    """Whether a size of one number is that of both sides; otherwise of the shorter one."""


PROCESSORS = {
    "ViTImageProcessor": Processor({"height": 224, "width": 224}, 2),
    "DeiTImageProcessor": Processor({"height": 256, "width": 256}, 3, 224, crops=True),
    "ConvNextImageProcessor": Processor({"shortest_edge": 384}, 3, squares=False),
    "MobileNetV1ImageProcessor": Processor({"shortest_edge": 256}, 2, 224, crops=True, squares=False),
    "MobileNetV2ImageProcessor": Processor({"shortest_edge": 256}, 2, 224, crops=True, squares=False),
    "EfficientNetImageProcessor": Processor({"height": 346, "width": 346}, 3, 289),
}
CONVNEXT, EFFICIENTNET = "ConvNextImageProcessor", "EfficientNetImageProcessor"
OF_MODELS = {
    "vit": "ViTImageProcessor",
    "swin": "ViTImageProcessor",
    "deit": "DeiTImageProcessor",
    "resnet": CONVNEXT,
    "convnext": CONVNEXT,
    "convnextv2": CONVNEXT,
    "mobilenet_v1": "MobileNetV1ImageProcessor",
    "mobilenet_v2": "MobileNetV2ImageProcessor",
    "efficientnet": EFFICIENTNET,
}
"""`model_type` -> the processor of a folder that names none."""
READ = {
    "do_resize", "size", "default_to_square", "resample", "do_center_crop", "crop_size", "crop_pct", "do_rescale",
    "rescale_factor", "rescale_offset", "do_normalize", "image_mean", "image_std", "include_top",
}  # fmt: skip
MEANINGLESS = {
    "_valid_processor_keys", "data_format", "device", "disable_grouping", "do_convert_rgb", "do_reduce_labels",
    "feature_extractor_type", "image_processor_type", "image_seq_length", "input_data_format", "processor_class",
    "return_tensors", "pad_size",
}  # fmt: skip
"""Keys that change nothing here: pictures always come as grey or RGB, and segmentations do not."""


class _Wrong(Exception):  # noqa: N818  (it never leaves this file)
    """What is wrong with a field, and its fix."""


def read_preprocessing(files: Mapping[str, bytes], folder: str) -> Preprocessing:
    """Return what ``files`` of the pretrained ``folder`` say is done to a picture.

    Raises:
        DataError: a file that is missing or damaged, or a field that is not supported.
    """
    if PROCESSOR not in files:
        raise DataError(f"{folder}: has no {PROCESSOR}. Fix: {SAVE}")
    said, model = (_object(files, name, folder) for name in (PROCESSOR, CONFIG))
    try:
        kind, known = _processor(said, model)
        _refuse_unknown(said)
        given = {key: value for key, value in said.items() if value is not None}
        return _read(given, kind, known, _channels(model))
    except _Wrong as error:
        what, fix = error.args
        raise DataError(f"{folder}/{PROCESSOR}: {what}. Fix: {fix}") from None


def _object(files: Mapping[str, bytes], name: str, folder: str) -> dict[str, Any]:
    try:
        document = json.loads(files[name])
    except (ValueError, RecursionError) as error:
        raise DataError(f"{folder}/{name}: is no JSON ({error}). Fix: copy the file again.") from error
    if not isinstance(document, dict):
        raise DataError(f"{folder}/{name}: holds no JSON object. Fix: copy the file again.")
    return document


def _processor(said: Mapping[str, Any], model: Mapping[str, Any]) -> tuple[str, Processor]:
    extractor = str(said.get("feature_extractor_type") or "").replace("FeatureExtractor", "ImageProcessor")
    named = said.get("image_processor_type") or extractor or OF_MODELS.get(model.get("model_type", ""), "")
    kind = str(named).removesuffix("Fast").removesuffix("Pil")
    if kind not in PROCESSORS:
        raise _Wrong(f"image_processor_type '{named}' is not supported", nearest(kind, PROCESSORS))
    return kind, PROCESSORS[kind]


def _refuse_unknown(said: Mapping[str, Any]) -> None:
    for key in said.keys() - READ - MEANINGLESS:
        if said[key]:  # what is false, 0 or null asks for nothing
            what = "names Python code that would be run" if key == "auto_map" else f"{said[key]!r} is not supported"
            raise _Wrong(f"{key} {what}", f"take a model without it; {', '.join(sorted(READ))} are read.")


def _channels(model: Mapping[str, Any]) -> int:
    channels = model.get("num_channels", 3)
    if channels not in (1, 3):
        raise _Wrong(f"{CONFIG} says num_channels {channels!r}", "take a model of grey pictures (1) or of RGB (3).")
    return int(channels)


def _read(given: Mapping[str, Any], kind: str, known: Processor, channels: int) -> Preprocessing:
    size: dict[str, Any] = {}
    crops: list[Pair] = []
    if _flag(given, "do_resize", True):
        size, crops = _resizing(given, kind, known)
    if _flag(given, "do_center_crop", known.crops):
        crops.append(_pair(given.get("crop_size", known.crop), "crop_size"))
    if not crops and "size" not in size:
        raise _Wrong("leaves the size open", "do_center_crop: true with a crop_size, or size as height and width.")
    mean, std = _normalization(given, kind, channels)
    resample = given.get("resample", known.resample)
    if resample not in range(6) or isinstance(resample, bool):
        raise _Wrong(f"resample {resample!r} is no filter of Pillow", "a number from 0 to 5; 2 is bilinear.")
    return Preprocessing(
        channels=1 if channels == 1 else 3, resample=resample, crops=tuple(crops), mean=mean, std=std, **size
    )


def _resizing(given: Mapping[str, Any], kind: str, known: Processor) -> tuple[dict[str, Any], list[Pair]]:
    """Return what a picture is resized to, and what is cut out of that at once."""
    size = given.get("size", known.size)
    squares = _flag(given, "default_to_square", known.squares)
    if isinstance(size, int) and not squares:
        size = {"shortest_edge": size}
    if not isinstance(size, Mapping) or size.keys() == {"height", "width"}:
        pair = _pair(size, "size")
        if kind == CONVNEXT:
            raise _Wrong(f"size {size!r}, and {CONVNEXT} takes a shortest edge", '"size": {"shortest_edge": 224}.')
        return {"size": pair}, []
    if size.keys() != {"shortest_edge"}:
        raise _Wrong(f"size {dict(size)!r} is not supported", "height and width, or shortest_edge.")
    edge = _side(size["shortest_edge"], "size")
    if kind != CONVNEXT:
        return {"shortest_edge": edge}, []
    if edge >= WARPED:
        return {"size": (edge, edge)}, []
    share = _number(given.get("crop_pct", 224 / 256), "crop_pct")
    if not 0 < share <= 1 or edge / share > MAX_SIDE:
        raise _Wrong(f"crop_pct {share!r}", "a share of the side, such as 0.875.")
    return {"shortest_edge": int(edge / share)}, [(edge, edge)]


def _normalization(given: Mapping[str, Any], kind: str, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation in 0..255 that do all that comes after the crop: it is one factor and one sum."""
    factor, offset = 1.0, 0.0
    if _flag(given, "do_rescale", True):
        factor = _number(given.get("rescale_factor", 1 / 255), "rescale_factor")
        if not factor > 0:
            raise _Wrong(f"rescale_factor {factor!r}", "a number above 0, such as 1/255 in digits.")
        offset = float(kind == EFFICIENTNET and _flag(given, "rescale_offset", False))
    mean, std = np.zeros(channels), np.ones(channels)
    deviation = _for_each(given, "image_std", channels)
    if not (deviation > 0).all():
        raise _Wrong(f"image_std {given['image_std']!r}", "numbers above 0.")
    if _flag(given, "do_normalize", True):
        mean, std = _for_each(given, "image_mean", channels), deviation
    if kind == EFFICIENTNET and _flag(given, "include_top", True):
        std = std * deviation  # it is divided by once more
    return tuple(((mean + offset) / factor).tolist()), tuple((std / factor).tolist())


def _for_each(given: Mapping[str, Any], key: str, channels: int) -> np.ndarray:
    values = given.get(key, HALVES[:channels])
    if not isinstance(values, (list, tuple)):
        values = [values] * channels
    if len(values) != channels:
        raise _Wrong(f"{key} has {len(values)} values, and {CONFIG} says {channels} channels", f"{channels} values.")
    return np.array([_number(value, key) for value in values])


def _flag(given: Mapping[str, Any], key: str, default: bool) -> bool:
    value = given.get(key, default)
    if not isinstance(value, bool):
        raise _Wrong(f"{key} {value!r}", "true or false.")
    return value


def _number(value: Any, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise _Wrong(f"{key} {value!r} is no number", "a number.")
    return float(value)


def _side(value: Any, key: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_SIDE:
        raise _Wrong(f"{key} {value!r}", f"whole numbers of pixels from 1 to {MAX_SIDE}.")
    return value


def _pair(value: Any, key: str) -> Pair:
    if isinstance(value, Mapping) and value.keys() == {"height", "width"}:
        value = [value["height"], value["width"]]
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return _side(value[0], key), _side(value[1], key)
    side = _side(value, key)
    return side, side
