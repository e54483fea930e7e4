"""Images: the one encoder from raw input to tensor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from itertools import chain
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from thresher.config import KindConfig
from thresher.errors import DataError, InvalidInputError
from thresher.modalities.encoder import Encoder, UnencodableError, list_of
from thresher.modalities.image.decode import MAX_PIXELS, Colour, PictureError, decode_picture, encode_png
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.image.parts import in_parts
from thresher.modalities.image.preprocessing import Preprocessing
from thresher.modalities.image.pretrained import MAX_SIDE, read_preprocessing
from thresher.modalities.samples import Inputs, Samples

MAX_AXES = 4  # [N, H, W, C]
Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]


class ImageEncoding(KindConfig):
    """How images become tensors: as they are, resized, or as a pretrained model has it; one size an entry."""

    kind: Literal["image"] = "image"
    size: tuple[Side, Side] | None = None
    """Height and width that every picture is resized to (bilinear), in training and in the service. A pretrained model
    says it itself."""
    channels: Literal[1, 3] | None = None
    """Channels that the model takes: 3 repeats a grey picture, as a network that was trained on colours wants it. Those
    of the data where it is not given."""


def _is_unset(value: object) -> bool:
    """Return whether ``value`` is what it was before there were pretrained models; JSON then leaves it out."""
    return not value


def _mean_and_spread(pixels: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel of ``pixels`` [N, C, H, W], of uint8 exactly.

    By parts: numpy's `std` makes a copy in float64 of all of them.
    """
    count, channels = pixels[:, 0].size, range(pixels.shape[1])
    sums, squares = [Fraction() for _ in channels], [Fraction() for _ in channels]
    for part in in_parts(pixels):
        for channel in channels:
            values = part[:, channel].astype(np.float64)
            sums[channel] += Fraction(values.sum())
            squares[channel] += Fraction(np.square(values).sum())
    means = [one / count for one in sums]
    variances = [square / count - mean**2 for square, mean in zip(squares, means, strict=True)]
    return tuple(map(float, means)), tuple(map(math.sqrt, variances))


