"""Series: one or many channels of any length."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from thresher.config import KindConfig
from thresher.errors import DataError, InvalidInputError
from thresher.modalities.centering import LARGEST_NUMBER, SWAMPED, center, find_swamping, too_large
from thresher.modalities.encoder import Encoder, UnencodableError, is_number, list_of
from thresher.modalities.samples import Inputs, Samples
from thresher.modalities.series.model_input import SeriesInput

MAX_NAMED = 12
"""Channels that are named in a sentence."""
ROOM = 2
"""How often the longest training series fits into the default max_length."""


class SeriesEncoding(KindConfig):
    """How series become tensors: as they are, with missing values filled in; normalized inside the ONNX graph."""

    kind: Literal["series"] = "series"
    max_length: int | None = Field(None, ge=1)
    """Steps at most; a longer series is refused and never cut. None: twice the longest training series, since the
    models take any length and test data may well be a bit longer than what training saw."""
    missing: Literal["interpolate", "refuse"] = "interpolate"
    """interpolate: linearly within the channel, at its ends the nearest value; a channel without any value is refused.
    The sample table's column num_missing says how many there are."""


class SeriesEncoder(Encoder):
    """Series to float64 [N, T, C], NaN after the end of each."""

    NAMES: ClassVar[tuple[str, str]] = ("series", "many_series")
    NOT_ENCODED: ClassVar[tuple[str, ...]] = ("mean", "std", "typical_length")

    kind: Literal["series"] = "series"
    channels: int = Field(ge=1)
    max_length: int = Field(ge=1)
    typical_length: int = Field(ge=1)
    """The median over the training split."""
    missing: Literal["interpolate", "refuse"]
    mean: tuple[float, ...]
    """The mean of each channel over the training split."""
    std: tuple[float, ...]
    channel_names: tuple[str, ...] = ()
    """The names of the channels in their order; empty where the data does not name them."""

    @classmethod
    def fit(cls, samples: Samples[np.ndarray], config: SeriesEncoding) -> SeriesEncoder:
        """Return the encoder for series with the channels of ``samples``.

        Raises:
            DataError: a training series is longer than max_length, a channel has no value at all, or numbers that
                are too large or differ by too little to compute with.
        """
        lengths = np.array(list(map(len, samples.inputs)))
        longest = int(lengths.max())
        if config.max_length is not None and longest > config.max_length:
            raise DataError(
                f"{samples.place(int(lengths.argmax()))}: {longest:,} steps, but data.encoding.max_length is "
                f"{config.max_length:,}. Fix: at least {longest:,}, or shorten the series."
            )
        steps = np.concatenate(list(samples.inputs)).astype(np.float64)
        if (large := too_large(steps)).any():
            step, channel = (int(place[0]) for place in large.nonzero())
            place = samples.place(int(np.searchsorted(np.cumsum(lengths), step, side="right")))
            raise DataError(
                f"{place}: channel {channel} holds {steps[step, channel]:g}. Allowed: finite numbers up to "
                f"{LARGEST_NUMBER:g}. Fix: correct it, or take another unit for the channel."
            )
        given = ~np.isnan(steps)
        if not given.any(axis=0).all():
            raise DataError(f"Channel {int(given.any(axis=0).argmin())} has no value in any series. Fix: remove it.")
        mean, std = zip(*(_center(number, channel) for number, channel in enumerate(steps.T)), strict=True)
        for channel, (values, present) in enumerate(zip(steps.T, given.T, strict=True)):
            if (among := find_swamping(values[present], mean[channel], std[channel])) is not None:
                step = int(np.flatnonzero(present)[among])
                place = samples.place(int(np.searchsorted(np.cumsum(lengths), step, side="right")))
                raise DataError(f"{place}: channel {channel} holds {values[step]:g}: {SWAMPED}")
        return cls(
            channels=steps.shape[1],
            max_length=config.max_length or ROOM * longest,
            typical_length=max(int(np.median(lengths)), 1),
            missing=config.missing,
            mean=mean,
            std=std,
            class_names=samples.class_names,
            channel_names=samples.channel_names,
        )

    @property
    def model_input(self) -> SeriesInput:
        return self._input

    @cached_property
    def _input(self) -> SeriesInput:
        return SeriesInput(channels=self.channels, max_length=self.max_length, mean=self.mean, std=self.std)

    @property
    def expected(self) -> str:
        named = f" ({', '.join(self.channel_names)})" if 0 < len(self.channel_names) <= MAX_NAMED else ""
        step = "a number" if self.channels == 1 else f"a list of {self.channels} numbers, one a channel{named}"
        missing = ", null where missing" if self.missing == "interpolate" else ""
        return f"a list of 1 to {self.max_length:,} steps, each {step}{missing}"

    def example(self) -> Any:
        """Return the mean of each channel at every step, of the median length."""
        step: Any = self.mean[0] if self.channels == 1 else list(self.mean)
        return [step] * self.typical_length

    def encode(self, inputs: Inputs) -> np.ndarray:
        """Return series (dtype object, each [T, C]) as float64 [N, T, C], NaN after the end of each.

        Raises:
            UnencodableError: no step, too many, another number of channels, a value that is infinite or missing and
                cannot be filled in.
        """
        if not len(inputs):
            return np.zeros((0, 1, self.channels))
        assert isinstance(inputs, np.ndarray)
        whole = []
        for index, series in enumerate(inputs):
            problem = self._problem(series)
            if problem:
                raise UnencodableError(index, f"{problem} Expected {self.expected}.")
            whole.append(_interpolated(series) if np.isnan(series).any() else series)
        lengths = np.array(list(map(len, whole)))
        padded = np.full((len(inputs), lengths.max(), self.channels), np.nan)
        padded[np.arange(lengths.max()) < lengths[:, None]] = np.concatenate(whole)
        return padded

    def encode_json(self, value: Any) -> np.ndarray:
        """Return one series, a list of steps, as float64 [1, T, C]; one channel needs no list for each step."""
        if not isinstance(value, list) or not value:
            raise InvalidInputError(f"Not a list of steps. Expected {self.expected}.")
        steps = value if isinstance(value[0], list) else [[number] for number in value]
        for step, numbers in enumerate(steps):
            if not isinstance(numbers, list) or len(numbers) != self.channels:
                got = f"{len(numbers)} numbers" if isinstance(numbers, list) else "a number without its list"
                raise InvalidInputError(f"Step {step}: {got}. Expected {self.expected}.")
            if not all(number is None or is_number(number) for number in numbers):
                raise InvalidInputError(f"Step {step}: not a number. Expected {self.expected}.")
        series = np.empty(1, dtype=object)
        try:
            series[0] = np.array(steps, dtype=np.float64)
        except OverflowError as error:  # a whole number of more than 308 digits
            raise InvalidInputError(f"A number that is too large. Expected {self.expected}.") from error
        return self.encode(series)

    def json_schema(self) -> dict[str, Any]:
        value = {"type": ["number", "null"] if self.missing == "interpolate" else "number"}
        if self.channels == 1:
            return list_of({"anyOf": [value, list_of(value, 1)]})
        return list_of(list_of(value, self.channels))

    def write_json(self, inputs: Any, index: int) -> Any:
        """Return a series as a list of steps; of one channel as numbers."""
        steps = [[None if np.isnan(value) else float(value) for value in step] for step in inputs[index]]
        return [step[0] for step in steps] if self.channels == 1 else steps

    def _problem(self, series: np.ndarray) -> str:
        if series.ndim != 2 or series.shape[1] != self.channels:
            return f"Series of shape {list(series.shape)}, not steps x {self.channels} channels."
        if not 0 < len(series) <= self.max_length:
            fix = ". Fix: data.encoding.max_length" if len(series) else ""
            return f"Series of {len(series):,} steps, but 1 to {self.max_length:,} are allowed{fix}."
        large = self._input.too_large(series)
        if large.any():
            return f"An infinite or too large number at step {int(large.any(axis=1).argmax())}."
        missing = np.isnan(series)
        if missing.any() and self.missing == "refuse":
            return f"A missing value at step {int(missing.any(axis=1).argmax())}; data.encoding.missing is refuse."
        return f"Channel {int(missing.all(axis=0).argmax())} has no value." if missing.all(axis=0).any() else ""


def _center(number: int, channel: np.ndarray) -> tuple[float, float]:
    try:
        return center(channel[~np.isnan(channel)])
    except ValueError as error:
        raise DataError(f"The values of channel {number} {error}. Fix: another unit for it.") from error


def _interpolated(series: np.ndarray) -> np.ndarray:
    """Return a copy of ``series`` [T, C] with linear interpolation where it is NaN; no channel is NaN throughout."""
    filled, steps = series.copy(), np.arange(len(series))
    for channel in range(series.shape[1]):
        missing = np.isnan(series[:, channel])
        filled[missing, channel] = np.interp(steps[missing], steps[~missing], series[~missing, channel])
    return filled
