"""The methods of the service: message in, message out, however they travel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from time import perf_counter
from typing import Any

from thresher.serving.core.decode_thread import decode_in_thread
from thresher.serving.core.errors import DeadlineError
from thresher.serving.core.predictor import Predictor
from thresher.serving.core.tensors import model_metadata, server_metadata
from thresher.serving.grpc.messages import REQUESTS, RESPONSES, SERVICE
from thresher.serving.grpc.tensor_codec import Asked, parse, read_request, write_answer
from thresher.serving.monitoring import tracing

PROTOCOL = "grpc"
INFER = f"{SERVICE}/ModelInfer".encode()

Method = Callable[[bytes, "float | None"], Coroutine[Any, Any, bytes]]
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

    def count_refused(self, error: Exception) -> None:
        """Count a request to infer whose message was not taken in, for ``error``."""
        self._predictor.count_refused(PROTOCOL, error)

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
        predictor, start = self._predictor, perf_counter()
        try:
            predictor.check_room()
            # The message is there as it came, and once more as protobuf has it.
            with predictor.budget.reserved(2 * len(content)):
                asked = await self._read(content, predictor.timeout if seconds is None else seconds)
                del content
        except Exception as error:
            self.count_refused(error)
            raise
        timeout = asked.timeout or predictor.timeout
        if seconds is not None:
            timeout = min(timeout, seconds - (perf_counter() - start))
        outputs = await predictor.infer(asked.samples, PROTOCOL, timeout, tracing.current())
        return write_answer(asked, self._tensors, outputs)

    async def _read(self, content: bytes, seconds: float) -> Asked:
        """Return what ``content`` asks for; a large one waits for its turn to be read, which is to come in time."""
        try:
            async with asyncio.timeout(seconds):
                return await decode_in_thread(lambda: read_request(content, self._tensors), len(content))
        except TimeoutError as error:
            raise DeadlineError("The request's time was up before it was decoded.") from error


def _bytes(message: Any) -> bytes:
    content: bytes = message.SerializeToString()
    return content
