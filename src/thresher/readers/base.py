"""What all raw datasets share: reading alone, a part of the samples, files that are missing, mistakes in the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

import numpy as np
from kedro.io import DatasetError

from thresher.adapters.kedro import OptionsDataset
from thresher.errors import DataError
from thresher.modalities.samples import Samples
from thresher.readers.option_errors import read_options
from thresher.readers.options import ReaderOptions
from thresher.readers.split import DuplicateOptions, select_split

MAX_TOLD = 5


AnyOptions = TypeVar("AnyOptions", bound=ReaderOptions)


class RawSamples(OptionsDataset, Generic[AnyOptions]):
    """What all raw datasets share: typed arguments, a part of the samples alone, and that they refuse to be written.

    A reader names the model of its arguments in `options_type`, and reads by them in `_read`.
    """

    options_type: type[AnyOptions]
    modality: str = ""
    """What the samples are, such as `image`; of a class that does not say it, `check` does not know."""
    options: AnyOptions
    paths: tuple[Path, ...]
    """The files and folders that are read: with the options, all that the samples depend on."""

    def __init__(self, **arguments: Any) -> None:
        """Take ``arguments`` as `options_type` says; nothing is read yet.

        Raises:
            DataError: with everything that is wrong with the arguments.
        """
        self.options = read_options(type(self).__name__, self.options_type, arguments)
        self.paths = self.options.find_files()

    def load(self) -> Samples[Any]:
        """Return the samples; raises DataError for data that is missing, damaged or not what the entry says."""
        samples = self._read()
        return select_split(samples, self.options) if isinstance(self.options, DuplicateOptions) else samples

    def save(self, data: Any) -> NoReturn:
        """Raise a DatasetError: raw data is what the outside world gave."""
        raise DatasetError(f"{type(self).__name__} is raw data and read-only. Fix: save to another catalog entry.")

    def _read(self) -> Samples[Any]:
        """Return all samples."""
        raise NotImplementedError

    @property
    def _fix(self) -> str:
        """The fix for a user who does not have a file."""
        return fix_missing(self.options.fetch)

    def _exists(self) -> bool:
        return all(path.exists() for path in self.paths)

    def _describe(self) -> dict[str, Any]:
        return self.options.model_dump(exclude={"metadata"})

    def given_options(self) -> dict[str, Any]:
        """Return the arguments that were given, without defaults."""
        return self.options.model_dump(exclude_unset=True)


def fix_missing(fetch: str | None) -> str:
    """Return the fix for a user who does not have a file."""
    return f"run 'thresher fetch {fetch}'." if fetch else "correct the path in the catalog, or put it there."


class Mistakes:
    """Collects what is wrong in the data, so that the first few are reported together."""

    def __init__(self) -> None:
        self._told: list[str] = []
        self._count = 0
        self._fix = ""

    def add(self, place: object, what: str, fix: str) -> None:
        """Note that ``what`` is wrong at ``place``; the first mistake's ``fix`` is the one that is shown."""
        self._count += 1
        self._fix = self._fix or fix
        if len(self._told) < MAX_TOLD:
            self._told.append(f"{place}: {what}")

    def refuse(self) -> None:
        """Raise a DataError if there is any."""
        if self._count:
            more = f"; and {self._count - len(self._told):,} more" if self._count > len(self._told) else ""
            raise DataError(f"{'; '.join(self._told)}{more}. Fix: {self._fix}")


def number_places(path: Path, count: int) -> np.ndarray:
    """Return "FILE:1", "FILE:2", ... for ``count`` samples of ``path``, dtype object [N]."""
    return np.array([f"{path.name}:{number}" for number in range(1, count + 1)], dtype=object)
