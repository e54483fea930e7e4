"""A candidate's failure takes the place of its results, and goes on to whatever needs them."""

from __future__ import annotations

import pytest

from thresher.candidate_failure import CandidateFailure, attempt
from thresher.errors import CompressionError, ParityError


def explode(error: Exception) -> str:
    raise error


def test_what_can_be_made_is_given() -> None:
    assert attempt("half", "export_network", lambda: "file", "network") == "file"


def test_what_a_user_can_mend_is_the_reason_without_the_candidate_s_name() -> None:
    failed = attempt("half", "compress_network", lambda: explode(CompressionError("half: removes nothing. Raise it.")))
    assert failed == CandidateFailure(candidate="half", step="compress_network", reason="removes nothing. Raise it.")
    assert not failed.may_pass


def test_any_other_error_is_kept_with_its_traceback() -> None:
    failed = attempt("half", "quantize_onnx", lambda: explode(RuntimeError("no kernel for Foo\nsecond line")))
    assert isinstance(failed, CandidateFailure)
    assert failed.reason == "RuntimeError: no kernel for Foo"
    assert "in explode" in failed.traceback
    assert failed.may_pass


def test_what_a_failed_result_is_needed_for_is_not_tried() -> None:
    first = CandidateFailure(candidate="half", step="compress_network", reason="empty")
    assert attempt("half", "export_network", lambda: explode(AssertionError()), first) == first
    later = attempt("int8", "quantize_onnx", lambda: explode(AssertionError()), "encoder", first)
    assert isinstance(later, CandidateFailure)
    assert (later.candidate, later.reason) == ("int8", "half failed: empty")


def test_the_float_model_s_failure_is_the_run_s() -> None:
    with pytest.raises(ParityError):
        attempt(None, "export_network", lambda: explode(ParityError("differs")))


def test_an_interruption_is_nobody_s_failure() -> None:
    with pytest.raises(KeyboardInterrupt):
        attempt("half", "compress_network", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
