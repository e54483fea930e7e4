"""Kinds of packages and of the project: who they are from, and what is said of those that cannot be used."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from click.testing import CliRunner
from pydantic import TypeAdapter, ValidationError

from thresher.__main__ import thresher
from thresher.compression.candidate import Candidate
from thresher.kinds.field import NameOf
from thresher.kinds.record import GROUPS, KindError, MetricKind, TechniqueKind
from thresher.kinds.registry import PROJECT, Registry, read_registry, registry
from thresher.models import ModelChoice
from thresher.recipe.problems import explain_all

SETTINGS = """
from typing import Literal
from thresher.config import KindConfig

class Own(KindConfig):
    kind: Literal["own"] = "own"

def apply(network, config, data):
    return network
"""
RECORD = 'TechniqueKind("own", "acme.own:Own", "acme.own:apply", works_on="network")'
KINDS = f"from thresher.kinds import TechniqueKind\nKINDS = [{RECORD}]\n"
Write = Callable[[dict[str, str]], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Put a package `plug` 1.0 on the path, with the entry points and the module `plugged` that are given."""

    def write(entry_points: str, module: str) -> None:
        folder = tmp_path / "site"
        (folder / "plug-1.0.dist-info").mkdir(parents=True)
        (folder / "plug-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: plug\nVersion: 1.0\n")
        (folder / "plug-1.0.dist-info" / "entry_points.txt").write_text(entry_points)
        (folder / "plugged.py").write_text(module)
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.delitem(sys.modules, "plugged", raising=False)
        monkeypatch.setenv(PROJECT, str(tmp_path))
        read_registry.cache_clear()

    return write


@pytest.fixture(autouse=True)
def _forget() -> Any:
    yield
    read_registry.cache_clear()


def said(value: Any) -> str:
    """Return what is said of a candidate's only step."""
    with pytest.raises(ValidationError) as caught:
        Candidate.model_validate([value])
    ((place, what, fix),) = explain_all(caught.value.errors(include_url=False), Candidate)
    return f"{'.'.join(map(str, place))}: {what} {fix}".strip()


def test_a_package_adds_a_kind_that_is_imported_when_it_is_used(install: Callable[[str, str], None]) -> None:
    record = RECORD.replace("acme.own", "plugged")
    install(
        "[thresher.techniques]\nown = plugged:OWN\n",
        f"from thresher.kinds import TechniqueKind\n{SETTINGS}\nOWN = {record}\n",
    )
    assert "own" in registry().names("technique")
    assert ModelChoice.model_validate({"kind": "cnn"}).root.kind == "cnn"
    assert "plugged" not in sys.modules
    assert [step.kind for step in Candidate.model_validate([{"kind": "own"}]).network_steps] == ["own"]
    listed = CliRunner().invoke(thresher, ["kinds", "technique"])
    assert listed.exit_code == 0
    assert [line.split() for line in listed.output.splitlines()][-1] == (
        ["technique", "own", "package", "plug", "1.0", "works", "on", "network"]
    )


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (
            "import there_is_no_such_module\n",
            "cannot be imported: ModuleNotFoundError: No module named 'there_is_no_such_module'",
        ),
        ("1 / 0\n", "cannot be imported: ZeroDivisionError: division by zero"),
        ("OWN = 3\n", 'plugged:OWN is of type int. Fix: a TechniqueKind("own", ...).'),
    ],
    ids=["missing", "broken", "no-record"],
)
def test_a_package_that_breaks_is_named_and_harms_nobody_else(
    module: str, reason: str, install: Callable[[str, str], None]
) -> None:
    install("[thresher.techniques]\nown = plugged:OWN\n", module)
    place = "technique 'own' of package plug 1.0"
    joint = ": " if module.startswith("OWN") else " "
    assert said({"kind": "own"}).startswith(f"steps.0: {place}{joint}{reason}")
    assert Candidate.model_validate([{"kind": "finetune"}]).changes_network
    assert said({"kind": "finetun"}).startswith("steps.0.kind: unknown kind 'finetun' Did you mean 'finetune'?")
    listed = CliRunner().invoke(thresher, ["kinds"])
    assert listed.exit_code == 1
    assert f"{place}{joint}{reason}" in listed.output
    assert "prune_channels" in str(Candidate.model_json_schema())


def test_two_kinds_of_one_name_are_refused_with_both_places(
    install: Callable[[str, str], None], write_project: Write
) -> None:
    write_project({"acme/kinds.py": KINDS, "acme/own.py": SETTINGS})
    install("[thresher.techniques]\nown = plugged:OWN\nfinetune = plugged:OWN\n", "")
    both = "is given by package plug 1.0 and by acme.kinds of the project. Fix: remove or rename all but one."
    assert said({"kind": "own"}) == f"steps.0: The technique 'own' {both}"
    ours = "The technique 'finetune' is given by thresher and by package plug 1.0. Fix: remove or rename all but one."
    assert said({"kind": "finetune"}) == f"steps.0: {ours}"
    assert Candidate.model_validate([{"kind": "half"}]).onnx_steps


