"""The product as a user has it: a wheel, a project in a path with a space, own kinds, and a model that is served."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from helpers.doc_blocks import blocks
from kedro_project import address, answers, free_port, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.end_to_end]

REPOSITORY = Path(__file__).parents[2]
TIMEOUT_S = 900
# A handwritten 3.
DIGIT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAARElEQVR4nDXGMRGAMBAAsBzHzkuolJeCBHBQB0jAAg4qoRbqoEhgIlNwzB5Q+z4T"
    "SvSOxYgyAojW/t3VQs3Mzcp7eU4fVhgPr7VP6z8AAAAASUVORK5CYII="
)

SMALL: dict[str, Any] = {
    "task": "classification",
    "data": {"modality": "image", "train": "digits.train", "test": "digits.test"},
    "model": {"kind": "skip_net", "channels": 8},
    "training": {
        "optimizer": {"kind": "adam", "lr": 0.005},
        "epochs": 1,
        "batch_size": 64,
        "execution": {"compile": False, "threads": 1},
    },
    "candidates": {
        "half": [{"kind": "prune_channels", "ratio": 0.5}, {"kind": "finetune", "epochs": 1}],
        "thresholded": [{"kind": "prune_threshold", "threshold": 0.02}],
        "rounded": [{"kind": "round_weights"}],
    },
    "evaluation": {"rounds": 10, "seconds": 0.05, "batch_sizes": [1]},
    "selection": {"minimize": "size_bytes", "require": {"accuracy_drop": {"at_most": 0.95}}},
}
"""The own model and the own techniques of docs/extend.md."""


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel, and a project made by it."""

    python: Path
    folder: Path
    home: Path

    @property
    def variables(self) -> dict[str, str]:
        others = ("PYTHONPATH", "MLFLOW_", "KEDRO_", "THRESHER_", "BENTOML_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(others)}
        path = f"{self.python.parent}:/usr/bin:/bin"
        off = {"THRESHER_GRPC_PORT": "0", "THRESHER_HTTP_PORT": "0"}
        return {**inherited, **off, "PATH": path, "HOME": str(self.home)}

    def thresher(self, *arguments: str, folder: Path | None = None) -> str:
        done = subprocess.run(
            [str(self.python.with_name("thresher")), *arguments],
            cwd=folder or self.folder / "data",  # a subfolder: the project is found
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install the wheel into a fresh environment that has the packages of this one, but for Thresher."""
    place = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = ["wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(place), str(REPOSITORY)]
    subprocess.run([*pip, *build], check=True, timeout=TIMEOUT_S)
    venv.create(place / "venv", with_pip=False, symlinks=True)
    python = place / "venv" / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.run([python, "-c", where], check=True, capture_output=True, text=True).stdout.strip())
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (wheel,) = place.glob("thresher-*.whl")
    into = ["--python", str(python), "install", "-q", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([*pip, *into], check=True, timeout=TIMEOUT_S)
    for name in ("home", "some where"):
        (place / name).mkdir()
    result = Installed(python, place / "some where" / "my project", place / "home")
    result.thresher("new", "my project", folder=place / "some where")
    shown = subprocess.run(
        [python, "-c", "import thresher; print(thresher.__file__)"],
        capture_output=True,
        text=True,
        env=result.variables,
    )
    assert Path(shown.stdout.strip()).is_relative_to(site), shown
    return result


def test_a_new_project_is_sound(installed: Installed) -> None:
    assert "digits: sound, 7 candidates" in installed.thresher("check")


@pytest.fixture(scope="module")
def page(installed: Installed) -> list[str]:
    """Add the own kinds of docs/extend.md, use them in `digits`, run docs/python_api.md, and return what it printed."""
    for text in blocks("extend.md", "python"):
        name, _, code = text.partition("\n")
        path = installed.folder / name.removeprefix("# ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    settings = installed.folder / "pyproject.toml"
    settings.write_text(settings.read_text().replace('kinds = "my_project.kinds"', 'kinds = "acme.kinds"'))
    (installed.folder / "pipelines" / "digits.yml").write_text(yaml.safe_dump(SMALL))
    script = "\n".join(blocks("python_api.md", "python"))
    script += "\nprint(results.report[:15], project.results('digits').verdict == results.verdict)"
    done = subprocess.run(
        [installed.python, "-c", script],
        cwd=installed.folder / "src",
        env=installed.variables,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_the_page_of_the_python_api_runs_as_it_stands(page: list[str]) -> None:
    assert "'digits'" in page[0] and "half" in page  # the winner, by its size
    assert page[-1] == "<!DOCTYPE html> True"
    assert page[-2].count("'") == 6  # three labels


def test_own_kinds_go_from_the_wheel_to_a_bento_that_answers(installed: Installed, page: list[str]) -> None:
    assert "acme.kinds of the project" in installed.thresher("kinds")
    for candidate in ("half", "thresholded", "rounded"):
        assert [line for line in page if line.startswith(f"✓ {candidate}.evaluate_candidate")], page
    again = installed.thresher("run", "digits", "--params", "digits.training.epochs=3")
    assert "nothing runs" in again, again
    tag = installed.thresher("champion", "digits").strip()
    packed = installed.home / "bentoml" / "bentos" / tag.replace(":", "/") / "src" / "thresher"
    assert (packed / "serving" / "service.py").is_file() and not (packed / "training").exists()

    port, log = free_port(), installed.home / "service.log"
    command = [str(installed.python.with_name("thresher")), "serve", "digits", "--port", str(port)]
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=installed.folder / "pipelines",
            env=installed.variables,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        with httpx.Client(base_url=address(port), timeout=30) as client:
            wait_for(lambda: answers(client, "/readyz"), process, log)
            answer = client.post("/predict", content=DIGIT, headers={"Content-Type": "image/png"})
    finally:
        process.terminate()
        process.wait(60)
    assert answer.status_code == 200, answer.text
    (prediction,) = answer.json()["predictions"]
    (installed.folder / "digit.png").write_bytes(DIGIT)
    (alone,) = json.loads(installed.thresher("predict", "digits", "../digit.png"))["predictions"]
    assert alone == prediction  # the service's own decoding and encoder, in process


def test_importing_thresher_imports_nothing_heavy(installed: Installed) -> None:
    script = "import sys, thresher; print(sorted({'torch', 'kedro', 'mlflow', 'numpy', 'yaml'} & set(sys.modules)))"
    done = subprocess.run([installed.python, "-c", script], env=installed.variables, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
