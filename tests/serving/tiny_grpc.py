"""A gRPC server of a bundle in this process, on a loop of its own, and messages to call it with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from threading import Thread
from typing import Any

import grpc
import numpy as np
import uvloop
from prometheus_client import CollectorRegistry
from tritonclient.grpc import service_pb2 as triton

from thresher.serving.core.bundle import Bundle
from thresher.serving.core.byte_budget import ByteBudget
from thresher.serving.core.predictor import Predictor
from thresher.serving.grpc.server import RpcServer, start_rpc_server
from thresher.serving.monitoring.metrics import Metrics

NewLoop = Callable[[], asyncio.AbstractEventLoop]
PREFIX = "/inference.GRPCInferenceService/"


class Running:
    """A server of ``bundle`` on a free port, while the thread of its loop runs."""

    def __init__(
        self,
        bundle: Bundle,
        new_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop,
        budget: ByteBudget | None = None,
    ) -> None:
        self.loop = new_loop()
        self._thread = Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.registry = CollectorRegistry()
        self.predictor, self.server = self.run(self._start(bundle, budget))
        self.address = f"127.0.0.1:{self.server.port}"
        self.channel = grpc.insecure_channel(self.address, [("grpc.max_send_message_length", -1)])

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def _start(self, bundle: Bundle, budget: ByteBudget | None) -> tuple[Predictor, RpcServer]:
        predictor = Predictor(bundle, Metrics(bundle, self.registry), budget=budget)
        return predictor, await start_rpc_server(predictor, "127.0.0.1", 0)

    def infer(self, samples: np.ndarray) -> np.ndarray:
        """What the predictor itself answers, without any protocol."""
        return np.asarray(self.run(self.predictor.infer(samples, "grpc")))

    def call(self, method: str, content: bytes | Any, **options: Any) -> Any:
        """Return the answer as tritonclient's own message."""
        return self.method(method)(content, timeout=20, **options)

    def method(self, method: str) -> grpc.UnaryUnaryMultiCallable:
        """Return a plain stub, which sends messages and bytes alike."""
        return self.channel.unary_unary(
            PREFIX + method,
            lambda message: message if isinstance(message, bytes) else message.SerializeToString(),
            getattr(triton, f"{method}Response").FromString,
        )

    def refusal(self, method: str, content: bytes | Any, **options: Any) -> grpc.Call:
        """Return the error that a call ends with."""
        try:
            answer = self.call(method, content, **options)
        except grpc.RpcError as error:
            assert isinstance(error, grpc.Call)
            return error
        raise AssertionError(f"answered: {answer}")

    def close(self) -> None:
        self.channel.close()
        self.run(self.server.close(1))
        self.predictor.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


def raw_request(samples: np.ndarray, name: str = "image", datatype: str = "UINT8", **more: Any) -> Any:
    request = triton.ModelInferRequest(model_name="shapes", **more)
    request.inputs.add(name=name, datatype=datatype, shape=samples.shape)
    request.raw_input_contents.append(samples.tobytes())
    return request


def typed_request(
    samples: np.ndarray, name: str = "image", datatype: str = "UINT8", field: str = "uint_contents"
) -> Any:
    request = triton.ModelInferRequest(model_name="shapes")
    tensor = request.inputs.add(name=name, datatype=datatype, shape=samples.shape)
    getattr(tensor.contents, field).extend(samples.reshape(-1).tolist())
    return request
