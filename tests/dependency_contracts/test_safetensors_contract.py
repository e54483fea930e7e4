"""What safetensors writes is the same bytes in every version: files that are converted are known by their SHA-256."""

from __future__ import annotations

import json
import struct

import torch
from safetensors.torch import save


def test_a_file_is_its_length_its_header_padded_to_eight_and_its_tensors() -> None:
    tensors = {"b": torch.arange(3, dtype=torch.float32), "a": torch.tensor(7), "c": torch.ones(2, 1)}
    header = {
        "a": {"dtype": "I64", "shape": [], "data_offsets": [0, 8]},
        "b": {"dtype": "F32", "shape": [3], "data_offsets": [8, 20]},
        "c": {"dtype": "F32", "shape": [2, 1], "data_offsets": [20, 28]},
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    data = b"".join(tensors[name].numpy().tobytes() for name in header)
    assert save(tensors) == struct.pack("<Q", len(text)) + text + data, (
        "thresher fetch efficientnet_lite0 expects other bytes: new SHA-256 and size in known_sets.toml, and WRITTEN_BY"
    )
