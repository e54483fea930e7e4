"""A candidate that could not be made: it takes the place of every result of its branch, and the others go on."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from thresher.config import Config
from thresher.errors import ThresherError

Made = TypeVar("Made")


class CandidateFailure(Config):
    """Why there is no result."""

    failed: Literal[True] = True
    """The first of its keys, by which its file is told from that of a result."""
    candidate: str
    step: str
    """Function of the node in which it failed."""
    reason: str
    """One sentence or a few, as the verdict gives it."""
    traceback: str = ""
    """The traceback of an error that no user can correct and that may be a bug; it may not occur again."""

    @property
    def may_pass(self) -> bool:
        """Whether another run might come to something else, with nothing changed."""
        return bool(self.traceback)


def attempt(
    candidate: str | None, step: str, make: Callable[[], Made], *inputs: Any, tries: int = 2
) -> Made | CandidateFailure:
    """Return what ``make`` gives, or why it gives nothing.

    What a candidate is made of may be failed itself: then nothing is tried. Any exception is the candidate's own
    failure, since pruned networks and quantized files make libraries raise whatever they stumble on; one that is not a
    `ThresherError` may have been memory or another thread: it is said and tried once more, then kept with its
    traceback.

    Args:
        candidate: None of the float model: its failure is the run's, and is raised.
        inputs: what ``make`` uses that may have failed before.
        tries: 1 where there are others to go on with, and trying again takes long.
    """
    if candidate is None:
        return make()
    for given in inputs:
        if isinstance(given, CandidateFailure):
            return inherited(candidate, given)
    try:
        return make()
    except ThresherError as error:
        return CandidateFailure(candidate=candidate, step=step, reason=_without_name(candidate, str(error)))
    except Exception as error:
        if tries == 1:
            return CandidateFailure(
                candidate=candidate, step=step, reason=_describe(error), traceback=traceback.format_exc()
            )
        logging.getLogger(__name__).warning("%s: %s: %s. Trying once more.", candidate, step, _describe(error))
    return attempt(candidate, step, make, *inputs, tries=tries - 1)


def _describe(error: Exception) -> str:
    first_line = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__


def inherited(candidate: str, failed: CandidateFailure) -> CandidateFailure:
    """Return the failure of ``candidate``, which needs a result that is ``failed``."""
    if failed.candidate == candidate:
        return failed
    return failed.model_copy(update={"candidate": candidate, "reason": f"{failed.candidate} failed: {failed.reason}"})


def _without_name(candidate: str, reason: str) -> str:
    """Return ``reason`` without the candidate's name before it: it stands in the row that the reason is for."""
    return reason.removeprefix(f"{candidate}: ")
