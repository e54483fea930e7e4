"""What a run says of candidates that fail: each reason once, however many nodes of a branch pass it on."""

from __future__ import annotations

from rich.markup import escape

from thresher.candidate_failure import CandidateFailure

FAILED, PASSED_ON = "[red]✗[/]", "[dim]–[/]"


class Failures:
    """The failures that one run has printed so far."""

    def __init__(self) -> None:
        self._described: dict[str, str] = {}

    def describe(self, failed: CandidateFailure) -> tuple[str, str]:
        """Return the mark of a node that gave ``failed``, and what is left to say of it."""
        if self._described.get(failed.candidate) == failed.reason:
            return PASSED_ON, ""
        cause = next((reason for reason in self._described.values() if failed.reason.endswith(f": {reason}")), None)
        self._described[failed.candidate] = failed.reason
        if cause is None:
            return FAILED, f"[red]{escape(failed.candidate)} failed:[/] {escape(failed.reason)}"
        return PASSED_ON, escape(failed.reason.removesuffix(f": {cause}"))
