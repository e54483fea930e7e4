"""A change of the code runs the nodes that reach its module, and no others; one story with a copy of the package."""

from __future__ import annotations

from pathlib import Path

import pytest
from kedro_project import TINY, Done, NewProject, Project

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

# The champion has its own story.
SELECTION = ("--to-nodes", "draw_verdict,write_reports")
PRUNE_OR_DESCRIBE = ["float.measure_sensitivity", "half.compress_network", "write_reports"]
MODULE = "thresher/compression/network/prune_channels.py"
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
    project.run(*SELECTION).succeeded()
    return package


def edit(file: Path, *changes: tuple[str, str]) -> None:
    """Replace each text in ``file``, which has it once, by another."""
    text = file.read_text()
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file.write_text(text)


@pytest.fixture(scope="module")
def changed(project: Project, package: Path) -> Done:
    """Comments and format everywhere, code that another recipe would reach, and one module that this one does."""
    for other in ("training/loop.py", "evaluation/runtime.py", "errors.py"):
        edit_end(package / other, "\n\n# A comment.\n")
    for other in ("serving/service.py", "compression/file/quantize_dynamic.py", "readers/idx.py"):
        edit_end(package / other, "\n\nUNUSED = 1\n")
    sign = f'    print("{SIGN_OF_LIFE}", file=__import__("sys").__stderr__)\n'
    edit(
        package.parent / MODULE, (CALL, f"    # A comment.\n\n{sign}    first = prunable_groups( smaller)  # another\n")
    )
    return project.run(*SELECTION).succeeded()


def edit_end(file: Path, more: str) -> None:
    with file.open("a") as stream:
        stream.write(more)


def test_a_changed_module_runs_the_nodes_that_reach_it_and_no_others(changed: Done) -> None:
    """They give what they gave before, so that nothing is exported, measured or judged again."""
    changed.ran(*PRUNE_OR_DESCRIBE)
    assert changed.planned("run") == {f"{MODULE} changed": PRUNE_OR_DESCRIBE}
    assert SIGN_OF_LIFE in changed.text


def test_its_comments_and_format_run_nothing(project: Project, package: Path, changed: Done) -> None:
    edit(
        package.parent / MODULE,
        ('"""Return a smaller copy of ``network``;', '"""Return a much smaller copy of ``network``;'),
        ("prunable_groups( smaller)  # another", "prunable_groups(smaller)"),
    )
    assert project.plan(*SELECTION).planned_nodes("run", "maybe") == set()
