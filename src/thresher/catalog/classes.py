"""What the `type` of a catalog entry names: one of our readers, or a class of the user's own."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from importlib import import_module
from inspect import unwrap
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from thresher import readers
from thresher.errors import FOREIGN, ThresherError, describe_import_error
from thresher.kinds.record import KindError, ReaderKind
from thresher.kinds.registry import registry
from thresher.readers.base import RawSamples

PREFIXES = ("", "kedro.io.", "kedro_datasets.")
"""What Kedro puts before a type, one after the other, until there is such a class."""
OWN = "or a class of your own below src/ (docs/own_data.md)"


class TypeRefusedError(ThresherError):
    """A type that gives no samples; in two sentences: what is wrong, and what to write."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what, fix)
        self.what, self.fix = what, fix


def find_class(name: str, project: Path) -> type[AbstractDataset[Any, Any]]:
    """Return the class that ``name`` names, as Kedro finds it; what is below src/ of ``project`` can be imported.

    Raises:
        TypeRefusedError: there is none, importing it fails, or it gives no samples.
    """
    if not name.startswith("thresher."):
        source = str(project / "src")
        if source not in sys.path:
            sys.path.insert(0, source)
    found = next((kind for prefix in PREFIXES if (kind := _import(f"{prefix}{name}")) is not None), None)
    if found is None:
        raise TypeRefusedError(f"there is no class '{name}'", f"{_readers_like(name)} {registry().problem}".rstrip())
    if not (isinstance(found, type) and issubclass(found, AbstractDataset)):
        raise TypeRefusedError(
            f"'{name}' is not a dataset", "Fix: a class that inherits from kedro.io.AbstractDataset."
        )
    foreign = found.__module__.partition(".")[0] in ("thresher", "kedro", "kedro_datasets")
    if foreign and not issubclass(found, RawSamples):
        raise TypeRefusedError(f"'{name}' does not give samples", _readers_like(name))
    return found


def has_typed_arguments(kind: type[AbstractDataset[Any, Any]]) -> bool:
    """Return whether a reader's model says all that its constructor takes; one of the user's own may take more."""
    return issubclass(kind, RawSamples) and unwrap(kind.__init__) is unwrap(RawSamples.__init__)


def make_dataset(kind: type[AbstractDataset[Any, Any]], arguments: dict[str, Any]) -> None:
    """Make a dataset of the user's own, as Kedro is about to do; raises TypeRefusedError where it refuses."""
    try:
        kind(**arguments)
    except ThresherError as error:
        raise TypeRefusedError(str(error), "") from error
    except Exception as error:  # a user's own code raises whatever it does
        place = f"{kind.__module__}.{kind.__qualname__}"
        raise TypeRefusedError(f"{place} refuses its arguments: {type(error).__name__}: {error}", "") from error


def _import(name: str) -> Any:
    """Return the object ``name``, None where there is no such module or nothing of that name in it."""
    module_name, _, attribute = name.rpartition(".")
    if not module_name or module_name.startswith("."):
        return None
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            return None
        raise _import_failed(module_name, error) from error
    except FOREIGN as error:
        raise _import_failed(module_name, error) from error
    try:
        return getattr(module, attribute, None)
    except ModuleNotFoundError as error:  # modules of kedro-datasets import their libraries late
        raise _import_failed(module_name, error) from error
    except KindError as error:
        raise TypeRefusedError(str(error).removesuffix("."), "") from error


def _import_failed(module: str, error: BaseException) -> TypeRefusedError:
    line = f" in line {error.lineno}" if isinstance(error, SyntaxError) else ""
    return TypeRefusedError(
        f"importing {module} fails: {describe_import_error(error)}{line}", "Fix: correct that module."
    )


def _readers_like(name: str) -> str:
    last = name.rpartition(".")[2]
    names = {reader.lower(): reader for reader in registry().names(ReaderKind.group)}
    near = get_close_matches(last.lower(), names, n=1, cutoff=0.6)
    hint = f"Did you mean '{readers.__name__}.{names[near[0]]}'? " if near else ""
    return f"{hint}Allowed: {readers.__name__}.NAME with NAME of {', '.join(names.values())}; {OWN}."
