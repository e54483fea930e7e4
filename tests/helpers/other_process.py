"""What a fresh Python makes of files that a test wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from thresher.models.network import Network
from thresher.models.storage import save_network

REBUILD = """
import sys; from pathlib import Path; import numpy as np; import torch
from thresher.models.storage import load_network
torch.set_num_threads(1)
for folder in sorted(Path(sys.argv[1]).iterdir()):
    with torch.no_grad():
        answers = load_network(folder)(torch.from_numpy(np.load(folder / "inputs.npy")))
    np.save(folder / "answers.npy", answers.numpy())
"""
SERVICE = """
import json, sys
from importlib.abc import MetaPathFinder

class Refuse(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers"):
            raise ImportError(name + " is not in the service")

sys.meta_path.insert(0, Refuse())
from pathlib import Path
import onnxruntime
from thresher.modalities import read_encoder
encoder = read_encoder(Path(sys.argv[1]).read_bytes())
session = onnxruntime.InferenceSession(sys.argv[2])
"""


def rebuilt_answers(
    networks: Mapping[str, tuple[Network, np.ndarray]], folder: Path, cwd: Path | None = None
) -> dict[str, np.ndarray]:
    """Return what each of ``networks``, stored in ``folder`` and loaded there, answers to the inputs beside it."""
    for name, (network, inputs) in networks.items():
        save_network(network, folder / name)
        np.save(folder / name / "inputs.npy", inputs)
    subprocess.run([sys.executable, "-c", REBUILD, str(folder)], check=True, cwd=cwd)
    return {name: np.load(folder / name / "answers.npy") for name in networks}


def answers_of_service(code: str, encoder: Any, onnx_file: bytes, given: str, folder: Path) -> list[Any]:
    """Return the lines of JSON that ``code`` prints where torch and transformers cannot be imported.

    It has the ``encoder``, a ``session`` of ``onnx_file``, and ``given`` as the third argument.
    """
    (folder / "encoder.json").write_text(encoder.model_dump_json())
    (folder / "model.onnx").write_bytes(onnx_file)
    arguments = [str(folder / "encoder.json"), str(folder / "model.onnx"), given]
    command = [sys.executable, "-c", SERVICE + code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]
