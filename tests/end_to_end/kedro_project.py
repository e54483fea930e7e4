"""A Thresher project of its own in a temporary folder, and the real `kedro`, `mlflow` and `bentoml` run in it."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from warm_start import Forked, WarmStart

from thresher.modalities.samples import Samples
from thresher.readers import BundledDigits

REPOSITORY = Path(__file__).parents[2]
PARTS = ("conf", "pipelines", "pyproject.toml", "bentofile.yaml")
EXECUTABLES = Path(sys.executable).parent
TIMEOUT_S = 400
WARM = ("kedro", "thresher")
Process = subprocess.Popen[bytes] | Forked
EVERY_NODE = "every node"
"""What a plan names where one reason holds for all."""

SMALL: dict[str, Any] = {
    "description": "Digits, small and quick",
    "task": "classification",
    "data": {"modality": "image", "train": "digits.train", "test": "digits.test"},
    "model": {"kind": "cnn", "channels": [8, 16], "hidden": 32},
    "training": {
        "optimizer": {"kind": "adam", "lr": 0.005},
        "epochs": 2,
        "batch_size": 32,
        "seed": 1,
        # What a timed trial would decide differs from day to day, and with it the last bits of the weights.
        "execution": {"channels_last": True, "compile": False, "threads": 1},
    },
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
# Half wins, by its size alone.
TINY: dict[str, Any] = {
    **SMALL,
    "model": {"kind": "cnn", "channels": [4, 8], "hidden": 16},
    "candidates": {
        "half": [{"kind": "prune_channels", "ratio": 0.5}, {"kind": "finetune", "epochs": 1}],
        "int8": [{"kind": "quantize_static", "calibration_samples": 64}],
    },
    "selection": {"minimize": "size_bytes", "require": {"accuracy_drop": {"at_most": 0.9}}},
}


@cache
def _warm_start() -> WarmStart:
    warm_start = WarmStart()
    atexit.register(warm_start.close)
    return warm_start


@dataclass(frozen=True)
class Done:
    """A command that has ended; ``text`` is all that it printed, standard error last."""

    code: int
    text: str

    @property
    def nodes(self) -> list[str]:
        """The nodes that ran, in their order."""
        return re.findall(r"^[✓✗–] (\S+)", self.text, re.MULTILINE)

    @property
    def plan(self) -> list[tuple[str, str, list[str]]]:
        """The printed plan: (run, maybe or reused; why; nodes)."""
        lines = re.findall(r"^  (run|maybe|reused) +(.+): (\w+[\w., ]*)$", self.text, re.MULTILINE)
        return [(word, why, nodes.split(", ")) for word, why, nodes in lines]

    def planned(self, word: str) -> dict[str, list[str]]:
        """The printed plan of one kind: why -> nodes."""
        return {why: nodes for kind, why, nodes in self.plan if kind == word}

    def planned_nodes(self, *words: str) -> set[str]:
        return {node for word, _, nodes in self.plan if word in words for node in nodes}

    def ran(self, *nodes: str, perhaps: str = "") -> Done:
        """Assert that ``nodes`` ran, each once and no other, and that this is within what the plan said.

        Args:
            perhaps: a node that runs if others took another time than before, which no plan foresees.
        """
        assert sorted(set(self.nodes) - {perhaps}) == sorted(nodes), self.text
        assert len(set(self.nodes)) == len(self.nodes), self.text
        if self.planned_nodes("run") == {EVERY_NODE}:
            assert f"{len(nodes)} of {len(nodes)} nodes run" in self.text
        else:
            assert self.planned_nodes("run") <= set(nodes) <= self.planned_nodes("run", "maybe"), self.text
        return self

    def ran_nothing(self) -> Done:
        assert self.nodes == [], self.text
        return self

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
    is_warm: bool = True
    """Whether commands are forked from a process that has the libraries (`WarmStart`); those of `start` always are."""

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
        # Of a service's ports BentoML's own is enough here, and the two beside it might be another test's.
        off = {"THRESHER_GRPC_PORT": "0", "THRESHER_HTTP_PORT": "0"}
        own = {"HOME": str(self.folder / ".home"), "BENTOML_HOME": str(self.bentoml_home), **off}
        return {**inherited, **own, **self.environment}

    @property
    def bentoml_home(self) -> Path:
        return self.folder / ".home" / "bentoml"

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(tracking_uri=self.tracking_uri)

    def kedro(self, *arguments: str, **variables: str) -> Done:
        """Run `kedro ARGUMENTS` to its end."""
        return self.command("kedro", *arguments, **variables)

    def command(self, name: str, *arguments: str, **variables: str) -> Done:
        """Run a command of this environment to its end."""
        if self.is_warm and name in WARM:
            environment = {**self.variables, **variables}
            return Done(*_warm_start().run(EXECUTABLES / name, arguments, self.folder, environment, TIMEOUT_S))
        done = subprocess.run(
            [str(EXECUTABLES / name), *arguments],
            cwd=self.folder,
            env={**self.variables, **variables},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        return Done(done.returncode, done.stdout + done.stderr)

    def plan(self, *arguments: str) -> Done:
        """Run `thresher plan small ARGUMENTS`, which runs nothing."""
        return self.command("thresher", "plan", "small", *arguments).succeeded().ran_nothing()

    def run(self, *arguments: str, **variables: str) -> Done:
        """Run `kedro run --pipeline small ARGUMENTS`."""
        return self.kedro("run", "--pipeline", "small", *arguments, **variables)

    def interrupt(self, number: signal.Signals, when: Callable[[str], bool], *arguments: str) -> Done:
        """Run `kedro run --pipeline small ARGUMENTS` and send it a signal as soon as its output is as ``when`` says."""
        with self.start(number.name, "--pipeline", "small", *arguments) as started:
            started.wait_until(when)
            started.process.send_signal(number)
            return started.end()

    @contextmanager
    def start(self, name: str, *arguments: str) -> Iterator[Started]:
        """Start `kedro run ARGUMENTS`; ``name`` is for its log alone."""
        log, command = self.folder / ".home" / f"{name}.log", ("run", *arguments)
        log.touch()
        forked = _warm_start().start(EXECUTABLES / "kedro", command, self.folder, self.variables, log, log)
        with killed_at_the_end(forked):
            yield Started(forked, log)

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
        with killed_at_the_end(process):
            yield process

    @contextmanager
    def server(self, command: list[str], port: int, ready: str) -> Iterator[httpx.Client]:
        """Run a server on ``port`` until the block ends; gives a client once the path ``ready`` answers 200."""
        log = self.folder / ".home" / f"{port}.log"
        with self.process(command, log) as process, httpx.Client(base_url=address(port), timeout=30) as client:
            wait_for(lambda: answers(client, ready), process, log)
            yield client
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)

    def own_package(self) -> Path:
        """Make the project use a copy of the package that a test can edit; return its folder."""
        shutil.copytree(REPOSITORY / "src" / "thresher", self.folder / "src" / "thresher")
        self.environment["PYTHONPATH"] = str(self.folder / "src")
        return self.folder / "src" / "thresher"

    def write_recipe(self, name: str, recipe: dict[str, Any]) -> None:
        (self.folder / "pipelines" / f"{name}.yml").write_text(yaml.safe_dump(recipe, sort_keys=False))

    def write_configuration(self, environment: str, name: str, content: dict[str, Any]) -> None:
        path = self.folder / "conf" / environment / f"{name}.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(content))

    def record(self, node: str) -> Path:
        """Return the file that says what ``node`` of `small` last did."""
        return self.folder / ".thresher" / "records" / "small" / f"{node}.json"

    def edit_record(self, node: str, kind: str, **values: str) -> None:
        """Let the record of ``node`` say that its dependencies of that kind were others."""
        record = json.loads(self.record(node).read_text())
        record["dependencies"][kind] |= {name.replace("_", "-"): value for name, value in values.items()}
        self.record(node).write_text(json.dumps(record))

    def bentos(self, recipe: str) -> list[Path]:
        """Return the folders of the recipe's Bentos in BentoML's store."""
        return [path for path in (self.bentoml_home / "bentos" / recipe).iterdir() if path.is_dir()]

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
        """Return the logged models that the run leads to by name, whether it made them or an earlier run did."""
        outputs = run.outputs.model_outputs if run.outputs else []
        models = [self.client.get_logged_model(output.model_id) for output in outputs]
        assert len({model.name for model in models}) == len(models)
        return {model.name: model for model in models}

    def champion(self, recipe: str) -> Any:
        """Return the registered version with the alias; its number is text from a server, a number from a file."""
        return self.client.get_model_version_by_alias(recipe, "champion")

    def champion_version(self, recipe: str) -> str:
        return str(self.champion(recipe).version)


@dataclass(frozen=True)
class Started:
    """A command that goes on."""

    process: Forked
    log: Path

    def wait_until(self, when: Callable[[str], bool]) -> None:
        """Return once what it has printed is as ``when`` says."""
        wait_for(lambda: when(self.log.read_text()), self.process, self.log)

    def end(self) -> Done:
        """Wait for its end."""
        return Done(self.process.wait(TIMEOUT_S), self.log.read_text())


NewProject = Callable[[str], Project]


def write_own_digits(project: Project) -> Path:
    """Write scikit-learn's digits as IDX files and let the catalog name them own.train and own.test.

    Returns:
        the file of the training images.
    """
    folder = project.folder / "data" / "01_raw" / "own"
    folder.mkdir(parents=True)
    entries: dict[str, Any] = {}
    for split in ("train", "test"):
        samples: Samples = BundledDigits(split=split).load()  # type: ignore[arg-type]
        (folder / f"{split}-images").write_bytes(idx(samples.inputs[:, 0]))
        (folder / f"{split}-labels").write_bytes(idx(samples.labels.astype(np.uint8)))
        entries[f"own.{split}"] = {
            "type": "thresher.readers.IdxImages",
            "path": "data/01_raw/own",
            "images": f"{split}-images",
            "labels": f"{split}-labels",
            "class_names": list(samples.class_names),
        }
    project.write_configuration("base", "catalog_own", entries)
    return folder / "train-images"


def idx(array: np.ndarray) -> bytes:
    """Return ``array`` of bytes as an IDX file."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def flip_byte(path: Path, place: int) -> None:
    """Change one byte of a file in place; its size and its time of modification stay."""
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)


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


@contextmanager
def killed_at_the_end(process: Process) -> Iterator[None]:
    """Kill what is left of ``process`` at the end of the block, its children too."""
    try:
        yield
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(TIMEOUT_S)


def wait_for(condition: Callable[[], bool], process: Process, log: Path) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
