"""`thresher run` and `thresher plan`, and `kedro run`: with the errors that a user can mend explained."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import Any, NoReturn, get_args

import click
from kedro.framework.cli.project import run as kedro_run

from thresher.config_loader import RUN
from thresher.hooks.report import print_plan
from thresher.interruption import TerminatedError, interruption
from thresher.log_filter import log_once
from thresher.project.folder import enter_project, find_project
from thresher.recipe.merging import merge
from thresher.run_options import IfRunning
from thresher.session import IncrementalSession
from thresher.tracking.run_context import current
from thresher.trouble import explain

INTERRUPTED, TERMINATED = 130, 143


@click.group(name="thresher")
def cli() -> None:
    """Thresher's commands within Kedro."""


def _run(fresh: bool, if_running: str | None, **options: Any) -> Any:
    """Run a recipe: validate, train, compress, judge, register and pack it. Finished steps are reused."""
    options["params"] = _with_run_options(options["params"], fresh=fresh, if_running=if_running)
    # --pipeline is how recipes are named everywhere; Kedro is about to rename it and says so at every run.
    if options.get("pipeline") and not options.get("pipelines"):
        options["pipelines"], options["pipeline"] = [options["pipeline"]], None
    if len(options.get("pipelines") or ()) > 1:
        names = " and ".join(options["pipelines"])
        _stop("FAILED", f"--pipelines names {names}. One recipe a run: run them one after the other.", 1)
    find_project()  # for its conf/logging.yml, where the working directory is a subfolder
    _handle_signals()
    log_once()
    try:
        assert kedro_run.callback is not None
        return kedro_run.callback(**options)
    except KeyboardInterrupt:
        text, code = "Interrupted; the MLflow run is KILLED. Run it again: finished steps are reused.", INTERRUPTED
    except TerminatedError:
        text, code = "Terminated; the MLflow run is marked KILLED.", TERMINATED
    except Exception as error:
        if (mendable := explain(error)) is None:
            _end_tracking("FAILED")
            raise
        _stop("FAILED", str(mendable), 1)
    gc.collect()  # what was interrupted is gone with its exception, and with it a transaction that locks the database
    return _stop("KILLED", text, code)


def _run_recipe(recipe: str | None, **options: Any) -> Any:
    """Run a recipe: validate, train, compress, judge, register and pack it. Finished steps are reused.

    RECIPE is `digits`, or else the first, where none is named. This is `kedro run --pipeline RECIPE`, with the same
    options. Look at the run with `thresher ui`; serve its champion with `thresher serve RECIPE`.
    """
    enter_project(find_project())
    return _run(pipeline=recipe, pipelines=None, **options)


def _plan(recipe: str, env: str | None, fresh: bool, params: dict[str, Any], namespaces: Any, **selection: Any) -> None:
    """Print what `thresher run RECIPE` would run, what it would reuse of earlier runs, and why.

    Runs nothing. The options are those of `thresher run`.
    """
    project = find_project()
    enter_project(project)
    options = _with_run_options(params, fresh=fresh)
    with IncrementalSession.create(project, env=env, runtime_params=options) as session:
        assert isinstance(session, IncrementalSession)
        print_plan(session.plan(recipe, node_namespaces=namespaces, **selection))


def _with_run_options(params: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Return Kedro's runtime parameters with those of ``options`` that were given."""
    given = {name: value for name, value in options.items() if value}
    return merge(params or {}, {RUN: given}) if given else params


def _handle_signals() -> None:
    """Let SIGINT and SIGTERM end the run as exceptions; SIGTERM ends a worker process, which inherits this, at once.

    A worker would send the exception back as the result of its node and wait for the next one, and whoever waits for
    its end, as the pool does once another worker is gone, would wait forever.
    """
    process = os.getpid()

    def terminate(number: int, frame: Any) -> None:
        if os.getpid() == process:
            interruption.stop(TerminatedError())
            return
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, terminate)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # it may be ignored, as in the background
        signal.signal(signal.SIGINT, lambda number, frame: interruption.stop(KeyboardInterrupt()))


def _stop(status: str, text: str, code: int) -> NoReturn:
    _end_tracking(status)
    click.secho(text, fg="red", err=True)
    sys.exit(code)


def _end_tracking(status: str) -> None:
    if current().run_id:
        from thresher.tracking.run import end_run  # only now, since it imports MLflow

        end_run(status)


FRESH = click.Option(
    ["--fresh"], is_flag=True, help="Run every selected node, even where results of earlier runs could be reused."
)
IF_RUNNING = click.Option(
    ["--if-running"],
    type=click.Choice(get_args(IfRunning)),
    help="What to do while another process runs the same recipe. Default: wait.",
)
SELECTION = ("env", "params", "tags", "node_names", "from_nodes", "to_nodes", "from_inputs", "to_outputs", "namespaces")
cli.add_command(click.Command("run", callback=_run, params=[FRESH, IF_RUNNING, *kedro_run.params], help=_run.__doc__))
run = click.Command(
    "run",
    callback=_run_recipe,
    params=[
        click.Argument(["recipe"], required=False),
        FRESH,
        IF_RUNNING,
        *(option for option in kedro_run.params if option.name not in ("pipeline", "pipelines")),
    ],
    help=_run_recipe.__doc__,
)
plan = click.Command(
    "plan",
    callback=_plan,
    params=[
        click.Argument(["recipe"]),
        FRESH,
        *(option for option in kedro_run.params if option.name in SELECTION),
    ],
    help=_plan.__doc__,
)
