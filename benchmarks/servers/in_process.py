"""What a request costs without any server: ONNX Runtime called one by one, and in batches of 32, with one thread."""

from __future__ import annotations

import sys
import time

import numpy as np
import onnxruntime


def open_model(path: str) -> tuple[onnxruntime.InferenceSession, str]:
    """Return a session with one thread, and its input's name."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session, session.get_inputs()[0].name


def main() -> None:
    """Print samples a second for the batch size and the seconds asked for."""
    path, batch_size, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    session, name = open_model(path)
    batch = np.zeros((batch_size, 1, 28, 28), np.uint8)
    for _ in range(20):
        session.run(None, {name: batch})
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        session.run(None, {name: batch})
        count += batch_size
    print(count / (time.perf_counter() - start))


if __name__ == "__main__":
    main()
