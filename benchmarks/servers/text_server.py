"""The service's own listener on a bundle of texts, with the batcher's groups of like length or with one for all."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from thresher.modalities.model_input import ModelInput
from thresher.serving.app import create_app
from thresher.serving.core import predictor as module
from thresher.serving.core.bundle import read_bundle
from thresher.serving.core.length_groups import LengthGroups
from thresher.serving.http.fast_listener import FastListener
from thresher.serving.http.fast_path import FastRoutes
from thresher.serving.http.middleware import FastPathMiddleware
from thresher.serving.monitoring.metrics import Metrics


class OneGroup(LengthGroups):
    """All samples in one group, as long as the longest."""

    def __init__(self, model_input: ModelInput) -> None:
        super().__init__(model_input)
        self.ends: tuple[int, ...] = self.ends[-1:]


async def serve(folder: Path, port: int, grouped: bool) -> None:
    """Answer until the process is ended."""
    if not grouped:
        vars(module)["LengthGroups"] = OneGroup
    bundle = read_bundle(folder)
    app = create_app()
    app.state.predictor = module.Predictor(bundle, Metrics(bundle))
    middleware = FastPathMiddleware(app)
    middleware.routes = FastRoutes(app.state.predictor)
    FastListener(middleware, "127.0.0.1", port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "grouped"))
