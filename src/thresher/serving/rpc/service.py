"""The methods of the service: message in, message out, however they travel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from thresher.serving.body import decode_beside
from thresher.serving.predictor import Predictor
from thresher.serving.rpc.contents import InferRequest, parse, read_outputs, read_samples, read_seconds, write_answer
from thresher.serving.rpc.messages import REQUESTS, RESPONSES, SERVICE
from thresher.serving.v2.tensors import model_metadata, server_metadata

PROTOCOL = "grpc"
INFER = f"{SERVICE}/ModelInfer".encode()

Method = Callable[[bytes, "float | None"], Awaitable[bytes]]
"""Takes the request's message and the seconds that the caller waits for the answer, None for as long as it takes."""


class InferenceService:
    """Answers calls with the model of one predictor."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor, self._tensors = predictor, predictor.tensors
        self.is_ready = True
        """Set to False where no more requests are wanted."""
        self._server_metadata = _bytes(RESPONSES["ServerMetadata"](**server_metadata()))
        self._model_metadata = _bytes(RESPONSES["ModelMetadata"](**model_metadata(self._tensors)))

    def methods(self) -> dict[str, Method]:
        """Return each method by its name."""
        return {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._describe_server,
            "ModelMetadata": self._describe_model,
            "ModelInfer": self._infer,
        }

    async def _server_live(self, content: bytes, seconds: float | None) -> bytes:
        parse(REQUESTS["ServerLive"], content)
        return _bytes(RESPONSES["ServerLive"](live=True))

    async def _server_ready(self, content: bytes, seconds: float | None) -> bytes:
        parse(REQUESTS["ServerReady"], content)
        return _bytes(RESPONSES["ServerReady"](ready=self.is_ready))

    async def _model_ready(self, content: bytes, seconds: float | None) -> bytes:
        request = parse(REQUESTS["ModelReady"], content)
        self._tensors.check_model(request.name, request.version)
        return _bytes(RESPONSES["ModelReady"](ready=self.is_ready))

    async def _describe_server(self, content: bytes, seconds: float | None) -> bytes:
        parse(REQUESTS["ServerMetadata"], content)
        return self._server_metadata

    async def _describe_model(self, content: bytes, seconds: float | None) -> bytes:
        request = parse(REQUESTS["ModelMetadata"], content)
        self._tensors.check_model(request.name, request.version)
        return self._model_metadata

    async def _infer(self, content: bytes, seconds: float | None) -> bytes:
        predictor = self._predictor
        try:
            predictor.check_room()
            request, names, samples = await decode_beside(lambda: self._read(content), len(content))
            timeout = read_seconds(request) or predictor.timeout
        except Exception as error:
            predictor.count_refused(PROTOCOL, error)
            raise
        timeout = timeout if seconds is None else min(timeout, seconds)
        outputs = await predictor.infer(samples, PROTOCOL, timeout)
        return write_answer(request, self._tensors, names, outputs)

    def _read(self, content: bytes) -> tuple[Any, tuple[str, ...], np.ndarray]:
        request = parse(InferRequest, content)
        self._tensors.check_model(request.model_name, request.model_version)
        names = read_outputs(request, self._tensors)
        return request, names, read_samples(request, self._tensors)


def _bytes(message: Any) -> bytes:
    content: bytes = message.SerializeToString()
    return content
