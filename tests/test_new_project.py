"""`thresher new`: a project that is whole, made of this repository's own files."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import thresher as package
from thresher import api
from thresher.cli.program import thresher
from thresher.project.folder import ProjectError, find_project
from thresher.project.new import RECIPES, find_templates, new_project


def run(*arguments: str, folder: Path) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_project_is_sound_and_says_how_to_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "my project"
    printed = CliRunner().invoke(thresher, ["new", str(folder)])
    assert printed.exit_code == 0
    assert f"cd '{folder}'" in printed.output and "thresher run digits" in printed.output
    said = run(sys.executable, "-m", "thresher", "check", folder=folder / "src" / "my_project")
    assert [line.split(":")[0] for line in said.splitlines()] == sorted(RECIPES)
    shown = run(sys.executable, "-m", "thresher", "kinds", "model", folder=folder)  # src/my_project/kinds.py is read
    assert "lenet" in shown
    assert ": sound, " in said and "unknown" not in said
    shown = run("make", "help", folder=folder)
    assert "make run" in shown and "make test" in shown and "reproduce" not in shown


def test_its_files_are_ours(tmp_path: Path, project: Path) -> None:
    assert find_templates() == project  # of a checkout; an installed package has them within (test_installed_wheel.py)
    new_project(tmp_path / "mine")
    for name in ("bentofile.yaml", ".gitignore", "conf/logging.yml", "pipelines/digits.yml", "data/README.md"):
        assert (tmp_path / "mine" / name).read_bytes() == (project / name).read_bytes()
    catalog = yaml.safe_load((tmp_path / "mine/conf/base/catalog.yml").read_text())
    assert catalog.items() <= yaml.safe_load((project / "conf/base/catalog.yml").read_text()).items()
    assert "sst2.train" not in catalog  # no recipe of the new project names it
    modalities = [
        yaml.safe_load((tmp_path / "mine/pipelines" / f"{name}.yml").read_text())["data"]["modality"]
        for name in RECIPES
    ]
    assert set(modalities) == {"image", "text", "tabular", "series"}


def test_the_wheel_packs_all_that_a_new_project_is_made_of(tmp_path: Path, project: Path) -> None:
    packed = tomllib.loads((project / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    new_project(tmp_path / "mine")
    made = {path.relative_to(tmp_path / "mine").as_posix() for path in (tmp_path / "mine").rglob("*") if path.is_file()}
    own = {"README.md", "pyproject.toml", "src/mine/__init__.py", "src/mine/kinds.py", "conf/local/.gitkeep"}
    for name in made - own:
        source = next(each for each in packed["force-include"] if name == each or name.startswith(f"{each}/"))
        assert packed["force-include"][source] == f"thresher/project/templates/{source}"


@pytest.mark.parametrize(
    ("name", "package"),
    [("my project", "my_project"), ("Größe 2", "gr_e_2"), ("3d", "project_3d"), ("torch", "torch_project"),
     ("class", "class_project"), ("...", "project")],
)  # fmt: skip
def test_own_code_gets_a_name_that_python_takes_and_nobody_has(tmp_path: Path, name: str, package: str) -> None:
    assert new_project(tmp_path / name) == package
    settings = tomllib.loads((tmp_path / name / "pyproject.toml").read_text())
    assert settings["tool"]["thresher"]["kinds"] == f"{package}.kinds"
    assert settings["tool"]["kedro"]["project_name"] == name


@pytest.mark.oddity("Projects", "`thresher new` on a folder with files in it", "refused, and nothing is written")
def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ProjectError, match=r"exists and is not empty\. Fix: name a new folder"):
        new_project(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(ProjectError, match="exists and is not empty"):
        new_project(tmp_path / "notes.txt")
    (tmp_path / "empty").mkdir()
    new_project(tmp_path / "empty")
    assert find_project(tmp_path / "empty" / "data") == tmp_path / "empty"


def test_what_the_python_api_offers_is_at_the_top_of_the_package() -> None:
    offered = {name: getattr(package, name) for name in package.FROM_API}
    assert offered == {name: getattr(api, name) for name in api.__all__}


def test_a_project_made_in_the_folder_one_is_in_needs_no_cd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    printed = CliRunner().invoke(thresher, ["new", "."]).output
    assert printed.startswith("Made the project 'empty'. Your own code goes into src/empty/.") and " cd " not in printed


def test_a_dataset_that_is_none_is_answered_with_those_of_the_catalog(tmp_path: Path) -> None:
    new_project(tmp_path / "mine")
    tried = "try: thresher.open_project().load('digits.tests')\nexcept thresher.ThresherError as error: print(error)"
    told = run(sys.executable, "-c", f"import thresher\n{tried}", folder=tmp_path / "mine").splitlines()[-1]
    assert told.startswith(
        "There is no 'digits.tests' in the catalog. Did you mean 'digits.test'? Allowed: adult.test, "
    )
    assert "params:" not in told
