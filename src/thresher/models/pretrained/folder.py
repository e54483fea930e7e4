"""A pretrained model's folder: which of its files are read, and that nothing else is. No torch in here."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from thresher.errors import DataError
from thresher.files import read_bytes
from thresher.models.safetensors_header import read_start

CONFIG, WEIGHTS = "config.json", "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"
SUFFIX = ".safetensors"
COPY = "copy the model's whole folder."
OF_ENCODERS = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "preprocessor_config.json")
"""What an encoder is made of: which of them it needs, it says itself."""
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")
CONVERT = (
    "on a machine where you trust these weights, write them as safetensors: "
    "AutoModel.from_pretrained(FOLDER).save_pretrained(FOLDER)."
)


@dataclass(frozen=True)
class PretrainedFolder:
    """The files of a folder that are read.

    Attributes:
        name: for errors.
        files: their contents by their names; of weights, the header alone where no more was asked for.
        num_bytes: how long each file is.
    """

    name: str
    files: dict[str, bytes]
    num_bytes: dict[str, int]

    def document(self, name: str) -> dict[str, Any]:
        """Return the JSON object in the file ``name``; an empty one where there is no such file."""
        if name not in self.files:
            return {}
        return _read_object(self.files[name], f"{self.name}/{name}")

    @property
    def contents(self) -> tuple[bytes, ...]:
        """What is in the files that are read."""
        return tuple(self.files[name] for name in sorted(self.files))

    @property
    def weights(self) -> dict[str, bytes]:
        """The files of weights; none where the recipe takes the architecture alone."""
        return {name: content for name, content in self.files.items() if name.endswith(SUFFIX)}


def find_files(folder: Path, with_weights: bool, of_graph: bool = False) -> tuple[Path, ...]:
    """Return the files of ``folder`` that are read.

    Args:
        with_weights: whether its weights are.
        of_graph: whether its tokenizer alone is wanted, for a graph in a file of its own; it needs no config.json.

    Raises:
        DataError: no folder, a file that is missing, lies outside of it, or can run code when it is read.
    """
    if not folder.is_dir():
        what = "a file, not a folder" if folder.exists() else "no such folder"
        whole = f"{CONFIG}, {OF_ENCODERS[0]} or {OF_ENCODERS[-1]}, and {WEIGHTS}"
        raise DataError(
            f"{folder}: {what}. Allowed: a folder with {OF_ENCODERS[0] if of_graph else whole}. Fix: correct "
            f"model.{'tokenizer' if of_graph else 'path'} in the recipe, which is relative to the project's folder."
        )
    if not of_graph and not (folder / CONFIG).exists():
        raise DataError(f"{folder}: has no {CONFIG}. Fix: {COPY}")
    names = [name for name in (CONFIG, *OF_ENCODERS) if (folder / name).exists()]
    if with_weights:
        names += _find_weights(folder)
    paths = tuple(folder / name for name in names)
    _refuse_outside(folder, paths)
    return paths


def read_folder(
    folder: Path, with_weights: bool, headers_alone: bool = False, of_graph: bool = False
) -> PretrainedFolder:
    """Return the files of ``folder``; raises a DataError as `find_files` does, and for what cannot be read.

    Args:
        with_weights: whether its weights are read.
        headers_alone: whether no more of them is than their headers, which say what they hold.
        of_graph: as for `find_files`.
    """
    paths = find_files(folder, with_weights, of_graph)
    contents = {
        path.name: read_start(path) if headers_alone and path.suffix == SUFFIX else read_bytes(path, COPY)
        for path in paths
    }
    return PretrainedFolder(folder.name, contents, {path.name: path.stat().st_size for path in paths})


def _find_weights(folder: Path) -> list[str]:
    if (folder / WEIGHTS).exists():
        return [WEIGHTS]
    if (folder / INDEX).exists():
        return _find_shards(folder)
    pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    if pickles:
        raise DataError(
            f"{folder}: its weights are in {', '.join(pickles)} alone, and reading such a file can run code that is in "
            f"it. Allowed: {WEIGHTS}. Fix: {CONVERT}"
        )
    raise DataError(
        f"{folder}: has no {WEIGHTS}. Fix: copy the model's whole folder, or take init: random for the architecture "
        "alone."
    )


def _find_shards(folder: Path) -> list[str]:
    _refuse_outside(folder, [folder / INDEX])
    shards = read_shards(folder)
    for shard in shards:
        if not (folder / shard).exists():
            raise DataError(f"{folder}: {INDEX} names {shard}, which is missing. Fix: copy this file, too.")
    return shards


def read_shards(folder: Path) -> list[str]:
    """Return the files of weights that the index in ``folder`` names, whether they are there or not.

    Raises:
        DataError: no index, or names of something else than files of the folder.
    """
    document = _read_object(read_bytes(folder / INDEX, COPY), str(folder / INDEX))
    listed = document.get("weight_map")
    if not isinstance(listed, dict) or not all(isinstance(shard, str) for shard in listed.values()) or not listed:
        raise DataError(f"{folder / INDEX}: has no weight_map of names to files. Fix: copy the model's folder again.")
    shards = sorted(set(listed.values()))
    for shard in shards:
        if Path(shard).name != shard or not shard.endswith(SUFFIX):
            raise DataError(
                f"{folder / INDEX}: names the file {shard!r}. Allowed: files of the folder that end in .safetensors. "
                "Fix: copy the model's folder again, from where you trust it."
            )
    return shards


def _refuse_outside(folder: Path, paths: Iterable[Path]) -> None:
    inside = folder.resolve()
    for path in paths:
        if not path.resolve().is_relative_to(inside):
            raise DataError(
                f"{path}: leads to {path.resolve()}, outside of the folder. Allowed: files of the folder itself. "
                f"Fix: copy what links point to: cp -rL {quote(str(folder))} COPY."
            )


def _read_object(content: bytes, where: str) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: is no JSON ({error}). Fix: copy the file again.") from error
    if not isinstance(document, dict):
        raise DataError(f"{where}: holds no JSON object. Fix: copy the file again.")
    return document
