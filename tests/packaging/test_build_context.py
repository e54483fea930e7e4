"""What a Bento holds, wherever the package is installed, and what is checked before anything is trained."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from thresher.errors import RecipeError
from thresher.packaging.build_context import PackagingError, build_context, check_packaging, packed_files

SETUP = "docker: {setup_script: setup.sh}\n"


@pytest.fixture
def own_project(tmp_path: Path, project: Path) -> Path:
    """A project in a path with a space, without the package's source."""
    folder = tmp_path / "my project"
    folder.mkdir()
    shutil.copy(project / "bentofile.yaml", folder)
    return folder


def test_the_package_is_packed_from_where_it_is_installed(own_project: Path, project: Path) -> None:
    places = packed_files(own_project)
    assert places == packed_files(project)
    assert "src/thresher/serving/service.py" in places and "src/thresher/__init__.py" in places
    assert not [place for place in places if "/training/" in place or "/compression/" in place]
    with build_context(own_project) as context:
        files = {path.relative_to(context).as_posix() for path in context.rglob("*") if path.is_file()}
        assert files == {*places, "bentofile.yaml"}


def test_own_files_are_packed_beside_it(own_project: Path) -> None:
    for name in ("src/my_kinds/encoder.py", "src/my_kinds/secret.py", "setup.sh"):
        (own_project / name).parent.mkdir(parents=True, exist_ok=True)
        (own_project / name).write_text("")
    text = (own_project / "bentofile.yaml").read_text()
    for key, pattern in (("include", "*"), ("exclude", "secret")):
        text = text.replace(f"{key}:\n", f"{key}:\n  - src/my_kinds/{pattern}.py\n")
    (own_project / "bentofile.yaml").write_text(text + SETUP)
    own = {place for place in packed_files(own_project) if "my_kinds" in place}
    assert own == {"src/my_kinds/encoder.py"}
    with build_context(own_project) as context:
        assert (context / "setup.sh").is_file()
        assert not (context / "src/my_kinds/secret.py").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda path: path.unlink(), "no such file; it says what a Bento holds"),
        (lambda path: path.write_text("include: [\n"), "cannot be read"),
        (lambda path: path.write_text("service: mine:App\ninclude: ['*']\n"), "service is not thresher.serving"),
        (lambda path: path.write_text(path.read_text().replace("src/thresher", "src/other")), "include names nothing"),
    ],
    ids=["missing", "broken", "another service", "without the package"],
)
def test_a_bentofile_that_packs_nothing_is_refused_with_the_fix(
    own_project: Path, change: Callable[[Path], object], says: str
) -> None:
    change(own_project / "bentofile.yaml")
    with pytest.raises(PackagingError, match=r"Fix: take bentofile\.yaml of a new project") as caught:
        check_packaging(own_project, "digits")
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["ends_", "a" * 55])
def test_a_name_that_bentoml_refuses_is_refused_before_training(own_project: Path, name: str) -> None:
    with pytest.raises(RecipeError, match=r"BentoML does not take the recipe's name.*\n.*at most 54 characters"):
        check_packaging(own_project, name)
    check_packaging(own_project, "a" * 54)
