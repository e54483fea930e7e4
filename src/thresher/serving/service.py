"""The BentoML service: `bentoml serve`, `bentoml build` and the Bento itself load this file."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

import bentoml
from bentoml.models import BentoModel
from pydantic import BaseModel, ConfigDict

from thresher.serving.app import create_app
from thresher.serving.bentoml_adapter import Service, given_arguments, open_api, prepare
from thresher.serving.champion import LABELS, bento_champion, bento_folder, describe_champion, newest_champion
from thresher.serving.core.bundle import BundleError, read_bundle, read_bundle_encoder, read_info
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

exit_with_error_after_refusal()
prepare(own_metrics_folder())


class Arguments(BaseModel):
    """What `--arg NAME=VALUE` can say to `bentoml build` and to `bentoml serve` in the source tree."""

    model_config = ConfigDict(extra="forbid")

    recipe: str | None = None
    """Whose champion; the newest of all where it is not given."""
    model: str | None = None
    """The tag of one of its champions in the store; the newest where it is not given."""
    gpu: bool = False
    """Whether the container's image has CUDA."""


class FastPathService(Service[Any]):
    """A BentoML service with a fast path before its middlewares, which take longer than a small model."""

    __slots__ = ()
    middleware: FastPathMiddleware | None = None

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
        """BentoML's document, at `/docs.json` and in the Bento, with the routes that are ours."""
        about = (info.recipe, info.model_version, describe_champion(info))
        return open_api(super().openapi_spec, OPENAPI_VERSION, *about, own_paths())


bento = bento_folder()
if bento and given_arguments():
    text = "--arg chooses a champion when a Bento is built; this one has its own. Name the Bento that you want instead."
    raise SystemExit(f"Error: {text}")
arguments = Arguments() if bento else bentoml.use_arguments(Arguments)
if bento is None and sys.argv[1:2] == ["build"] and not Path("src/thresher/serving").is_dir():
    # BentoML packs the files of the folder that it is called in, and the service is in none of them.
    raise SystemExit(
        "Error: a Bento of a project is built by a run and by `thresher promote`: they pack Thresher, too."
    )
champion = bento_champion(bento) if bento else newest_champion(arguments.recipe, arguments.model)
info = read_info(Path(champion.path))
try:
    workers = num_workers(info.workers, info.threads)
    max_bytes = budget_bytes(workers)
    for variable in (HTTP_PORT, GRPC_PORT):
        chosen_port(variable, 0)
    check_own_port()
except (ValueError, PortError) as error:
    # BentoML would say that this file cannot be imported, or start worker after worker.
    raise SystemExit(f"Error: {error}") from None
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

    @bentoml.on_startup
    async def listen(self) -> None:
        """Answer over all protocols."""
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

    @bentoml.on_shutdown
    async def close(self) -> None:
        """Answer what has come and let the model end its last batch."""
        if self.listeners:
            await self.listeners.close()
        self.predictor.close()
        stop_tracing()
        log_event("the service has ended", recipe=info.recipe, model_version=info.model_version)


@cache
def own_paths() -> dict[str, dict[str, Any]]:
    """Return what the OpenAPI document says of our routes; read from the model's files once, not at every request."""
    return describe_routes(read_bundle(Path(champion.path)))
