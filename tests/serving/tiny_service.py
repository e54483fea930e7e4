"""A tiny classifier as a bundle, and the app on it, called in process."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from prometheus_client import CollectorRegistry

from thresher.serving.app import create_app
from thresher.serving.core.bundle import Bundle, ModelInfo
from thresher.serving.core.predictor import Predictor
from thresher.serving.monitoring.metrics import Metrics

CLASS_NAMES = ("circle", "square", "triangle")


def make_onnx(channels: int = 1, height: int = 8, width: int = 6, num_classes: int = 3) -> bytes:
    """Return a linear classifier of uint8 images with random weights."""
    random = np.random.default_rng(0)
    weights = random.normal(scale=1e-3, size=(channels * height * width, num_classes)).astype(np.float32)
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", channels, height, width])
    probabilities = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", num_classes])
    nodes = [
        helper.make_node("Cast", ["image"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["numbers"], ["rows"], axis=1),
        helper.make_node("MatMul", ["rows", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    initializers = [numpy_helper.from_array(weights, "weights")]
    graph = helper.make_graph(nodes, "tiny", [image], [probabilities], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def make_info(**changes: Any) -> ModelInfo:
    """Return the provenance of a model of recipe `shapes`."""
    values: dict[str, Any] = {
        "recipe": "shapes",
        "candidate": "half_int8",
        "model_version": "7",
        "mlflow_run_id": "0123456789abcdef",
        "data_hash": "d" * 64,
        "git_commit": "c" * 40,
        "created": datetime.now(UTC),
        "threads": 1,
        "max_batch_size": 16,
        "max_latency_ms": 20,
        "metrics": {"accuracy": 0.75},
    }
    return ModelInfo(**{**values, **changes})


class Caller:
    """The app in process; an exception that escapes it escapes here too."""

    def __init__(self, bundle: Bundle) -> None:
        self.app = create_app()
        self.registry = CollectorRegistry()
        self.predictor = self.app.state.predictor = Predictor(bundle, Metrics(bundle, self.registry))
        self.runner = asyncio.Runner()
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://service")

    def __call__(self, method: str, path: str, **request: Any) -> httpx.Response:
        return self.runner.run(self.client.request(method, path, **request))

    def post(self, content: Any, content_type: str = "application/json", **headers: str) -> httpx.Response:
        return self("POST", "/predict", content=content, headers={"Content-Type": content_type, **headers})