class ImageEncoder(Encoder):
    """Raw images to uint8 of shape [N, C, H, W]. Scaling and softmax live inside the ONNX graph."""

    NAMES: ClassVar[tuple[str, str]] = ("image", "images")
    REQUIREMENTS: ClassVar[tuple[str, ...]] = ("pillow",)
    NOT_ENCODED: ClassVar[tuple[str, ...]] = ("mean", "std")

    kind: Literal["image"] = "image"
    channels: Literal[1, 3]
    """1 for grey, 3 for RGB."""
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    mean: tuple[float, ...]
    """The mean of each channel over the training split, in 0..255."""
    std: tuple[float, ...]
    background: Colour | None = None
    """What stands below the transparent pixels of a file, as in the training data; None refuses such files."""
    resized: bool = Field(default=False, exclude_if=_is_unset)
    """Whether the training data's files were resized to height and width before anything else, with preprocessing."""
    preprocessing: Preprocessing | None = Field(default=None, exclude_if=_is_unset)
    """What is done to a raw image, as a pretrained model or the recipe says; None leaves it as it is."""

    @classmethod
    def fit(cls, samples: Samples[np.ndarray], config: ImageEncoding) -> ImageEncoder:
        """Return the encoder for images of the shape and classes of ``samples``.

        Raises:
            DataError: pictures in colour for a model of grey ones.
        """
        _, channels, height, width = samples.inputs.shape
        mean, spread = _mean_and_spread(samples.inputs)
        std = tuple(max(one, 1.0) for one in spread)  # a channel without any variation is left at its scale
        preprocessing = _preprocessing(config, (channels, height, width), mean, std)
        return cls(
            channels=channels,
            height=height,
            width=width,
            mean=mean,
            std=std,
            class_names=samples.class_names,
            background=samples.background,
            resized=samples.resized and preprocessing is not None,
            preprocessing=preprocessing,
        )

    @classmethod
    def from_files(
        cls, files: Mapping[str, bytes], folder: str, config: ImageEncoding, samples: Samples[np.ndarray]
    ) -> ImageEncoder:
        for name in ("size", "channels"):
            if getattr(config, name) is not None:
                raise DataError(f"data.encoding.{name}: {folder} says it itself. Fix: leave it out.")
        preprocessing = read_preprocessing(files, folder)
        raw = cls.fit(samples, config)
        if raw.channels > preprocessing.channels:
            raise DataError(
                f"{folder}: takes grey pictures, and data.train has pictures in colour. Fix: channels: 1 in the "
                "catalog entries of train and test."
            )
        return raw.model_copy(update={"preprocessing": preprocessing, "resized": samples.resized})

    @property
    def model_input(self) -> ImageInput:
        if (made := self.preprocessing) is not None:
            height, width = made.made
            return ImageInput(channels=made.channels, height=height, width=width, mean=made.mean, std=made.std)
        return ImageInput(channels=self.channels, height=self.height, width=self.width, mean=self.mean, std=self.std)

    @property
    def file_types(self) -> tuple[str, ...]:
        return ("image/png", "image/jpeg")

    def example(self) -> Any:
        return np.zeros((self.height, self.width, self.channels), np.uint8).squeeze().tolist()

    def encode(self, inputs: Inputs) -> np.ndarray:
        """Return raw images uint8 [N, C, H, W] as the model takes them, which is as they are without preprocessing.

        Raises:
            UnencodableError: images of another shape.
        """
        assert isinstance(inputs, np.ndarray)
        if inputs.shape[1:] != (self.channels, self.height, self.width):
            raise UnencodableError(0, f"images of shape {list(inputs.shape[1:])}. Expected {self.expected}.")
        if self.preprocessing is None:
            return inputs
        encoded = np.empty((len(inputs), *self.model_input.longest), np.uint8)
        for index, picture_CHW in enumerate(inputs):
            try:
                encoded[index] = self.preprocessing.apply(picture_CHW.transpose(1, 2, 0))
            except InvalidInputError as error:
                raise UnencodableError(index, str(error)) from error
        return encoded

    def encode_json(self, value: Any) -> np.ndarray:
        """Return one image in nested lists as uint8 [1, C, H, W]; raises as `encode_array` does."""
        grey = self._grey(value)
        if grey is not None:
            return self.encode(grey)
        images = self.encode_array(value)
        if len(images) != 1:
            raise InvalidInputError(f"{len(images)} images given for one. Expected {self.expected}.")
        return self.encode(images)

    def _grey(self, value: Any) -> np.ndarray | None:
        """Return a flawless grey image in rows of whole numbers; None for anything else.

        It is what most requests in JSON are, and takes a quarter of the time that finding the flaw of another does.
        """
        if self.channels != 1 or type(value) is not list or len(value) != self.height:
            return None
        if set(map(type, value)) != {list} or set(map(len, value)) != {self.width}:
            return None
        if set(map(type, chain.from_iterable(value))) != {int}:
            return None
        try:
            pixels = b"".join(map(bytes, value))
        except ValueError:  # not from 0 to 255
            return None
        return np.frombuffer(pixels, np.uint8).reshape(1, 1, self.height, self.width)

    @property
    def expected(self) -> str:
        """What one image must be, in words."""
        shape = f"{self.height}x{self.width}" + (f"x{self.channels}" if self.channels > 1 else "")
        return f"an image as {shape} whole numbers (rows of pixels) from 0 to 255"

    def encode_array(self, pixels: Any) -> np.ndarray:
        """Return one image or a batch as uint8 [N, C, H, W].

        Args:
            pixels: nested lists or an array of whole numbers from 0 to 255, of shape [H, W] or [H, W, C] for
                one image, with a leading axis for a batch. A grey image may leave out its channel axis.

        Raises:
            InvalidInputError: a wrong shape, type or range, with what was expected.
        """
        if isinstance(pixels, list):
            _check_leaves(pixels, MAX_AXES, self.expected)
        elif isinstance(pixels, bool | int | float | str | dict | None):
            given = _NOT_NUMBERS.get(type(pixels), "a number")
            raise InvalidInputError(f"An image cannot be {given}. Expected {self.expected}, or a list of such.")
        try:
            array = np.asarray(pixels)
        except ValueError as error:
            raise InvalidInputError(f"Rows of unequal length. Expected {self.expected}.") from error
        batch = self._with_all_axes(array)
        if batch.dtype == np.uint8:
            return np.ascontiguousarray(batch.transpose(0, 3, 1, 2))
        if batch.dtype.kind not in "iuf":
            raise InvalidInputError(f"Pixels must be numbers, got {_kind(array)}. Expected {self.expected}.")
        if not np.isfinite(batch).all() or batch.min() < 0 or batch.max() > 255 or (batch != np.floor(batch)).any():
            raise InvalidInputError(
                f"Pixels from {batch.min()} to {batch.max()} given. Expected {self.expected}; "
                "values between 0 and 1 must be multiplied by 255 and rounded."
            )
        return np.ascontiguousarray(batch.transpose(0, 3, 1, 2).astype(np.uint8))

    def encode_file(self, content: bytes) -> np.ndarray:
        """Return one PNG or JPEG file as uint8 [1, C, H, W], decoded as the training data was.

        Raises:
            InvalidInputError: not a readable PNG or JPEG, an image of another size (with preprocessing any is taken),
                or a transparent one where the training data has no background.
        """
        size = (self.height, self.width)
        limits: dict[str, Any] = {"max_pixels": self.height * self.width, "exact": size}
        if self.preprocessing is not None:
            limits = {"max_pixels": MAX_PIXELS, "resize": size if self.resized else None}
        try:
            pixels = decode_picture(content, self.channels, self.background, **limits)
        except PictureError as error:
            expected = f"{self.expected}" if self.preprocessing is None else f"{self.expected}, or a file of any size"
            raise InvalidInputError(f"{error.what[0].upper()}{error.what[1:]}. Expected {expected}.") from error
        return self.encode_array(pixels) if self.preprocessing is None else self.preprocessing.apply(pixels)[None]

    def json_schema(self) -> dict[str, Any]:
        pixel = {"type": "integer", "minimum": 0, "maximum": 255}
        return list_of(list_of(pixel if self.channels == 1 else list_of(pixel, self.channels)))

    def write_json(self, inputs: Inputs, index: int) -> Any:
        """Return an image as rows of pixels: channels stand last in JSON, and a grey image has no such axis."""
        assert isinstance(inputs, np.ndarray)
        sample = inputs[index]
        return sample[0].tolist() if len(sample) == 1 else np.moveaxis(sample, 0, -1).tolist()

    def write_file(self, value: Any) -> tuple[str, bytes]:
        return "image/png", encode_png(np.array(value, np.uint8))

    def _with_all_axes(self, array: np.ndarray) -> np.ndarray:
        """Return ``array`` as [N, H, W, C]."""
        image, grey, given = (self.height, self.width, self.channels), (self.height, self.width), array.shape
        if self.channels == 1 and array.shape in (grey, (len(array) if array.ndim else 0, *grey)):
            array = array[..., None]
        if array.shape == image:
            array = array[None]
        if array.ndim == 4 and array.shape[1:] == image and len(array):
            return array
        raise InvalidInputError(f"Shape {list(given)} given. Expected {self.expected}, or a list of such.")


