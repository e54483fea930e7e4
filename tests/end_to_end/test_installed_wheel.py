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
from kedro_project import TINY, address, answers, free_port, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.end_to_end]

REPOSITORY = Path(__file__).parents[2]
PAGE = "extend.md"
TIMEOUT_S = 600
# A handwritten 3.
DIGIT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAARElEQVR4nDXGMRGAMBAAsBzHzkuolJeCBHBQB0jAAg4qoRbqoEhgIlNwzB5Q+z4T"
    "SvSOxYgyAojW/t3VQs3Mzcp7eU4fVhgPr7VP6z8AAAAASUVORK5CYII="
)


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


@pytest.fixture(scope="module")
def with_own_kinds(installed: Installed) -> Installed:
    """Add the own model and the own techniques of docs/extend.md, and its recipe, made small."""
    for text in blocks(PAGE, "python"):
        name, _, code = text.partition("\n")
        path = installed.folder / name.removeprefix("# ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    settings = installed.folder / "pyproject.toml"
    settings.write_text(settings.read_text().replace('kinds = "my_project"', 'kinds = "acme.kinds"'))
    (recipe,) = (yaml.safe_load(text) for text in blocks(PAGE, "yaml"))
    small: dict[str, Any] = {
        **recipe,
        "model": {"kind": "skip_net", "channels": 8},
        "training": {**recipe["training"], "epochs": 2, "execution": {"compile": False, "threads": 2}},
        "candidates": {
            "half": [{"kind": "prune_channels", "ratio": 0.5}, {"kind": "finetune", "epochs": 1}],
            "half_int8": {"from": "half", "steps": [{"kind": "quantize_static", "calibration_samples": 64}]},
            "thresholded": [{"kind": "prune_threshold", "threshold": 0.02}],
            "rounded": [{"kind": "round_weights"}],
        },
        "evaluation": {"rounds": 10, "seconds": 0.05, "batch_sizes": [1]},
        "selection": {"minimize": "compressed_bytes", "require": {"accuracy_drop": {"at_most": 0.9}}},
    }
    (installed.folder / "pipelines" / "acme.yml").write_text(yaml.safe_dump(small))
    return installed


def test_a_new_project_is_sound(installed: Installed) -> None:
    assert "digits: sound, 7 candidates" in installed.thresher("check")


def test_own_kinds_go_from_the_wheel_to_a_bento_that_answers(with_own_kinds: Installed) -> None:
    project = with_own_kinds
    assert "acme.kinds of the project" in project.thresher("kinds")
    assert "acme: sound, 5 candidates" in project.thresher("check", "acme")
    printed = project.thresher("run", "acme")
    for candidate in ("half", "half_int8", "thresholded", "rounded"):
        assert f"✓ {candidate}.evaluate_candidate" in printed, printed
    tag = project.thresher("champion", "acme").strip()
    packed = project.home / "bentoml" / "bentos" / tag.replace(":", "/") / "src" / "thresher"
    assert (packed / "serving" / "service.py").is_file() and not (packed / "training").exists()
    assert "nothing runs" in project.thresher("plan", "acme")

    port, log = free_port(), project.home / "service.log"
    command = [str(project.python.with_name("thresher")), "serve", "acme", "--port", str(port)]
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=project.folder / "pipelines", env=project.variables, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        with httpx.Client(base_url=address(port), timeout=30) as client:
            wait_for(lambda: answers(client, "/readyz"), process, log)
            answer = client.post("/predict", content=DIGIT, headers={"Content-Type": "image/png"})
            assert client.get("/").json()["model"] == "acme"
    finally:
        process.terminate()
        process.wait(60)
    assert answer.status_code == 200, answer.text
    (prediction,) = answer.json()["predictions"]
    (project.folder / "digit.png").write_bytes(DIGIT)
    (alone,) = json.loads(project.thresher("predict", "acme", "../digit.png"))["predictions"]
    assert alone == prediction  # the service's own decoding and encoder, in process


def test_the_page_of_the_python_api_runs_as_it_stands(installed: Installed) -> None:
    (installed.folder / "pipelines" / "digits.yml").write_text(yaml.safe_dump(TINY))
    script = "\n".join(blocks("python_api.md", "python"))
    show = "\nprint(results.report[:15], project.results('digits').verdict == results.verdict)"
    done = subprocess.run(
        [installed.python, "-c", script + show],
        cwd=installed.folder / "src",
        env=installed.variables,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "'digits'" in lines[0] and "half" in lines  # the winner, by its size
    assert lines[-1] == "<!doctype html> True"
    assert lines[-2].count("'") == 6  # three labels


def test_importing_thresher_imports_nothing_heavy(installed: Installed) -> None:
    script = "import sys, thresher; print(sorted({'torch', 'kedro', 'mlflow', 'numpy', 'yaml'} & set(sys.modules)))"
    done = subprocess.run([installed.python, "-c", script], env=installed.variables, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
