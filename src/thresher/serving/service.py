"""The BentoML service: `bentoml serve`, `bentoml build` and the Bento itself load this file.

It chooses the champion, checks the environment, and declares the service, in this order, as it is imported.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

import bentoml
from bentoml.models import BentoModel
from pydantic import BaseModel, ConfigDict

from thresher.serving.app import create_app
from thresher.serving.bentoml_adapter import Service, given_arguments, on_shutdown, on_startup, open_api, prepare
from thresher.serving.champion import bento_champion, bento_folder, describe_champion, newest_champion
from thresher.serving.core.bundle import LABELS, BundleError, ModelInfo, read_bundle, read_bundle_encoder, read_info
from thresher.serving.core.byte_budget import ByteBudget, budget_bytes
from thresher.serving.core.cpu import num_workers, session_threads
from thresher.serving.core.predictor import Predictor
from thresher.serving.http.fast_path import FastRoutes
from thresher.serving.http.middleware import FastPathMiddleware
from thresher.serving.http.openapi import VERSION as OPENAPI_VERSION
from thresher.serving.http.openapi import describe_routes
from thresher.serving.http.uvicorn_protocol import use_bounded_protocol
from thresher.serving.image import container_image
from thresher.serving.monitoring.logs import configure_logs, log_event
from thresher.serving.monitoring.metrics import Metrics, own_metrics_folder
from thresher.serving.monitoring.shadow import open_shadow
from thresher.serving.monitoring.tracing import start_tracing, stop_tracing, wants_traces
from thresher.serving.sockets import GRPC_PORT, HTTP_PORT, PortError, check_own_port, chosen_port
from thresher.serving.tls import check_tls
from thresher.serving.worker import Listeners, end_service, exit_with_error_after_refusal, open_listeners, tune_runtime


class Arguments(BaseModel):
    """The options `--arg NAME=VALUE` of `bentoml build`, and of `bentoml serve` in the source tree."""

    model_config = ConfigDict(extra="forbid")

    recipe: str | None = None
    """The recipe whose champion is served; without one, the newest champion of all."""
    model: str | None = None
    """The tag of one of its champions in BentoML's store; without one, the newest."""
    gpu: bool = False
    """Whether the container image has CUDA."""


def read_arguments(bento: Path | None) -> Arguments:
    """Return the options of this process; those of a finished ``bento`` were used when it was built.

    Raises:
        SystemExit: an option where none can be given, or `bentoml build` in a folder without our package.
    """
    if bento:
        if given_arguments():
            text = "--arg chooses a champion when a Bento is built; this Bento already has one. Serve another Bento"
            raise SystemExit(f"Error: {text} for another champion.")
        return Arguments()
    if sys.argv[1:2] == ["build"] and not Path("src/thresher/serving").is_dir():
        # BentoML packs the files of the folder that it is called in, and the service is in none of them.
        text = "`bentoml build` cannot build the Bento of a project, since Thresher's own code is not in its folder"
        raise SystemExit(f"Error: {text}. Build it: thresher run RECIPE, or thresher promote RECIPE VERSION.")
    arguments: Arguments = bentoml.use_arguments(Arguments)
    return arguments


def read_environment(info: ModelInfo) -> tuple[int, int]:
    """Return the number of workers, and the bytes that each may hold for requests.

    Raises:
        SystemExit: a variable is wrong or a port is in use. Of any other error BentoML would say that this file cannot
            be imported, or start one worker after the other.
    """
    try:
        workers = num_workers(info.workers, info.threads)
        for variable in (HTTP_PORT, GRPC_PORT):
            chosen_port(variable, 0)
        check_own_port()
        return workers, budget_bytes(workers)
    except (ValueError, PortError) as error:
        raise SystemExit(f"Error: {error}") from None


@cache
def own_paths() -> dict[str, dict[str, Any]]:
    """Return our routes in OpenAPI's words; the model's files are read once, not at every request."""
    return describe_routes(read_bundle(Path(champion.path)))


class FastPathService(Service):
    """A BentoML service with a fast path before its middlewares, which take longer than a small model."""

    __slots__ = ()
    middleware: FastPathMiddleware | None = None
    """Of this process; None before `to_asgi` was called."""

    def to_asgi(self, is_main: bool = True) -> FastPathMiddleware:
        """Return BentoML's app behind our middleware, so that our bounds hold on BentoML's port, too."""
        try:
            check_tls()
        except PortError as error:
            end_service(str(error))
        use_bounded_protocol()
        FastPathService.middleware = FastPathMiddleware(super().to_asgi(is_main))
        return FastPathService.middleware

    @property
    def openapi_spec(self) -> Any:
        """BentoML's document, at `/docs.json` and in the Bento, with our routes."""
        about = (info.recipe, info.model_version, describe_champion(info))
        return open_api(super().openapi_spec, OPENAPI_VERSION, *about, own_paths())


exit_with_error_after_refusal()
prepare(own_metrics_folder())
bento = bento_folder()
arguments = read_arguments(bento)
champion = bento_champion(bento) if bento else newest_champion(arguments.recipe, arguments.model)
info = read_info(Path(champion.path))
workers, max_bytes = read_environment(info)
app = create_app()


@bentoml.service(
    name=info.recipe.lower(),
    description=describe_champion(info),
    image=None if bento else container_image(read_bundle_encoder(Path(champion.path)), info, arguments.gpu),
    labels={name: getattr(info, name) for name in LABELS} | ({"cuda": "true"} if arguments.gpu else {}),
    workers=workers,
    service_class=FastPathService,
)
@bentoml.asgi_app(app)
class Champion:
    """Predicts with the champion of one recipe."""

    model = BentoModel(champion.tag)

    def __init__(self) -> None:
        threads = session_threads(info.threads, workers)
        try:
            bundle = read_bundle(Path(self.model.path))
            self.metrics = Metrics(bundle)
            self.predictor = app.state.predictor = Predictor(bundle, self.metrics, threads, ByteBudget(max_bytes))
        except BundleError as error:
            end_service(str(error))
        self.predictor.shadow = open_shadow(Path(self.model.path), self.predictor.bundle)
        self.listeners: Listeners | None = None

    @on_startup
    async def listen(self) -> None:
        """Open all ports."""
        middleware = FastPathService.middleware
        assert middleware is not None
        configure_logs()
        if wants_traces():
            start_tracing(info)
        middleware.routes = FastRoutes(self.predictor)
        self.metrics.start()
        try:
            self.listeners = await open_listeners(middleware, self.predictor)
        except PortError as error:
            end_service(str(error))
        tune_runtime()

    @on_shutdown
    async def close(self) -> None:
        """Answer the requests that have arrived and let the model finish its last batch."""
        if self.listeners:
            await self.listeners.close()
        self.predictor.close()
        stop_tracing()
        log_event("the service has ended", recipe=info.recipe, model_version=info.model_version)
