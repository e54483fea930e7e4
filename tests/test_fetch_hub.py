"""A model's folder from a hub that runs on this machine, by the real library, pinned and checked."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.hub_server import Hub, serve_hub
from rich.console import Console

from thresher.errors import ThresherError
from thresher.fetch.hub import RECORD, fetch_from_hub

REPOSITORY = "owner/small-model"
WEIGHTS = os.urandom(100_000)
CONTENT = {
    "config.json": b'{"model_type": "bert"}',
    "model.safetensors": WEIGHTS,
    "tokenizer.json": b"{}",
    "tokenizer_config.json": b"{}",
    "special_tokens_map.json": b"{}",
    "vocab.txt": b"a",
    "README.md": b"# A model",
    "pytorch_model.bin": b"pickle",
    "modeling_own.py": b"raise SystemExit",
    "onnx/model.onnx": b"onnx",
}
TAKEN = ["config.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"]
OTHER = "b" * 40


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub({REPOSITORY: dict(CONTENT)})
    with serve_hub(hub) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield hub


def run(project: Path, name: str = f"hf:{REPOSITORY}", **options: Any) -> str:
    """Fetch and return what the terminal showed."""
    shown = io.StringIO()
    fetch_from_hub(name, project, Console(file=shown, width=300), **options)
    return shown.getvalue()


def refusal(project: Path, name: str = f"hf:{REPOSITORY}") -> str:
    with pytest.raises(ThresherError) as caught:
        run(project, name)
    assert not [path for path in project.rglob("*") if path.is_dir() and path.name == "small-model"]
    return str(caught.value)


def names_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_is_read_is_fetched_and_nothing_else(tmp_path: Path, hub: Hub) -> None:
    told = run(tmp_path)
    folder = tmp_path / "data/01_raw/small-model"
    assert names_in(tmp_path / "data") == [f"01_raw/small-model/{name}" for name in sorted([*TAKEN, RECORD])]
    assert all((folder / name).read_bytes() == CONTENT[name] for name in TAKEN)
    record = json.loads((folder / RECORD).read_text())
    assert (record["repository"], record["revision"], record["commit"]) == (REPOSITORY, "main", "a" * 40)
    weights = {"num_bytes": len(WEIGHTS), "sha256": hashlib.sha256(WEIGHTS).hexdigest()}
    assert record["files"]["model.safetensors"] == weights and sorted(record["files"]) == TAKEN
    assert "a" * 40 in told and weights["sha256"] in told
    assert all("/resolve/" not in path or "a" * 40 in path for _, path in hub.requests)


def test_what_is_there_is_not_fetched_again_and_what_was_changed_is(tmp_path: Path, hub: Hub) -> None:
    run(tmp_path)
    hub.requests.clear()
    assert "already there" in run(tmp_path)
    assert [path for _, path in hub.requests] == [f"/api/models/{REPOSITORY}/revision/main"]
    hub.requests.clear()
    assert "already there" in run(tmp_path, f"hf:{REPOSITORY}@{'a' * 40}")
    assert hub.requests == []
    config = tmp_path / "data/01_raw/small-model/config.json"
    config.write_text("changed")
    assert "differs from what was fetched" in run(tmp_path)
    assert config.read_bytes() == CONTENT["config.json"]


def test_another_revision_takes_the_place_of_the_first_as_a_whole(tmp_path: Path, hub: Hub) -> None:
    run(tmp_path)
    hub.revisions["v2"] = OTHER
    hub.files[REPOSITORY] = {"config.json": b"{}", "model.safetensors": b"newer"}
    run(tmp_path, f"hf:{REPOSITORY}@v2")
    folder = tmp_path / "data/01_raw/small-model"
    assert names_in(folder.parent) == [f"small-model/{name}" for name in ("config.json", RECORD, "model.safetensors")]
    record = json.loads((folder / RECORD).read_text())
    assert (record["revision"], record["commit"]) == ("v2", OTHER)


def test_shards_are_those_that_the_index_names(tmp_path: Path, hub: Hub) -> None:
    shards = {f"model-0000{number}-of-00002.safetensors": os.urandom(10) for number in (1, 2)}
    index = {"model.safetensors.index.json": json.dumps({"weight_map": dict(zip("ab", shards, strict=True))}).encode()}
    hub.files[REPOSITORY] = {"config.json": b"{}", **index, **shards, "other.safetensors": b"x"}
    run(tmp_path)
    folder = tmp_path / "data/01_raw/small-model"
    assert names_in(folder) == sorted(["config.json", RECORD, *index, *shards])
    assert all((folder / name).read_bytes() == content for name, content in shards.items())


def test_vocabularies_come_where_the_tokenizer_must_be_made_of_them(tmp_path: Path, hub: Hub) -> None:
    del hub.files[REPOSITORY]["tokenizer.json"]
    run(tmp_path)
    assert "vocab.txt" in names_in(tmp_path / "data/01_raw/small-model")


def without(*names: str, **more: bytes) -> dict[str, bytes]:
    return {name: content for name, content in CONTENT.items() if name not in names} | more


INDEX = b'{"weight_map": {"a": "../x.safetensors"}}'
REFUSED: dict[str, tuple[dict[str, bytes], str]] = {
    "pickles": (without("model.safetensors"), "pytorch_model.bin alone, and reading such a file can run code.*save_pr"),
    "no weights": (without("model.safetensors", "pytorch_model.bin"), "has no model.safetensors. Fix: another"),
    "no config": (without("config.json"), "has no config.json, and is no model of this layout"),
    "a shard elsewhere": (
        without("model.safetensors") | {"model.safetensors.index.json": INDEX},
        r"names the file '../x.safetensors'",
    ),
    "a missing shard": (
        without("model.safetensors") | {"model.safetensors.index.json": INDEX.replace(b"../", b"")},
        r"names x.safetensors, which it does not have",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_taken_is_refused(what: str, tmp_path: Path, hub: Hub) -> None:
    hub.files[REPOSITORY], says = REFUSED[what]
    assert re.search(says, refusal(tmp_path))
    assert not [path for _, path in hub.requests if path.endswith((".bin", ".py"))]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("hf:owner/none", "knows no such repository, or does not show it to you. .*HF_TOKEN"),
        (f"hf:{REPOSITORY}@v9", "has no such revision. Fix: a branch, a tag or a commit"),
        ("hf:small-model", "names no repository. Fix: hf:OWNER/NAME, or hf:OWNER/NAME@REVISION"),
        ("hf:../../x", "names no repository"),
    ],
)
def test_what_is_not_there_is_told(name: str, says: str, tmp_path: Path, hub: Hub) -> None:
    assert re.search(says, refusal(tmp_path, name))


def test_a_token_is_shown_to_the_hub(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.token = "hf_secret"
    assert "does not show it to you" in refusal(tmp_path)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert "fetched" in run(tmp_path)


def test_other_bytes_than_the_hub_announced_are_refused_and_forgotten(tmp_path: Path, hub: Hub) -> None:
    hub.damaged.add("model.safetensors")
    assert "The download was deleted. Fix: run it again" in refusal(tmp_path)
    hub.damaged.clear()
    run(tmp_path)
    assert (tmp_path / "data/01_raw/small-model/model.safetensors").read_bytes() == WEIGHTS


def test_an_interrupted_fetch_leaves_no_folder_and_goes_on_with_what_is_missing(tmp_path: Path, hub: Hub) -> None:
    good = dict(hub.files[REPOSITORY])
    hub.files[REPOSITORY] = {name: content for name, content in good.items() if name != "model.safetensors"}
    hub.files[REPOSITORY]["model.safetensors.index.json"] = INDEX.replace(b"../", b"")
    assert "does not have" in refusal(tmp_path)  # the config has arrived by then
    hub.files[REPOSITORY] = good
    hub.requests.clear()
    run(tmp_path)
    assert ("GET", f"/{REPOSITORY}/resolve/{'a' * 40}/config.json") not in hub.requests
    assert "model.safetensors.index.json" not in names_in(tmp_path / "data/01_raw/small-model")


def test_a_connection_that_breaks_is_taken_up_again(tmp_path: Path, hub: Hub) -> None:
    hub.drop_after["model.safetensors"] = 60_000
    run(tmp_path)
    assert (tmp_path / "data/01_raw/small-model/model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.oddity("Runs", "a `thresher fetch hf:` that is killed in its weights", "goes on where it was")
def test_a_killed_fetch_goes_on_within_the_weights(tmp_path: Path, hub: Hub) -> None:
    weights = os.urandom(1000) * 21_000
    hub.files[REPOSITORY]["model.safetensors"] = weights
    hub.stall_after["model.safetensors"] = 20_900_000
    (tmp_path / "pyproject.toml").write_text("[tool.kedro]\n")
    command = [sys.executable, "-m", "thresher", "fetch", f"hf:{REPOSITORY}"]
    part = tmp_path / f"data/01_raw/.small-model.{'a' * 12}.arriving/model.safetensors.part"
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as killed:
        try:
            deadline = time.monotonic() + 200
            while not (part.is_file() and part.stat().st_size):
                assert killed.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            killed.kill()
    held = part.stat().st_size
    assert 0 < held < len(weights)
    run(tmp_path)
    assert hub.ranges == [f"bytes={held}-"]
    folder = tmp_path / "data/01_raw/small-model"
    assert (folder / "model.safetensors").read_bytes() == weights and names_in(folder) == sorted([*TAKEN, RECORD])


def test_a_part_of_other_bytes_is_refused_and_forgotten(tmp_path: Path, hub: Hub) -> None:
    arriving = tmp_path / f"data/01_raw/.small-model.{'a' * 12}.arriving"
    arriving.mkdir(parents=True)
    (arriving / "model.safetensors.part").write_bytes(bytes(500))
    assert "The download was deleted. Fix: run it again" in refusal(tmp_path)
    (arriving / "model.safetensors.part").write_bytes(bytes(len(WEIGHTS) + 1))
    run(tmp_path)
    assert (tmp_path / "data/01_raw/small-model/model.safetensors").read_bytes() == WEIGHTS


def test_without_a_network_it_says_what_to_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    told = refusal(tmp_path)
    assert "cannot be fetched" in told and "into data/01_raw/small-model: config.json, model.safetensors (or" in told


def test_a_folder_of_one_s_own_is_never_replaced(tmp_path: Path, hub: Hub) -> None:
    folder = tmp_path / "data/01_raw/small-model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("mine")
    with pytest.raises(ThresherError, match=r"is there already, and has no fetched\.json.*Fix: move it elsewhere"):
        run(tmp_path)
    (folder / "config.json").unlink()
    folder.rmdir()
    run(tmp_path)
    hub.files["other/small-model"] = dict(CONTENT)
    with pytest.raises(ThresherError, match=f"comes from {REPOSITORY}"):
        run(tmp_path, "hf:other/small-model")


def test_the_command_takes_such_a_name(tmp_path: Path, hub: Hub) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.kedro]\n")
    command = [sys.executable, "-m", "thresher", "fetch", f"hf:{REPOSITORY}@{'a' * 40}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data/01_raw/small-model" / RECORD).is_file()
