"""What the logs of Kedro and MLflow leave out: errors that the command reports, and advice that is wrong here."""

from __future__ import annotations

import logging
import sys

from thresher.adapters.kedro import ADVICE, FAILED_NODE, LOGGERS
from thresher.trouble import explain

STORE_LOGGER = "mlflow.store.db.utils"
"""Logs what MLflow's database could not write, with a traceback, before the error goes on to the command."""


def log_once() -> None:
    """Let both logs leave out, from now on, what `kedro run` says at its end, and Kedro's advice on what to run.

    In the program: Kedro's logging configuration takes no filters and no handlers of others.
    """
    for name in (*LOGGERS, STORE_LOGGER):
        logging.getLogger(name).addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    if str(record.msg).startswith(FAILED_NODE) or record.exc_info:
        return explain(sys.exc_info()[1]) is None
    return not any(words in str(record.msg) for words in ADVICE)
