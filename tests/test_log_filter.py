"""An error that a user can mend is said once, by the command; Kedro's log says the others, without its advice."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node
from kedro.runner import SequentialRunner

from thresher.adapters.kedro import LOGGERS
from thresher.errors import ContractError
from thresher.log_filter import STORE_LOGGER, log_once


def begin(given: int) -> int:
    return given


def break_contract(given: int) -> int:
    raise ContractError("The data breaks its contract: 1 of 7 expectations failed.")


def stumble(given: int) -> int:
    raise ValueError("a bug")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Return what reaches the terminal of Kedro's log."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    log_once()
    logging.getLogger("kedro").addHandler(handler)
    yield text
    logging.getLogger("kedro").removeHandler(handler)
    for name in (*LOGGERS, STORE_LOGGER):
        logging.getLogger(name).filters.clear()


@pytest.mark.parametrize(("function", "error"), [(break_contract, ContractError), (stumble, ValueError)])
def test_only_what_nobody_else_says_is_logged_and_no_advice(log: io.StringIO, function: object, error: type) -> None:
    pipeline = Pipeline([node(begin, "a", "b", name="begin"), node(function, "b", "c", name="end")])
    with pytest.raises(error):
        SequentialRunner().run(pipeline, DataCatalog({"a": MemoryDataset(1)}))
    said = log.getvalue()
    assert "--from-nodes" not in said
    assert "resume" not in said
    assert ("failed with error" in said) is (error is ValueError)
    assert "breaks its contract" not in said


def test_the_advice_when_nothing_ran_is_left_out(log: io.StringIO) -> None:
    with pytest.raises(ValueError, match="a bug"):
        SequentialRunner().run(Pipeline([node(stumble, "a", "b")]), DataCatalog({"a": MemoryDataset(1)}))
    assert "Repeat the previous command" not in log.getvalue()
