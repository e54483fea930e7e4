"""Kedro's project commands: `kedro run`, with errors that a user can mend said in words."""

from __future__ import annotations

import signal
import sys
from typing import Any, NoReturn

import click
from kedro.framework.cli.project import run as kedro_run

from thresher.errors import ThresherError

INTERRUPTED, TERMINATED = 130, 143


class _TerminatedError(BaseException):
    """SIGTERM. Raised where the run happens to be, so that a transaction it is in the middle of is undone first."""


@click.group(name="thresher")
def cli() -> None:
    """Thresher's commands within Kedro."""


def run(**options: Any) -> Any:
    """Run a recipe: validate, train, compress, judge, register and pack it."""
    # --pipeline is how recipes are named everywhere; Kedro is about to rename it and says so at every run.
    if options.get("pipeline") and not options.get("pipelines"):
        options["pipelines"], options["pipeline"] = [options["pipeline"]], None
    if len(options.get("pipelines") or ()) > 1:
        names = " and ".join(options["pipelines"])
        _stop("FAILED", f"--pipelines names {names}. One recipe a run: run them one after the other.", 1)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        assert kedro_run.callback is not None
        return kedro_run.callback(**options)
    except KeyboardInterrupt:
        _stop("KILLED", "Interrupted; the MLflow run is marked KILLED. Run again to start over.", INTERRUPTED)
    except _TerminatedError:
        _stop("KILLED", "Terminated; the MLflow run is marked KILLED.", TERMINATED)
    except Exception as error:
        mendable = find_mendable(error)
        if mendable is None:
            _end_tracking("FAILED")
            raise
        _stop("FAILED", str(mendable), 1)


def find_mendable(error: BaseException | None) -> ThresherError | None:
    """Return the error that the user can mend in the chain of causes; Kedro wraps what a dataset raises."""
    while error is not None and not isinstance(error, ThresherError):
        error = error.__cause__ or error.__context__
    return error


def _terminate(number: int, frame: Any) -> NoReturn:
    raise _TerminatedError


def _stop(status: str, text: str, code: int) -> NoReturn:
    _end_tracking(status)
    click.secho(text, fg="red", err=True)
    sys.exit(code)


def _end_tracking(status: str) -> None:
    from thresher.tracking.run import end_run

    end_run(status)


cli.add_command(click.Command("run", callback=run, params=kedro_run.params, help=run.__doc__))
