"""One ONNX Runtime session, with the threads that the evaluation measured it at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thresher.modalities.decision import DECISION, DecisionRule
from thresher.modalities.encoder import Encoder
from thresher.modalities.model_input import ModelInput
from thresher.modalities.outputs import ClassOutput, ValueOutput
from thresher.serving.core.bundle import ENCODER_FILE, INFO_FILE, MODEL_FILE, Bundle, BundleError
from thresher.serving.core.execution import read_execution

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Output = type[ClassOutput] | type[ValueOutput]
OUTPUT: dict[str, Output] = {"classification": ClassOutput, "regression": ValueOutput}
"""Task -> the name of the graph's output."""

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
"""Which of them there are depends on the package that is installed: an image without CUDA has the second alone."""


class Session:
    """Runs a bundle's model. Several threads may run one at once, each with the session's threads and in memory of its
    own."""

    def __init__(self, session: InferenceSession, model_input: ModelInput, output: Output) -> None:
        self._session, self._input, self._output = session, model_input, output
        # Models of before take series, and give values, in float32.
        is_float = session.get_inputs()[0].type == "tensor(float)"
        self._dtype = np.dtype(np.float32) if is_float else model_input.dtype

    @property
    def output_dtype(self) -> np.dtype:
        """The type of what `run` gives."""
        return np.dtype(self._output.dtype)

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Return the probabilities, float32 [N, K], or values, float64 [N, 1], of encoded samples [N, ...]."""
        feed = {self._input.name: self._input.trim(batch).astype(self._dtype, copy=False)}
        answers: np.ndarray = self._session.run([self._output.name], feed)[0]
        return answers.astype(self._output.dtype, copy=False)


def open_session(bundle: Bundle, threads: int | None = None) -> Session:
    """Return a session on the model of ``bundle``, warmed up with its encoder and proven to fit it.

    Args:
        threads: of ONNX Runtime for one call; without a number, as many as in the evaluation.

    Raises:
        BundleError: the encoder cannot encode its own example, such as for want of a package; ONNX Runtime cannot
            open or run the model; or the model's outputs are not the encoder's classes.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or bundle.info.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    encoder, there = bundle.encoder, onnxruntime.get_available_providers()
    providers = [name for name in PROVIDERS if name in there]
    entries: dict[str, str] = {}
    if bundle.info.execution is not None:
        provider, entries = read_execution(bundle.info.execution)
        providers = [provider]
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    example = _encode_example(encoder)
    try:
        _require(providers, there)
        model = onnxruntime.InferenceSession(bundle.onnx_bytes, options, providers=providers)
        _require(providers[:1], model.get_providers())
        noted = model.get_modelmeta().custom_metadata_map.get(DECISION)
        session = Session(model, encoder.model_input, OUTPUT[encoder.task])
        session.run(example)
        shape = session.run(encoder.model_input.example(2)).shape
    except Exception as error:  # ONNX Runtime's errors share no base class
        raise BundleError(f"ONNX Runtime cannot run {MODEL_FILE}: {error}") from error
    if (DecisionRule.model_validate_json(noted) if noted else None) != bundle.info.decision:
        what = f"{INFO_FILE} has the decision {bundle.info.decision}, and {MODEL_FILE} {noted}"
        raise BundleError(f"{what}. Package the model again.")
    if shape != (2, len(encoder.class_names) or 1):
        needed = f"{len(encoder.class_names)} classes" if encoder.class_names else "one value"
        raise BundleError(f"{MODEL_FILE} answers {list(shape[1:])} numbers for {needed}.")
    return session


def _require(providers: list[str], there: list[str]) -> None:
    """Raise a RuntimeError for a provider that is not there: ONNX Runtime would take the processor without a word."""
    if missing := [name for name in providers if name not in there]:
        raise RuntimeError(f"it is to be computed by {missing[0]}, and there is {', '.join(there)}")


def _encode_example(encoder: Encoder) -> np.ndarray:
    try:
        return encoder.encode_json(encoder.example())
    except Exception as error:  # a damaged tokenizer raises what its library has for it
        raise BundleError(f"The encoder in {ENCODER_FILE} cannot be used: {error}. Package the model again.") from error
