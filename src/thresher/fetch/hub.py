"""A pretrained model's folder from a hub, by the library `huggingface_hub`: pinned to a commit, never a pickle."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from thresher.adapters.huggingface_hub import resume_download
from thresher.config import Config
from thresher.errors import FetchError, ThresherError
from thresher.fetch.fetching import sha256_of
from thresher.models.pretrained.folder import CONFIG, CONVERT, INDEX, OF_ENCODERS, PICKLES, WEIGHTS, read_shards

if TYPE_CHECKING:
    from rich.console import Console

NAME = re.compile(r"hf:(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>\S+))?")
COMMIT = re.compile(r"[0-9a-f]{40}")
FOLDER = "data/01_raw"
RECORD = "fetched.json"
TOKENIZER = "tokenizer.json"
VOCABULARIES = ("vocab.txt", "vocab.json", "merges.txt", "sentencepiece.bpe.model", "spiece.model", "spm.model")
"""What a tokenizer.json is made of; no more than read by the library that makes it."""
COPY = (
    f"copy its folder from a machine that has it into {FOLDER}/{{name}}: {CONFIG}, {WEIGHTS} (or its shards with "
    f"{INDEX}), and {', '.join(OF_ENCODERS)}, as far as it has them."
)


class HubFile(Config):
    """One file of a repository."""

    num_bytes: int | None
    sha256: str | None
    """None where the hub does not say it, as of small files before they have arrived."""


class Fetched(Config):
    """Where a folder comes from; it stands in the folder as fetched.json."""

    repository: str
    revision: str
    """What was asked for."""
    commit: str
    """What that was when it was fetched."""
    files: dict[str, HubFile]


def fetch_from_hub(name: str, project: Path, console: Console, endpoint: str | None = None) -> Path:
    """Bring the repository ``name``, `hf:OWNER/NAME` or `hf:OWNER/NAME@REVISION`, into ``project``; return its folder.

    Files arrive in a hidden folder beside the final one, which is made by one rename. What an interrupted fetch has
    brought, of weights the part that came, is not downloaded again.

    Args:
        endpoint: address of the hub; None leaves it to the library, which reads HF_ENDPOINT. A token is HF_TOKEN.

    Raises:
        FetchError: no such repository, one without safetensors, no access, no network or disk trouble; with the fix.
    """
    repository, revision = _parse(name)
    if find_spec("huggingface_hub") is None:
        raise FetchError(
            f"{name}: needs the package huggingface_hub. Fix: pip install 'thresher[pretrained]', or "
            + COPY.format(name=repository.partition("/")[2])
        )
    folder = project / FOLDER / repository.partition("/")[2]
    there = _read_record(folder, repository)
    if there is not None and revision == there.commit and _is_whole(folder, there, console):
        return folder
    with _named_errors(name, folder.name):
        commit, remote = _look_up(repository, revision, endpoint)
        if there is not None and commit == there.commit and _is_whole(folder, there, console):
            return folder
        hidden = folder.with_name(f".{folder.name}.{commit[:12]}.arriving")
        names = _choose(remote, repository)
        files = {file: _download(repository, commit, file, remote[file], hidden, endpoint) for file in names}
        for shard in read_shards(hidden) if INDEX in files else ():
            if shard not in remote:
                raise FetchError(f"{repository}: {INDEX} names {shard}, which it does not have. Fix: another revision.")
            files[shard] = _download(repository, commit, shard, remote[shard], hidden, endpoint)
        fetched = Fetched(repository=repository, revision=revision, commit=commit, files=files)
        _move_into_place(hidden, folder, fetched)
    for file, one in fetched.files.items():
        line = f"{folder / file}: fetched, {one.num_bytes:,} bytes, SHA-256 {one.sha256}"
        console.print(line, soft_wrap=True, highlight=False)
    console.print(f"{repository} at commit {commit}; {RECORD} says so", soft_wrap=True, highlight=False)
    return folder


def _parse(name: str) -> tuple[str, str]:
    match = NAME.fullmatch(name)
    if match is None:
        raise FetchError(f"'{name}' names no repository. Fix: hf:OWNER/NAME, or hf:OWNER/NAME@REVISION.")
    return match["repository"], match["revision"] or "main"


def _read_record(folder: Path, repository: str) -> Fetched | None:
    """Return what ``folder`` says of itself, None where there is no such folder."""
    if not folder.exists():
        return None
    try:
        record = Fetched.model_validate_json((folder / RECORD).read_bytes())
    except (OSError, ValidationError):
        record = None
    if record is None or record.repository != repository:
        source = f"comes from {record.repository}" if record else f"has no {RECORD}: it was not fetched from a hub"
        raise FetchError(f"{folder}: is there already, and {source}. Fix: move it elsewhere first.")
    return record


def _is_whole(folder: Path, record: Fetched, console: Console) -> bool:
    for name, file in record.files.items():
        if not (folder / name).is_file() or sha256_of(folder / name) != file.sha256:
            console.print(f"{folder / name}: differs from what was fetched; fetching again", soft_wrap=True)
            return False
    console.print(f"{folder}: already there, at commit {record.commit}, SHA-256 verified", soft_wrap=True)
    return True


def _look_up(repository: str, revision: str, endpoint: str | None) -> tuple[str, dict[str, HubFile]]:
    """Return the commit that ``revision`` is, and the files of the repository, those in folders of it left out."""
    from huggingface_hub import HfApi

    info = HfApi(endpoint=_address(endpoint)).model_info(repository, revision=revision, files_metadata=True)
    if info.sha is None or not COMMIT.fullmatch(info.sha):
        raise FetchError(f"{repository}: the hub names no commit for {revision}. Fix: another hub, by HF_ENDPOINT.")
    files = {
        file.rfilename: HubFile(num_bytes=file.size, sha256=file.lfs.sha256 if file.lfs else None)
        for file in info.siblings or []
        if "/" not in file.rfilename
    }
    return info.sha, files


def _choose(remote: dict[str, HubFile], repository: str) -> list[str]:
    """Return the files to fetch, but for the shards that an index names."""
    if CONFIG not in remote:
        raise FetchError(f"{repository}: has no {CONFIG}, and is no model of this layout. Fix: another repository.")
    weights = next((name for name in (WEIGHTS, INDEX) if name in remote), None)
    if weights is None:
        pickles = sorted(name for name in remote if any(fnmatch(name, pattern) for pattern in PICKLES))
        has = f"its weights are in {', '.join(pickles)} alone, and reading such a file can run code" if pickles else ""
        raise FetchError(f"{repository}: {has or f'has no {WEIGHTS}'}. Fix: another repository, or {CONVERT}")
    tokenizer = () if TOKENIZER in remote else VOCABULARIES
    return [CONFIG, weights, *(name for name in (*OF_ENCODERS, *tokenizer) if name in remote)]


def _download(
    repository: str, commit: str, name: str, expected: HubFile, folder: Path, endpoint: str | None
) -> HubFile:
    """Bring one file into ``folder``, and return what arrived; weights go on where they were."""
    from huggingface_hub import hf_hub_download, hf_hub_url

    path, part = folder / name, folder / f"{name}.part"
    if expected.sha256 is None or expected.num_bytes is None:
        hf_hub_download(repository, name, revision=commit, local_dir=folder, endpoint=_address(endpoint))
    elif not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        url = hf_hub_url(repository, name, revision=commit, endpoint=_address(endpoint))
        resume_download(url, part, expected.num_bytes, name)
        part.replace(path)
    arrived = HubFile(num_bytes=path.stat().st_size, sha256=sha256_of(path))
    if expected.num_bytes not in (None, arrived.num_bytes) or expected.sha256 not in (None, arrived.sha256):
        path.unlink()
        what = f"expected {expected.num_bytes} bytes, SHA-256 {expected.sha256 or 'not told'}"
        got = f"got {arrived.num_bytes}, {arrived.sha256}"
        raise FetchError(f"{repository}: {name}: {what}; {got}. The download was deleted. Fix: run it again.")
    return arrived


def _address(endpoint: str | None) -> str | None:
    """Return the hub's address as it is now: the library reads HF_ENDPOINT once, when it is imported."""
    return endpoint or os.environ.get("HF_ENDPOINT")