def test_a_project_whose_module_breaks_says_so_where_a_kind_is_not_found(write_project: Write) -> None:
    place = write_project({"acme/kinds.py": "import nothing_of_the_kind\n"}) / "src/acme/kinds.py"
    reason = (
        "The project's own kinds are unknown: acme.kinds cannot be imported: "
        f"ModuleNotFoundError: No module named 'nothing_of_the_kind' ({place}:1)"
    )
    assert said({"kind": "own"}) == f"steps.0: unknown kind 'own'. {reason}"
    assert Candidate.model_validate([{"kind": "half"}]).onnx_steps
    listed = CliRunner().invoke(thresher, ["kinds"])
    assert (listed.exit_code, listed.output.strip().splitlines()[-1]) == (1, reason)


@pytest.mark.parametrize(
    ("module", "why"),
    [
        ("KINDS = 3\n", "KINDS of acme.kinds is not a list of records, but of type int."),
        (f"{KINDS}KINDS = KINDS[0]\n", "KINDS of acme.kinds is not a list of records, but the technique 'own'."),
        (
            KINDS.replace('"own"', "3"),
            "an item of KINDS of acme.kinds is not a record of a kind, but the technique '3'.",
        ),
        ("import sys\nsys.exit(3)\n", "acme.kinds cannot be imported: SystemExit: 3"),
    ],
    ids=["no-list", "one-record", "no-name", "exits"],
)
def test_a_project_whose_kinds_are_none_says_so(module: str, why: str, write_project: Write) -> None:
    write_project({"acme/kinds.py": module})
    listed = CliRunner().invoke(thresher, ["kinds"])
    assert listed.exit_code == 1
    assert listed.output.strip().splitlines()[-1].startswith(f"The project's own kinds are unknown: {why}")
    assert Candidate.model_validate([{"kind": "half"}]).onnx_steps


def test_settings_whose_module_exits_are_told(write_project: Write) -> None:
    write_project({"acme/kinds.py": KINDS, "acme/own.py": "raise SystemExit(3)\n"})
    assert "technique 'own': acme.own:Own cannot be imported: SystemExit: 3" in said({"kind": "own"})


def test_a_pyproject_that_is_no_toml_is_told(write_project: Write) -> None:
    folder = write_project({})
    (folder / "pyproject.toml").write_text("[tool.thresher]\n[tool.thresher]\n")
    listed = CliRunner().invoke(thresher, ["kinds"])
    reason = f"The project's own kinds are unknown: {folder}/pyproject.toml is not TOML: Cannot declare"
    assert listed.exit_code == 1
    assert listed.output.strip().splitlines()[-1].startswith(reason)


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ("Own = 3\n", "acme.own:Own is not its config"),
        (SETTINGS.replace('"own"', '"other"'), "acme.own:Own is not its config"),
        ("", "acme.own:Own cannot be imported: AttributeError: module 'acme.own' has no attribute 'Own'"),
    ],
    ids=["no-class", "another-kind", "missing"],
)
def test_settings_that_are_none_are_told(settings: str, wrong: str, write_project: Write) -> None:
    write_project({"acme/kinds.py": KINDS, "acme/own.py": settings})
    assert f"technique 'own': {wrong}" in said({"kind": "own"})


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(KindError, match=r"There is no technique 'prune_chanels'\. Did you mean 'prune_channels'"):
        Registry([*read_registry(None)]).find(TechniqueKind, "prune_chanels")


def test_a_worker_process_sees_the_same_kinds(write_project: Write) -> None:
    write_project({"acme/kinds.py": KINDS, "acme/own.py": SETTINGS})
    candidate = Candidate.model_validate([{"kind": "own"}])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_steps_of, (candidate,)) == ["own"]


def _steps_of(candidate: Candidate) -> list[str]:
    return [step.kind for step in candidate.network_steps]


def test_names_that_are_unknown_since_a_module_breaks_say_so_too(write_project: Write) -> None:
    write_project({"acme/kinds.py": "import nothing_of_the_kind\n"})
    with pytest.raises(ValidationError, match=r"there is no metric 'own' here\. The project's own kinds are unknown"):
        TypeAdapter(Annotated[str, NameOf(MetricKind, "is_computed")]).validate_python("own")


def test_kinds_are_listed_by_group_and_a_modality_that_is_none_is_told(write_project: Write) -> None:
    record = 'ModelKind("own", "acme.own:Own", "acme.own:apply", takes=("tabula",))'
    code = f"from thresher.kinds import ModelKind\nKINDS = [{record}]\n"
    write_project({"acme/kinds.py": code, "acme/own.py": SETTINGS})
    lines = CliRunner().invoke(thresher, ["kinds"]).output.splitlines()
    groups = [line.split()[0] for line in lines]
    assert [group for group, before in zip(groups, ["", *groups], strict=False) if group != before] == list(GROUPS)
    (own,) = [line for line in lines if " own " in line]
    assert "model 'own' takes 'tabula', which is not a modality. Did you mean 'tabular'?" in own
