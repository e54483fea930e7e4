"""A Thresher project of its own in a temporary folder, and the real `kedro`, `mlflow` and `bentoml` run in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run

REPOSITORY = Path(__file__).parents[2]
PARTS = ("conf", "pipelines", "pyproject.toml", "bentofile.yaml")
EXECUTABLES = Path(sys.executable).parent
TIMEOUT_S = 400

SMALL: dict[str, Any] = {
    "description": "Digits, small and quick",
    "task": "classification",
    "data": {"modality": "image", "train": "digits.train", "test": "digits.test"},
    "model": {"kind": "cnn", "channels": [8, 16], "hidden": 32},
    "training": {"optimizer": {"kind": "adam", "lr": 0.005}, "epochs": 2, "batch_size": 32, "seed": 1},
    "candidates": {
        "half": [{"kind": "prune_channels", "ratio": 0.5}, {"kind": "finetune", "epochs": 2}],
        "int8": [{"kind": "quantize_static", "calibration_samples": 64}],
        "half_int8": {"from": "half", "steps": [{"kind": "quantize_static", "calibration_samples": 64}]},
    },
    "evaluation": {"rounds": 10, "seconds": 0.05, "batch_sizes": [1]},
    # Sizes do not depend on the machine's mood, as latencies do.
    "selection": {"minimize": "size_bytes", "require": {"accuracy_drop": {"at_most": 0.5}}},
}
SMALL_CANDIDATES = ("float", "half", "int8", "half_int8")


@dataclass(frozen=True)
class Done:
    """A command that has ended; ``text`` is all that it printed, standard error last."""

    code: int
    text: str

    @property
    def nodes(self) -> list[str]:
        """The nodes that ran, in their order."""
        return re.findall(r"^✓ (\S+)", self.text, re.MULTILINE)

    def succeeded(self) -> Done:
        assert self.code == 0, self.text
        return self

    def failed(self, code: int = 1) -> Done:
        """Assert that it ended as for a mistake of the user: in words, without a traceback."""
        assert self.code == code, self.text
        assert "Traceback" not in self.text, self.text
        return self


@dataclass
class Project:
    """A project folder with a home, an MLflow and a BentoML store of its own."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    tracking_uri: str = ""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        for part in PARTS:
            source = REPOSITORY / part
            copy = shutil.copytree if source.is_dir() else shutil.copyfile
            copy(source, self.folder / part)  # type: ignore[operator]
        shutil.rmtree(self.folder / "conf" / "local")  # whatever this checkout's owner keeps there
        for name in ("conf/local", "src", ".home"):
            (self.folder / name).mkdir()
        self.tracking_uri = self.tracking_uri or f"sqlite:///{self.folder}/mlflow.db"

    @property
    def variables(self) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "KEDRO_"))}
        own = {"HOME": str(self.folder / ".home"), "BENTOML_HOME": str(self.bentoml_home)}
        return {**inherited, **own, **self.environment}

    @property
    def bentoml_home(self) -> Path:
        return self.folder / ".home" / "bentoml"

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(tracking_uri=self.tracking_uri)

    def kedro(self, *arguments: str, **variables: str) -> Done:
        """Run `kedro ARGUMENTS` to its end."""
        done = subprocess.run(
            [str(EXECUTABLES / "kedro"), *arguments],
            cwd=self.folder,
            env={**self.variables, **variables},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        return Done(done.returncode, done.stdout + done.stderr)

    def run(self, *arguments: str, **variables: str) -> Done:
        """Run `kedro run --pipeline small ARGUMENTS`."""
        return self.kedro("run", "--pipeline", "small", *arguments, **variables)

    def interrupt(self, number: signal.Signals, when: Callable[[str], bool], *arguments: str) -> Done:
        """Run `kedro run --pipeline small ARGUMENTS` and send it a signal as soon as its output is as ``when`` says."""
        log = self.folder / ".home" / f"{number.name}.log"
        command = [str(EXECUTABLES / "kedro"), "run", "--pipeline", "small", *arguments]
        with self.process(command, log) as process:
            wait_for(lambda: when(log.read_text()), process, log)
            process.send_signal(number)
            return Done(process.wait(60), log.read_text())

    @contextmanager
    def process(self, command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Start ``command``; whatever is left of it at the end of the block is killed, its children too."""
        with log.open("w") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.variables,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    @contextmanager
    def server(self, command: list[str], port: int, ready: str) -> Iterator[httpx.Client]:
        """Run a server on ``port`` until the block ends; gives a client once the path ``ready`` answers 200."""
        log = self.folder / ".home" / f"{port}.log"
        with self.process(command, log) as process, httpx.Client(base_url=address(port), timeout=30) as client:
            wait_for(lambda: answers(client, ready), process, log)
            yield client
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)

    def write_recipe(self, name: str, recipe: dict[str, Any]) -> None:
        (self.folder / "pipelines" / f"{name}.yml").write_text(yaml.safe_dump(recipe, sort_keys=False))

    def write_configuration(self, environment: str, name: str, content: dict[str, Any]) -> None:
        path = self.folder / "conf" / environment / f"{name}.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(content))

    def read_json(self, name: str) -> Any:
        return json.loads((self.folder / "data" / name).read_text())

    def mlflow_runs(self, recipe: str) -> list[Run]:
        """Return the recipe's runs, the newest first."""
        experiment = self.client.get_experiment_by_name(recipe)
        assert experiment is not None
        found = self.client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"])
        return list(found)

    def artifacts(self, run: Run, folder: str) -> set[str]:
        return {file.path.rpartition("/")[2] for file in self.client.list_artifacts(run.info.run_id, folder)}

    def logged_models(self, run: Run) -> dict[str, Any]:
        """Return the run's logged models by name."""
        found = self.client.search_logged_models(
            experiment_ids=[run.info.experiment_id], filter_string=f"source_run_id = '{run.info.run_id}'"
        )
        models = list(found)
        assert len({model.name for model in models}) == len(models)
        return {model.name: model for model in models}

    def champion(self, recipe: str) -> Any:
        """Return the registered version with the alias; its number is text from a server, a number from a file."""
        return self.client.get_model_version_by_alias(recipe, "champion")

    def champion_version(self, recipe: str) -> str:
        return str(self.champion(recipe).version)


NewProject = Callable[[str], Project]


def history(project: Project, run: Run, metric: str) -> list[float]:
    return [entry.value for entry in project.client.get_metric_history(run.info.run_id, metric)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def address(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).status_code == 200
    except httpx.TransportError:
        return False


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
