"""Nested state as one safetensors file and back: no pickle."""

from __future__ import annotations

import json
import zlib
from collections import deque
from pathlib import Path
from typing import Any

import torch

from thresher.errors import DataError

PLAIN = (str, int, float, bool, type(None))
STATE, CHECKSUM = "state", "crc32"
Tensors = dict[str, torch.Tensor]


def write_state(state: Any, path: Path, metadata: dict[str, str]) -> None:
    """Write ``state`` to ``path``: dicts, lists, tuples, deques, texts, numbers, None and tensors, nested at will.

    Tensors keep type and strides, so that an optimizer's state lies in memory as its weights do.

    Raises:
        TypeError: anything else in it.
    """
    from safetensors.torch import save_file

    tensors: Tensors = {}
    document = json.dumps(_pack(state, tensors))
    checksum = str(_checksum(tensors, document))
    save_file(tensors, path, {**metadata, STATE: document, CHECKSUM: checksum})


def read_state(path: Path) -> Any:
    """Return the state in ``path``, its tensors on the CPU.

    Raises:
        DataError: a damaged file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            # Copied to where torch aligns memory: sums over it come out differently, in the last bit, elsewhere.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  # it has no __iter__
            metadata = file.metadata() or {}
        document = metadata[STATE]
        damaged = metadata[CHECKSUM] != str(_checksum(tensors, document))
    except (SafetensorError, KeyError, OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable checkpoint ({error}).") from error
    if damaged:
        raise DataError(f"{path}: not a readable checkpoint (its checksum does not match).")
    return _unpack(json.loads(document), tensors)


def read_metadata(path: Path) -> dict[str, str]:
    """Return what was said of the state in ``path``; nothing of a damaged file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError):
        return {}


def _pack(value: Any, tensors: Tensors) -> Any:
    """Return ``value`` as plain JSON; its tensors are put into ``tensors``."""
    if isinstance(value, torch.Tensor):
        return _pack_tensor(value.detach().cpu(), tensors)
    if isinstance(value, dict):
        return {"dict": [[_pack(key, tensors), _pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_pack(item, tensors) for item in value]}
    if isinstance(value, deque):
        return {"deque": [_pack(item, tensors) for item in value], "maxlen": value.maxlen}
    if isinstance(value, list):
        return [_pack(item, tensors) for item in value]
    if type(value) not in PLAIN:
        raise TypeError(f"cannot store a {type(value).__name__} in a checkpoint")
    return value


def _unpack(value: Any, tensors: Tensors) -> Any:
    if isinstance(value, list):
        return [_unpack(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]].as_strided(value["shape"], value["strides"])
    if "dict" in value:
        return {_unpack(key, tensors): _unpack(item, tensors) for key, item in value["dict"]}
    if "tuple" in value:
        return tuple(_unpack(item, tensors) for item in value["tuple"])
    return deque((_unpack(item, tensors) for item in value["deque"]), value["maxlen"])


def _pack_tensor(tensor: torch.Tensor, tensors: Tensors) -> dict[str, Any]:
    if not _is_dense(tensor):
        tensor = tensor.contiguous()
    name = str(len(tensors))
    # As it lies in memory; a copy, since state may hold one tensor twice, which the format refuses.
    tensors[name] = tensor.as_strided((tensor.numel(),), (1,)).clone()
    return {"tensor": name, "shape": list(tensor.shape), "strides": list(tensor.stride())}


def _is_dense(tensor: torch.Tensor) -> bool:
    """Return whether ``tensor`` fills its memory without gaps and without using any of it twice."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size == 1:
            continue
        if stride != expected:
            return False
        expected *= size
    return True


def _checksum(tensors: Tensors, document: str) -> int:
    checksum = zlib.crc32(document.encode())
    for name in sorted(tensors, key=int):
        checksum = zlib.crc32(tensors[name].view(torch.uint8).numpy().data, checksum)
    return checksum
