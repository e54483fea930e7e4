"""The `thresher` command: exit codes, what it says, and what it does not import."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from helpers.tracking_server import answers, free_port

from thresher import __version__
from thresher.__main__ import thresher
from thresher.cli.program import MODULES

HEAVY = ("torch", "mlflow", "kedro.framework", "great_expectations", "pandas", "pyarrow", "sklearn", "onnx",
         "onnxruntime", "matplotlib", "bentoml")  # fmt: skip
AFTER_CHECKING = f"""
import sys
from thresher.__main__ import main
sys.argv = ["thresher", "check"]
try:
    main()
except SystemExit as end:
    print([name for name in {HEAVY} if name in sys.modules], end.code)
"""
PLANNING = """
import sys
from thresher import files
from thresher.__main__ import main
files.SETTLED_S = -60
sys.argv = ["thresher", "plan", "digits"]
try:
    main()
finally:
    print([name for name in ("torch", "mlflow", "great_expectations", "bentoml") if name in sys.modules])
"""


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    # A command that ran in this process may have left there how it logs.
    environment = {name: value for name, value in os.environ.items() if name != "KEDRO_LOGGING_CONFIG"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, env={**environment, "NO_COLOR": "1"}
    )


SOUND = "digits: sound, 7 candidates; its accuracy_drop takes 281 test samples or more"


@pytest.fixture
def recipes(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a project of one sound recipe."""
    (tmp_path / "pipelines").mkdir()
    shutil.copytree(project / "conf/base", tmp_path / "conf/base")
    shutil.copy(project / "pipelines" / "digits.yml", tmp_path / "pipelines")
    for name in ("pyproject.toml", "bentofile.yaml"):
        shutil.copy(project / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "pipelines"


def test_checking_imports_nothing_heavy(project: Path) -> None:
    done = run("-c", AFTER_CHECKING, folder=project)
    assert done.stdout.splitlines()[-1] == "[] 0", done.stdout + done.stderr


@pytest.mark.slow
def test_a_second_plan_of_an_unchanged_store_imports_no_mlflow(recipes: Path) -> None:
    (recipes.parent / "src").mkdir()
    making = "from thresher.tracking.store import make_store; make_store()"
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{recipes.parent}/mlflow.db"}
    subprocess.run([sys.executable, "-c", making], env={**os.environ, **store}, check=True, timeout=300)
    first, second = (run("-c", PLANNING, folder=recipes.parent) for _ in range(2))
    assert first.stdout.splitlines()[-1] == "['mlflow']", first.stderr
    assert second.stdout.splitlines()[-1] == "[]", second.stderr
    assert first.stdout.splitlines()[:-1] == second.stdout.splitlines()[:-1]


def test_all_recipes_are_checked_where_none_is_named(recipes: Path) -> None:
    shutil.copy(recipes / "digits.yml", recipes / "more.yml")
    result = CliRunner().invoke(thresher, ["check"])
    assert (result.exit_code, result.output.splitlines()) == (
        0,
        [SOUND, SOUND.replace("digits", "more")],
    )


def test_float_alone_is_one_candidate(recipes: Path, project: Path) -> None:
    shutil.copy(project / "pipelines/adam.yml", recipes)
    assert CliRunner().invoke(thresher, ["check", "adam"]).output == "adam: sound, 1 candidate\n"


def test_a_broken_recipe_hides_no_other_and_ends_with_1(recipes: Path) -> None:
    (recipes / "broken.yml").write_text("task: classification\n")
    result = CliRunner().invoke(thresher, ["check"])
    assert result.exit_code == 1
    assert "Recipe broken: 2 problems" in result.stderr
    assert result.stdout == f"{SOUND}\n"


@pytest.mark.parametrize("name", ["digits", "pipelines/digits.yml"])
def test_a_recipe_is_found_by_name_and_by_file(recipes: Path, name: str) -> None:
    (recipes / "broken.yml").write_text("task: classification\n")
    result = CliRunner().invoke(thresher, ["check", name])
    assert (result.exit_code, result.output) == (0, f"{SOUND}\n")


def test_a_subfolder_belongs_to_its_project(recipes: Path) -> None:
    (recipes.parent / "data/01_raw").mkdir(parents=True)
    for name in ("digits", "../../pipelines/digits.yml"):
        done = run("-m", "thresher", "check", name, folder=recipes.parent / "data/01_raw")
        assert (done.returncode, done.stdout) == (0, f"{SOUND}\n")


def test_a_typo_in_the_name_is_answered_with_the_nearest(recipes: Path) -> None:
    done = run("-m", "thresher", "check", "digit", folder=recipes.parent)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "There is no recipe 'digit' in pipelines/. Did you mean 'digits'? Allowed: digits.\n"


def test_the_published_schema_is_the_one_that_is_printed(project: Path) -> None:
    result = CliRunner().invoke(thresher, ["schema"])
    assert json.loads(result.stdout)["title"] == "Recipe"
    assert result.stdout == (project / "docs" / "recipe.schema.json").read_text(encoding="utf-8"), (
        "thresher schema > docs/recipe.schema.json"
    )


@pytest.mark.parametrize("command", [[], ["check"], ["schema"], ["fetch"]])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_explains_itself(command: list[str], flag: str) -> None:
    result = CliRunner().invoke(thresher, [*command, flag])
    assert (result.exit_code, result.output.splitlines()[0][:6]) == (0, "Usage:")


def test_the_version_is_the_packages_own() -> None:
    assert __version__ in CliRunner().invoke(thresher, ["--version"]).output


@pytest.mark.parametrize("command", [["plan", "digits"], ["clean"], ["check"], ["fetch", "adult"], ["sync"]])
def test_outside_of_a_project_is_said_in_one_line(command: list[str], tmp_path: Path) -> None:
    done = run("-m", "thresher", *command, folder=tmp_path)
    assert done.returncode == 1
    assert (done.stdout + done.stderr).splitlines() == [
        f"{tmp_path} is not inside a Thresher project. Make one: thresher new FOLDER"
    ]


def test_plan_has_the_options_of_kedro_run_that_choose(tmp_path: Path) -> None:
    done = run("-m", "thresher", "plan", "--help", folder=tmp_path)
    assert done.returncode == 0
    for option in ("--env", "--params", "--tags", "--from-nodes", "--to-outputs", "--fresh", "RECIPE"):
        assert option in done.stdout
    assert "--runner" not in done.stdout


def test_help_leads_from_one_command_to_the_next() -> None:
    shown = CliRunner().invoke(thresher, ["--help"]).output
    places = [shown.index(f"\n  {name} ") for name in ("new", "check", "run", "ui", "predict", "serve", "promote")]
    assert places == sorted(places)
    assert [name for name in MODULES if f"\n  {name} " not in shown] == []


def test_run_has_the_options_of_kedro_run(tmp_path: Path) -> None:
    done = run("-m", "thresher", "run", "--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for option in ("[RECIPE]", "--env", "--params", "--tags", "--from-nodes", "--runner", "--fresh", "--if-running"):
        assert option in done.stdout
    assert "\n  -p, --pipeline" not in done.stdout and "--pipelines" not in done.stdout


def test_ui_names_the_server_or_the_port_that_is_taken(recipes: Path) -> None:
    result = CliRunner(env={"MLFLOW_TRACKING_URI": "http://runs.example:5000"}).invoke(thresher, ["ui"])
    assert result.output == "The runs are on the server at http://runs.example:5000: open it in a browser.\n"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("-m", "thresher", "ui", "--port", str(port), folder=recipes)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Cannot listen on port {port} of 127.0.0.1: Address already in use. Fix: ")


@pytest.mark.slow
def test_ui_answers_from_a_server_and_one_worker(recipes: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "thresher", "ui", "--port", str(port)]
    with (recipes / "ui.log").open("w") as log:
        server = subprocess.Popen(command, cwd=recipes.parent, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 200
        while not answers(f"http://127.0.0.1:{port}/health"):
            assert server.poll() is None and time.monotonic() < deadline, (recipes / "ui.log").read_text()
            time.sleep(0.2)
        stats = [stat.read_text().rpartition(")")[2].split() for stat in Path("/proc").glob("[0-9]*/stat")]
        assert len([group for _, _, group, *_ in stats if group == str(server.pid)]) == 2
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def test_help_names_each_command_as_it_names_itself() -> None:
    context = click.Context(thresher)
    assert {name: thresher.get_command(context, name).name for name in MODULES} == {name: name for name in MODULES}


def test_an_unknown_command_is_answered_with_the_nearest() -> None:
    result = CliRunner().invoke(thresher, ["preddict"])
    assert (result.exit_code, "predict" in result.stderr) == (2, True)


@pytest.mark.parametrize("command", [["plan", "digits"], ["check"], ["clean"]])
def test_a_broken_logging_configuration_is_named(recipes: Path, command: list[str]) -> None:
    (recipes.parent / "conf/logging.yml").write_text("version: [1\n")
    done = run("-m", "thresher", *command, folder=recipes.parent)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert done.stderr.startswith(f"{recipes.parent / 'conf/logging.yml'}: ")


@pytest.mark.oddity(
    "Recipes and catalog", "a conf/logging.yml that is YAML but no logging configuration", "said in words"
)
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it holds a NoneType where a mapping is expected"),
        ("- version: 1\n", "it holds a list where a mapping is expected"),
        ("level: INFO\n", "dictionary doesn't specify a version"),
        (
            "version: 1\nhandlers: {out: {class: loging.StreamHandler}}\n",
            "Module 'loging' specified as a logging class",
        ),
        (
            "version: 1\nhandlers: {out: {class: logging.FileHandler, filename: gone/log}}\n",
            "No such file or directory",
        ),
        ("version: 1\nroot: {level: LOUD}\n", "Unable to configure root logger: Unknown level: 'LOUD'"),
        ("version: 1\nhandlers: {out: {(): os.getcwd}}\n", "The '()' key is not allowed"),
    ],
    ids=["empty", "list", "no version", "class", "folder", "level", "Kedro's rule"],
)
def test_what_is_no_logging_configuration_is_refused_first(recipes: Path, text: str, says: str) -> None:
    (recipes.parent / "conf/logging.yml").write_text(text)
    done = run("-m", "thresher", "--version", folder=recipes)
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (1, "", False)
    assert done.stderr.startswith(f"{recipes.parent / 'conf/logging.yml'}: not a logging configuration: ")
    assert says in done.stderr and "Fix: correct it" in done.stderr


def test_a_project_without_a_logging_configuration_logs_as_a_new_one(recipes: Path) -> None:
    code = (
        "import logging; from thresher.project.folder import configure_logging, find_project; configure_logging();"
        "find_project(); import kedro.framework.project; logging.getLogger('kedro.io').info('Loading data');"
        "logging.getLogger('kedro.io').warning('A fault')"
    )
    (recipes.parent / "conf/logging.yml").unlink(missing_ok=True)
    done = run("-c", code, folder=recipes)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "WARNING kedro.io: A fault\n")
