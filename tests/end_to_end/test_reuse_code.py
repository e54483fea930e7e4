"""A change of the code runs the nodes that reach it, and no others; one story with a copy of the package to edit."""

from __future__ import annotations

from pathlib import Path

import pytest
from kedro_project import TINY, Done, NewProject, Project

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

# The champion has its own story.
SELECTION = ("--to-nodes", "draw_verdict,write_reports")
PREDICTIONS = ["float.predict_test", "half.predict_test", "int8.predict_test"]
PRUNING = ["float.measure_sensitivity", "half.compress_network"]
CALL = "    first = prunable_groups(smaller)\n"
SIGN_OF_LIFE = "the copy prunes"


@pytest.fixture(scope="module")
def project(new_project: NewProject) -> Project:
    project = new_project("code")
    project.write_recipe("small", TINY)
    return project


@pytest.fixture(scope="module")
def package(project: Project) -> Path:
    """The project's own copy of the package, after a run with it."""
    package = project.own_package()
    assert len(project.run(*SELECTION).succeeded().nodes) == 25
    return package


def edit(file: Path, *changes: tuple[str, str]) -> None:
    """Replace each text in ``file``, which has it once, by another."""
    text = file.read_text()
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file.write_text(text)


@pytest.fixture(scope="module")
def commented(project: Project, package: Path) -> Done:
    edit(
        package / "compression" / "network" / "prune_channels.py",
        ('"""Return a smaller copy of ``network``;', '"""Return a much smaller copy of ``network``;'),
        (CALL, "    # A comment.\n\n    first = prunable_groups( smaller)  # another\n"),
        ("def remove_channels(network: Network,", 'def remove_channels(\n    network: "Network",'),
    )
    return project.run(*SELECTION).succeeded()


def test_comments_docstrings_and_format_run_nothing(commented: Done) -> None:
    commented.ran()


@pytest.fixture(scope="module")
def changed_function(project: Project, package: Path, commented: Done) -> Done:
    sign = f'    print("{SIGN_OF_LIFE}", file=__import__("sys").__stderr__)\n'
    edit(package / "compression" / "network" / "prune_channels.py", ("  # another\n", f"  # another\n{sign}"))
    return project.run(*SELECTION).succeeded()


def test_a_changed_function_runs_the_node_that_reaches_it(changed_function: Done) -> None:
    """It gives the same network, so that nothing after it runs."""
    changed_function.ran(*PRUNING)
    assert changed_function.planned("run") == {"remove_channels changed": PRUNING}
    assert SIGN_OF_LIFE in changed_function.text


@pytest.fixture(scope="module")
def changed_by_two(project: Project, package: Path, changed_function: Done) -> Done:
    """A function that two nodes reach, one of them by a step of a candidate; and a constant."""
    begin = "    torch.manual_seed(config.seed)\n    metric"
    edit(package / "training" / "loop.py", (begin, f"    name = str(name)\n{begin}"))
    edit(package / "evaluation" / "card.py", ("**{outcome}**", "Outcome: **{outcome}**"))
    return project.run(*SELECTION).succeeded()


def test_changed_code_runs_all_nodes_that_reach_it_and_no_others(project: Project, changed_by_two: Done) -> None:
    changed_by_two.ran("train_float", *PRUNING, "write_reports", perhaps="float.check_exported")
    card = project.folder / "data" / "08_reporting" / "small" / "model_card.md"
    assert "Outcome: **half wins" in card.read_text()


@pytest.fixture(scope="module")
def changed_elsewhere(project: Project, package: Path, changed_by_two: Done) -> Done:
    """Code that every candidate is judged by; and some that no selected node reaches."""
    path = package / "evaluation" / "runtime.py"
    edit(path, ("    order = np.argsort", "    inputs = np.asarray(inputs)\n    order = np.argsort"))
    for other in ("serving/service.py", "compression/file/quantize_dynamic.py", "readers/idx.py"):
        with (package / other).open("a") as file:
            file.write("\n\nUNUSED = 1\n")
    return project.run(*SELECTION).succeeded()


def test_code_that_another_recipe_would_reach_runs_nothing(changed_elsewhere: Done) -> None:
    changed_elsewhere.ran("float.check_exported", *PREDICTIONS)
    assert changed_elsewhere.planned("run") == {"predict changed": ["float.check_exported", *PREDICTIONS]}
