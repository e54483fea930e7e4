"""ONNX Runtime sessions as they are judged and served: one execution provider, pinned threads.

Run as a program, it tells what memory one takes. It then imports nothing of Thresher: a process of its own starts in
0.2 s, and what it held before is little. It also goes with a folder of `thresher measure`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

if TYPE_CHECKING:
    from thresher.modalities.model_input import ModelInput

CPU = "CPUExecutionProvider"
PREDICTION_BATCH = 256
MODEL_FILE, INPUTS_FILE = "model.onnx", "inputs.npy"
"""What the program reads in the folder that it is given."""
MEMORY_CALLS = 5
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def open_session(
    onnx_file: bytes, threads: int, provider: str = CPU, entries: Mapping[str, str] | None = None
) -> onnxruntime.InferenceSession:
    """Return a session over ``onnx_file`` that uses exactly ``threads`` threads.

    Args:
        provider: ONNX Runtime's name of what computes; what it cannot compute, the processor does.
        entries: ONNX Runtime's configuration of a session, by its own keys.

    Raises:
        RuntimeError: the provider is not there; ONNX Runtime itself would take the processor without a word.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    for key, value in (entries or {}).items():
        options.add_session_config_entry(key, value)
    if provider not in onnxruntime.get_available_providers():
        there = ", ".join(onnxruntime.get_available_providers())
        raise RuntimeError(f"{provider} is not in this build of ONNX Runtime, which has {there}")
    session = onnxruntime.InferenceSession(onnx_file, options, providers=[provider])
    if provider not in session.get_providers():
        raise RuntimeError(f"{provider} cannot be used on this machine")
    return session


def predict(session: onnxruntime.InferenceSession, inputs: np.ndarray, model_input: ModelInput) -> np.ndarray:
    """Return what the model answers to ``inputs`` [N, ...]: float32 [N, K] probabilities, or float64 [N, 1] values.

    Samples of like length are computed together, without the padding that none of them needs.
    """
    order = np.argsort(model_input.lengths(inputs), kind="stable")
    places = [order[start : start + PREDICTION_BATCH] for start in range(0, len(inputs), PREDICTION_BATCH)]
    outputs = [session.run(None, {model_input.name: model_input.trim(inputs[place])})[0] for place in places]
    answers = np.empty((len(inputs), *outputs[0].shape[1:]), outputs[0].dtype)
    answers[order] = np.concatenate(outputs)
    return answers


def run_for_memory(folder: Path, threads: int, provider: str = CPU, entries: Mapping[str, str] | None = None) -> int:
    """Return the bytes that this process holds at its peak, above what it held before the session was opened.

    Only a process that has opened no session before tells what one takes.

    Args:
        folder: with the model, and one batch of inputs.
    """
    onnx_file, inputs = (folder / MODEL_FILE).read_bytes(), np.load(folder / INPUTS_FILE)
    with suppress(OSError):  # forbidden on some systems: then what the imports took at their peak counts as held
        _CLEAR.write_text("5", encoding="ascii")
    before = _peak_bytes()
    session = open_session(onnx_file, threads, provider, entries)
    (model_input,) = session.get_inputs()
    for _ in range(MEMORY_CALLS):
        session.run(None, {model_input.name: inputs})
    return _peak_bytes() - before


def _peak_bytes() -> int:
    """Return the most that this process has held in memory so far, as the system counts resident pages."""
    lines = _STATUS.read_text(encoding="utf-8").splitlines() if _STATUS.exists() else []
    for line in lines:
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    import resource  # the second choice: on Linux its peak is no less than that of the process that started this one

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    print(run_for_memory(Path(sys.argv[1]), int(sys.argv[2]), *map(json.loads, sys.argv[3:])))
