"""The challenger's own process: `python -m thresher.serving.monitoring.shadow_process FOLDER DESCRIPTOR`.

Each request is the bytes of one array of encoded samples, each answer a JSON line and the bytes of the outputs. In a
process of its own the challenger has no part in the champion's Python lock and memory, and may be niced: a thread of
low priority that holds the lock would hold up the event loop.
"""

from __future__ import annotations

import json
import os
import sys
from io import BytesIO
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter

import numpy as np

NICE = 19
"""The least that a process can ask for: it runs while nobody else wants the core."""


def to_bytes(array: np.ndarray) -> bytes:
    """Return ``array`` in numpy's own format."""
    file = BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def from_bytes(content: bytes) -> np.ndarray:
    """Return the array that `to_bytes` wrote."""
    array: np.ndarray = np.load(BytesIO(content), allow_pickle=False)
    return array


def answer(folder: Path, connection: Connection) -> None:
    """Answer until the other side is closed."""
    from thresher.serving.core.bundle import read_bundle
    from thresher.serving.core.session import open_session

    # One thread: what the champion leaves of the cores is not to be filled by its challenger.
    session = open_session(read_bundle(folder), threads=1)
    while True:
        samples = from_bytes(connection.recv_bytes())
        start = perf_counter()
        try:
            outputs = session.run(samples)
        except Exception as error:  # ONNX Runtime's errors share no base class
            connection.send_bytes(json.dumps({"error": str(error)}).encode())
            continue
        connection.send_bytes(json.dumps({"seconds": perf_counter() - start}).encode())
        connection.send_bytes(to_bytes(outputs))


def main(folder: str, descriptor: str) -> None:
    """Answer with the bundle in ``folder`` over the socket that is open as ``descriptor``."""
    os.nice(NICE)
    try:
        answer(Path(folder), Connection(int(descriptor)))
    except (EOFError, ConnectionError):  # the service has ended
        return


if __name__ == "__main__":
    main(*sys.argv[1:])
