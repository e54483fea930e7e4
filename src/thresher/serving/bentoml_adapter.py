"""All uses of BentoML's undocumented API.

Where another version of it differs, tests/dependency_contracts/test_bentoml_contract.py says what changed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import bentoml
from _bentoml_sdk.service import Service as UntypedService
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.service.openapi.specification import Info, OpenAPISpecification, PathItem
from bentoml._internal.utils.analytics.usage_stats import do_not_track
from bentoml._internal.utils.cattr import bentoml_cattr

if TYPE_CHECKING:

    class Service:
        """The class of BentoML's services, which has no types of its own: what we use of it."""

        def to_asgi(self, is_main: bool = True) -> Any:
            """Return the ASGI app."""

        @property
        def openapi_spec(self) -> OpenAPISpecification:
            """The OpenAPI document."""

else:
    Service = UntypedService

Hook = TypeVar("Hook", bound=Callable[..., Any])
on_startup: Callable[[Hook], Hook] = bentoml.on_startup
on_shutdown: Callable[[Hook], Hook] = bentoml.on_shutdown

SWAGGER = Path(bentoml.__file__).with_name("_internal") / "server" / "static_content"
"""Where BentoML keeps the Swagger UI that it shows for services without pages of their own."""
SERVER_MODULES = ("_bentoml_impl.server.app", "_bentoml_impl.server.serving")
"""The modules that a service imports when it starts."""


def prepare(metrics_folder: str) -> None:
    """Have this process, which loads a service, report no usage and keep its workers' counts in ``metrics_folder``.

    `bentoml build` and `bentoml serve` look whether they may report usage before they load a service, and remember
    the answer; they report later, so that what thresher/__init__.py says in the environment counts after all. And
    BentoML's supervisor empties one folder of the user's for the metrics of its workers: the counts of another service
    that runs would go with it.
    """
    do_not_track.cache_clear()
    BentoMLContainer.prometheus_multiproc_dir.set(metrics_folder)


def given_arguments() -> list[str]:
    """Return the options `--arg` and `--arg-file` that this process was given; a Bento's own come before them."""
    return [word for word in sys.argv[2:] if word.partition("=")[0] in ("--arg", "--arg-file")]


def open_api(
    spec: OpenAPISpecification, version: str, title: str, model_version: str, description: str, paths: Mapping[str, Any]
) -> OpenAPISpecification:
    """Return BentoML's document of a service, of OpenAPI's ``version``, with ``paths`` before its own."""
    own = {path: bentoml_cattr.structure(item, PathItem) for path, item in paths.items()}
    return OpenAPISpecification(
        openapi=version,
        info=Info(title=title, version=model_version, description=description),
        paths={**own, **spec.paths},
        servers=spec.servers,
        tags=spec.tags,
        components=spec.components,
    )


def containerfile(bento: bentoml.Bento, enable_buildkit: bool) -> AbstractContextManager[tuple[str, str]]:
    """Return what writes ``bento``'s build context, and gives its folder and the Dockerfile in it.

    `bentoml containerize` runs a builder on the same folder, but ends with 0 and a traceback where the builder fails.
    """
    from bentoml._internal.container import construct_containerfile

    made: AbstractContextManager[tuple[str, str]] = construct_containerfile(bento, enable_buildkit=enable_buildkit)
    return made