def _move_into_place(hidden: Path, folder: Path, fetched: Fetched) -> None:
    """Make ``folder`` of what has arrived in ``hidden``, in place of what an earlier fetch has made."""
    for path in hidden.iterdir():
        if path.name not in fetched.files:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (hidden / RECORD).write_text(fetched.model_dump_json(indent=2) + "\n", encoding="utf-8")
    if folder.exists():
        earlier = folder.with_name(f".{folder.name}.earlier")
        shutil.rmtree(earlier, ignore_errors=True)
        folder.rename(earlier)
        hidden.rename(folder)
        shutil.rmtree(earlier)
    else:
        hidden.rename(folder)
    for other in folder.parent.glob(f".{folder.name}.*.arriving"):  # of other commits, interrupted
        shutil.rmtree(other)


@contextmanager
def _named_errors(name: str, folder: str) -> Iterator[None]:
    """Turn what the library raises into a sentence with its fix."""
    from huggingface_hub import errors

    try:
        yield
    except ThresherError:
        raise
    except errors.GatedRepoError as error:
        raise FetchError(
            f"{name}: the hub wants you to accept its terms, or a token that has. Fix: HF_TOKEN."
        ) from error
    except errors.RepositoryNotFoundError as error:
        fix = "Fix: correct the name; of a private one, set HF_TOKEN."
        raise FetchError(f"{name}: the hub knows no such repository, or does not show it to you. {fix}") from error
    except errors.RevisionNotFoundError as error:
        raise FetchError(
            f"{name}: has no such revision. Fix: a branch, a tag or a commit of the repository."
        ) from error
    except Exception as error:  # those of the library's HTTP client, and the disk's
        first = str(error).strip().partition("\n")[0] or type(error).__name__
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        fix = "free some of the disk and run it again." if full else f"run it again, or {COPY.format(name=folder)}"
        raise FetchError(f"{name}: cannot be fetched ({first}). Fix: {fix}") from error
