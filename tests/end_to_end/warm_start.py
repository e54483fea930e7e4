"""Runs commands in processes that are forked from one which has imported the libraries, which is most of a short run.

Nothing of Thresher and nothing of Kedro is imported before the fork, and a command begins as its script does. What is
about starting is not run this way.
"""

from __future__ import annotations

import atexit
import importlib
import inspect
import json
import os
import random
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

LIBRARIES = (
    "torch", "torch.onnx", "torch._dynamo", "torch.export", "torch.utils.data", "onnxscript", "onnx", "onnxruntime",
    "onnxruntime.quantization", "mlflow", "mlflow.artifacts", "mlflow.onnx", "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store", "great_expectations", "bentoml", "pandas", "sklearn.datasets",
    "matplotlib.pyplot", "optuna", "torch_pruning", "onnxslim", "networkx", "dynaconf", "omegaconf", "git", "flask",
)  # fmt: skip
ALLOCATOR = "jemalloc_bg_thd"
"""The thread of pyarrow's allocator, which is made for being forked."""
OWN = ("thresher", "kedro")


class Forked:
    """A command in a process of its own, with those of `subprocess.Popen`'s methods that tests use."""

    def __init__(self, pid: int, poll: Callable[[int], int | None]) -> None:
        self.pid, self._poll = pid, poll
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code once it has ended."""
        if self._code is None:
            self._code = self._poll(self.pid)
        return self._code

    def wait(self, timeout: float) -> int:
        """Return the exit code; what has not ended after ``timeout`` seconds is killed."""
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                self.send_signal(signal.SIGKILL)
            time.sleep(0.02)
        assert self._code is not None
        return self._code

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


class WarmStart:
    """A process that commands are forked from."""

    def __init__(self) -> None:
        command = [sys.executable, __file__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._lock = threading.Lock()

    def start(
        self, script: Path, arguments: tuple[str, ...], folder: Path, environment: dict[str, str], *outputs: Path
    ) -> Forked:
        """Start a command, which heads a process group.

        Args:
            outputs: the files for what it prints and for standard error.
        """
        asked = {"argv": [str(script), *arguments], "cwd": str(folder), "env": environment}
        return Forked(self._ask(start={**asked, "outputs": [str(output) for output in outputs]}), self._poll)

    def run(
        self, script: Path, arguments: tuple[str, ...], folder: Path, environment: dict[str, str], timeout: float
    ) -> tuple[int, str]:
        """Return the exit code and all that was printed, standard error last."""
        with tempfile.TemporaryDirectory() as place:
            outputs = [Path(place) / name for name in ("out", "err")]
            code = self.start(script, arguments, folder, environment, *outputs).wait(timeout)
            return code, "".join(output.read_text() for output in outputs)

    def _poll(self, pid: int) -> int | None:
        code: int | None = self._ask(poll=pid)
        return code

    def _ask(self, **question: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        with self._lock:
            print(json.dumps(question), file=self._process.stdin, flush=True)
            return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(20)


def serve() -> None:
    """Fork a process, or say what became of one, for each line of standard input."""
    # A process with threads must not be forked: what they hold stays held.
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    os.environ |= {"GOMP_SPINCOUNT": "1000"}  # as thresher.settings does before torch is imported
    import thresher  # noqa: F401  # says in the environment what libraries are not to do

    for name in LIBRARIES:
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.partition(".")[0] in OWN]:
        del sys.modules[name]
    _find_modules_sooner()
    _look_up_packages()
    threads = [Path(task, "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    assert set(threads) <= {threads[0], ALLOCATOR}, threads
    for line in sys.stdin:
        question = json.loads(line)
        print(json.dumps(_poll(question["poll"]) if "poll" in question else _start(question["start"])), flush=True)
    os._exit(0)  # taking all of it apart takes seconds


def _start(asked: dict[str, Any]) -> int:
    """Fork a process for a command; return its id."""
    child = os.fork()
    if child == 0:
        os.setsid()
        _become(**asked)
    return child


def _poll(child: int) -> int | None:
    """Return the exit code of a process once it has ended; to be asked for once after that."""
    done, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def _find_modules_sooner() -> None:
    """Let `inspect` find the module of a frame by its name.

    It goes through all modules for it, and pydantic asks for each setting's docstring: a moment in a process that has
    just begun, but a third of a short run after these imports.
    """
    find_otherwise = inspect.getmodule

    def find_module(thing: object, _filename: str | None = None) -> ModuleType | None:
        if isinstance(thing, FrameType):
            return sys.modules.get(thing.f_globals.get("__name__", ""))
        return find_otherwise(thing, _filename)

    inspect.getmodule = find_module


def _look_up_packages() -> None:
    """Let MLflow read once what is installed."""
    from mlflow.utils.requirements_utils import warn_dependency_requirement_mismatches

    warn_dependency_requirement_mismatches(["numpy"])


def _become(argv: list[str], cwd: str, env: dict[str, str], outputs: list[str]) -> None:
    """Be the command, as if Python had just started it."""
    import numpy as np  # not sooner: `serve` says first how many threads it may have

    code = 1
    try:
        for number, output in enumerate(outputs, 1):
            os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        sys.argv = argv
        sys.path[:1] = [str(Path(argv[0]).parent), *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
        random.seed()
        np.random.seed()
        runpy.run_path(argv[0], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        threading._shutdown()  # type: ignore[attr-defined]  # what Python itself does at its end
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