def _preprocessing(
    config: ImageEncoding, shape: tuple[int, int, int], mean: tuple[float, ...], std: tuple[float, ...]
) -> Preprocessing | None:
    """Return what the recipe does to pictures [C, H, W] with that mean and deviation; None if nothing."""
    channels, *size = shape
    wanted: Literal[1, 3] = config.channels or (1 if channels == 1 else 3)
    if config.size is None and wanted == channels:
        return None
    if wanted < channels:
        raise DataError(
            "data.encoding.channels is 1, and data.train has pictures in colour. Fix: channels: 1 in the catalog "
            "entries of train and test."
        )
    repeats = wanted // channels
    return Preprocessing(
        channels=wanted, size=config.size or (size[0], size[1]), mean=mean * repeats, std=std * repeats
    )


def _check_leaves(pixels: list[Any], axes: int, expected: str) -> None:
    """Refuse what numpy would turn into numbers (true) or into far more memory than was sent (text)."""
    kinds = set(map(type, pixels))
    if list in kinds and axes == 1:
        raise InvalidInputError(f"Lists nested more than {MAX_AXES} deep. Expected {expected}.")
    for inner in pixels if list in kinds else ():
        if isinstance(inner, list):
            _check_leaves(inner, axes - 1, expected)
    if wrong := sorted(_NOT_NUMBERS[kind] for kind in kinds & _NOT_NUMBERS.keys()):
        raise InvalidInputError(f"Pixels must be numbers, got {', '.join(wrong)}. Expected {expected}.")


_NOT_NUMBERS: dict[type, str] = {bool: "true/false", str: "text", type(None): "null", dict: "an object"}


def _kind(array: np.ndarray) -> str:
    return {"U": "text", "O": "mixed or missing values", "b": "true/false"}.get(array.dtype.kind, str(array.dtype))
