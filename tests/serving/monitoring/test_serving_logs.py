"""The log says which request ended how, and never what was in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO

import pytest
from live_service import LiveService
from tiny_service import make_info

from thresher.serving.core.bundle import Bundle
from thresher.serving.monitoring.logs import ACCESS_LOG, configure_logs

MARKER = "4711_the_payload"


@pytest.fixture
def logged(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[LiveService, StringIO]]:
    """A service and what it logs."""
    monkeypatch.setenv(ACCESS_LOG, "1")
    logger = logging.getLogger("thresher")
    before = (logger.handlers, logger.propagate, logger.level)
    stream = StringIO()
    configure_logs(stream)
    service = LiveService(replace(bundle, info=make_info()))
    yield service, stream
    service.close()
    logger.handlers, logger.propagate = before[:2]
    logger.setLevel(before[2])


def test_every_request_has_a_line_of_json(logged: tuple[LiveService, StringIO]) -> None:
    service, stream = logged
    service.client.post("/predict", json={"image": [[0] * 6] * 8}, headers={"X-Request-Id": "first"})
    service.client.post("/predict", json={"image": MARKER}, headers={"X-Request-Id": "second"})
    service.finish_turn()
    text = stream.getvalue()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["request_id"], line["protocol"], line["status"]) for line in lines] == [
        ("first", "rest", 200),
        ("second", "rest", 422),
    ]
    assert all(line["event"] == "request" and line["milliseconds"] > 0 for line in lines)
    assert MARKER not in text


def test_a_request_that_breaks_the_service_is_found_by_its_id_and_shows_nothing_of_itself(
    logged: tuple[LiveService, StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise KeyError(f"cannot read {arguments}")  # as a library may: with what it was given in its text

    service, stream = logged
    monkeypatch.setattr("thresher.serving.http.operations.decode_json", fail)
    answer = service.client.post("/predict", json={"image": MARKER}, headers={"X-Request-Id": "broken"})
    assert answer.status_code == 500
    assert MARKER not in answer.text
    service.finish_turn()
    (line,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (line["level"], line["request_id"], line["error"]) == ("error", "broken", "KeyError")
    assert any("fast_path.py" in place for place in line["traceback"])
    assert MARKER not in stream.getvalue()


def test_without_being_asked_good_requests_are_not_logged(
    logged: tuple[LiveService, StringIO], bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ACCESS_LOG)
    service = LiveService(bundle)
    service.client.post("/predict", json={"image": [[0] * 6] * 8})
    service.close()
    assert logged[1].getvalue() == ""
