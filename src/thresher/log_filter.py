"""What the logs of Kedro and MLflow leave out: errors that the command reports, and advice that is wrong here."""

from __future__ import annotations

import logging
import sys

from thresher.trouble import explain

FAILED_NODE = "Node %s failed with error"
"""How Kedro's logger of nodes begins to say an error, with all of its text, before the error goes on to the command."""
ADVICE = ("You can resume the pipeline run from", "No nodes ran. Repeat the previous command")
"""What Kedro's runners advise. Here, the same command again takes whatever is finished."""
LOGGERS = (
    "kedro.pipeline.node",
    "kedro.runner.runner",
    "kedro.runner.sequential_runner",
    "kedro.runner.thread_runner",
    "kedro.runner.parallel_runner",
    "mlflow.store.db.utils",  # logs what its database could not write, with a traceback, before it raises that
)


def log_once() -> None:
    """Let both logs leave out, from now on, what `kedro run` says at its end, and Kedro's advice on what to run.

    In the program: Kedro's logging configuration takes no filters and no handlers of others.
    """
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    if str(record.msg).startswith(FAILED_NODE) or record.exc_info:
        return explain(sys.exc_info()[1]) is None
    return not any(words in str(record.msg) for words in ADVICE)
