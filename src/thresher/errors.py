"""What a user can cause and mend. Everything else is a bug and may show a traceback."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from traceback import extract_tb

FOREIGN = (Exception, SystemExit)
"""What somebody else's module may raise when it is imported; one that calls `sys.exit` shall not end the command."""
MAX_TOLD = 20
"""Sentences of one kind that an error tells: a table may have hundreds of columns."""


def describe_import_error(error: BaseException) -> str:
    """Return why importing somebody else's module failed, and in which line; none where the module was not found."""
    ours = str(Path(__file__).parent)
    lines = [f"{frame.filename}:{frame.lineno}" for frame in extract_tb(error.__traceback__)]
    theirs = [line for line in lines if "importlib" not in line and not line.startswith(ours)]
    return f"{type(error).__name__}: {error}" + (f" ({theirs[-1]})" if theirs else "")


class ThresherError(Exception):
    """Base of all errors that a user can mend; its text says where, what, what is allowed and the fix."""


@dataclass(frozen=True)
class Problem:
    """One mistake in a recipe: its place, what was given, what is allowed."""

    where: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f"\n    {self.fix}" if self.fix else "")


class RecipeError(ThresherError):
    """A recipe that cannot be run; carries every problem found in it."""

    def __init__(self, recipe: str, problems: Iterable[Problem]) -> None:
        self.recipe = recipe
        self.problems = list(problems)
        count = f"{len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}"
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"Recipe {recipe}: {count}\n{lines}")

    def __reduce__(self) -> tuple[type, tuple[str, list[Problem]]]:
        # Exceptions with their own signature must say how to cross a process border (ParallelRunner).
        return (type(self), (self.recipe, self.problems))


class DataError(ThresherError):
    """Raw data that is missing, damaged or not what the catalog entry says."""


class FetchError(ThresherError):
    """A download or copy of raw data that did not arrive whole."""


class ContractError(ThresherError):
    """Data that breaks its contract; nothing is trained on it."""


class TrainingError(ThresherError):
    """A training that cannot go on, such as a loss that is not finite."""


class CompressionError(ThresherError):
    """A technique that cannot be applied to this model."""


class ParityError(ThresherError):
    """An exported ONNX file whose outputs differ from those of the torch model."""


class NoCandidateQualifiesError(ThresherError):
    """No candidate meets the recipe's requirements; the champion stays what it was."""


class InvalidInputError(ThresherError):
    """A raw input to a model (request or file) with a wrong shape, type, range or format."""


def find_mendable(error: BaseException | None) -> ThresherError | None:
    """Return the error that the user can mend in the chain of causes; Kedro wraps what a dataset raises."""
    while error is not None and not isinstance(error, ThresherError):
        error = error.__cause__ or error.__context__
    return error


def list_some(sentences: Sequence[str], what: str) -> str:
    """Return ``sentences`` as one text: the first of them, and how many more there are of ``what`` they tell."""
    more = len(sentences) - MAX_TOLD
    return " ".join([*sentences[:MAX_TOLD], *([f"And {more:,} more {what}."] if more > 0 else [])])


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return a sentence that lists ``allowed`` and names the closest match to ``name``, if there is one."""
    names = sorted(allowed)
    begun = [allowed_name for allowed_name in names if len(name) > 2 and allowed_name.startswith(name)]
    alike = [allowed_name for allowed_name in names if allowed_name.casefold() == name.casefold()]
    matches = alike or get_close_matches(name, names, n=1, cutoff=0.6) or begun
    hint = f"Did you mean '{matches[0]}'? " if matches else ""
    return f"{hint}Allowed: {', '.join(names) or 'nothing'}."
