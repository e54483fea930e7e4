"""One ONNX Runtime session, with the threads that the evaluation measured it at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thresher.serving.bundle import MODEL_FILE, Bundle, BundleError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

INPUT, OUTPUT = "image", "probabilities"


class Session:
    """Runs a bundle's model; not for two threads at once."""

    def __init__(self, session: InferenceSession) -> None:
        self._session = session

    def run(self, image_NCHW: np.ndarray) -> np.ndarray:
        """Return the probabilities, float32 [N, K], of uint8 images [N, C, H, W]."""
        probabilities: np.ndarray = self._session.run([OUTPUT], {INPUT: image_NCHW})[0]
        return probabilities


def open_session(bundle: Bundle) -> Session:
    """Return a session on the model of ``bundle``, warmed up and proven to fit its encoder.

    Raises:
        BundleError: ONNX Runtime cannot open or run the model, or its outputs are not the encoder's classes.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = bundle.info.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    encoder = bundle.encoder
    try:
        session = Session(onnxruntime.InferenceSession(bundle.onnx_bytes, options, providers=["CPUExecutionProvider"]))
        shape = session.run(np.zeros((2, encoder.channels, encoder.height, encoder.width), np.uint8)).shape
    except Exception as error:  # ONNX Runtime's errors share no base class
        raise BundleError(f"ONNX Runtime cannot run {MODEL_FILE}: {error}") from error
    if shape != (2, len(encoder.class_names)):
        raise BundleError(f"{MODEL_FILE} answers {list(shape[1:])} numbers for {len(encoder.class_names)} classes.")
    return session
