"""Kinds count where code asks the registry for their group, and a recipe names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from thresher.code_fingerprint.graph import CodeGraph
from thresher.code_fingerprint.kinds import KindCode, find_kinds

OWN = KindCode(
    "thin", "TechniqueKind", "kinds/technique/thin", "1", "own_package.thin", ("own_package.thin", "torch.optim")
)


@pytest.fixture(scope="module")
def graph() -> CodeGraph:
    return CodeGraph()


@pytest.mark.parametrize(
    ("named", "root", "reached", "left_out"),
    [
        ("lenet", "models.network", "models/lenet.py", "models/resnet/config.py"),
        ("resnet", "models.network", "models/resnet/config.py", "models/lenet.py"),
        ("prune_weights", "compression.apply", "network/prune_weights.py", "network/prune_channels.py"),
        ("quantize_dynamic", "compression.apply", "file/quantize_dynamic.py", "file/quantize_static.py"),
        ("series", "modalities", "modalities/series/encoder.py", "modalities/text/encoder.py"),
    ],
)
def test_of_our_kinds_those_that_a_recipe_names_count(
    graph: CodeGraph, named: str, root: str, reached: str, left_out: str
) -> None:
    files = graph.reach([f"thresher.{root}"], {named}, find_kinds({named})).files
    assert any(place.endswith(reached) for place in files)
    assert not any(place.endswith(left_out) for place in files)
    assert "thresher/api.py" not in files  # `import thresher` imports it for notebooks, once they ask for it
    assert "thresher/kinds/built_in.py" not in files  # of the records, each counts by itself
    assert any(place.startswith("kinds/") and place.endswith(named) for place in files)


def test_an_own_kind_is_followed_where_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "site-packages" / "own_package"  # as a plug-in lies that is installed
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "thin.py").write_text("from own_package.helper import SHARE\n")
    (folder / "helper.py").write_text("SHARE = 0.5\n")
    monkeypatch.syspath_prepend(str(folder.parent))
    root = "thresher.compression.apply"
    code = CodeGraph().reach([root], {"thin"}, [OWN])
    assert {"own_package/__init__.py", "own_package/thin.py", "own_package/helper.py"} <= set(code.files)
    assert code.files["kinds/technique/thin"] == "1" and "torch" in code.packages
    assert not any(place.startswith("own_package") for place in CodeGraph().reach([root], {"other"}, [OWN]).files)
    assert not any(
        place.startswith("own_package") for place in CodeGraph().reach(["thresher.config"], {"thin"}, [OWN]).files
    )
    (folder / "helper.py").write_text("SHARE = 0.6\n")
    assert CodeGraph().reach([root], {"thin"}, [OWN]).files != code.files


def test_kinds_that_other_packages_bring_are_imported_where_a_recipe_names_them_alone() -> None:
    everything = find_kinds(())
    assert {"lenet", "prune_channels", "adam", "image"} <= {kind.name for kind in everything}
    assert len({kind.place for kind in everything}) == len(everything)
