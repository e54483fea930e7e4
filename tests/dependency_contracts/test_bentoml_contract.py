"""What is known of BentoML's inside: where another version of it differs, these say what changed."""

from __future__ import annotations

import inspect
import sys
from importlib.util import find_spec

import bentoml
import bentoml.serving
import pytest
from _bentoml_impl.worker import service as worker
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.container import construct_containerfile
from bentoml._internal.service import loader
from bentoml._internal.utils.analytics import usage_stats

from thresher.serving import bentoml_adapter
from thresher.serving.bentoml_adapter import SERVER_MODULES, SWAGGER, Service, given_arguments, open_api, prepare
from thresher.serving.page.swagger import SWAGGER_FILES


def test_a_service_is_made_of_the_class_that_is_named() -> None:
    class Fronted(Service):  # type: ignore[type-arg]
        __slots__ = ()

    @bentoml.service(service_class=Fronted)
    class Tiny:
        pass

    assert type(Tiny) is Fronted, "bentoml.service no longer takes service_class"
    assert list(inspect.signature(Service.to_asgi).parameters) == ["self", "is_main"]
    assert isinstance(inspect.getattr_static(Service, "openapi_spec"), property)


def test_the_document_takes_our_paths_before_its_own() -> None:
    @bentoml.service
    class Tiny:
        @bentoml.api
        def double(self, number: int) -> int:
            return 2 * number

    paths = {"/predict": {"post": {"summary": "Predict", "responses": {"200": {"description": "The answer"}}}}}
    document = open_api(Tiny.openapi_spec, "3.1.0", "digits", "7", "About", paths).asdict()
    assert (document["openapi"], document["info"]["title"], document["info"]["version"]) == ("3.1.0", "digits", "7")
    assert next(iter(document["paths"])) == "/predict" and "/double" in document["paths"]
    assert document["paths"]["/predict"]["post"]["summary"] == "Predict"


def test_reports_are_decided_anew_and_counts_have_a_folder_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "false")
    usage_stats.do_not_track()
    try:
        monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "true")
        prepare("/somewhere")
        assert usage_stats.do_not_track(), "BentoML no longer remembers in do_not_track's cache whether it may report"
        assert BentoMLContainer.prometheus_multiproc_dir.get() == "/somewhere"
        assert "prometheus_multiproc_dir" in inspect.getsource(bentoml.serving), "workers' counts are kept elsewhere"
    finally:
        BentoMLContainer.prometheus_multiproc_dir.reset()
        usage_stats.do_not_track.cache_clear()


@pytest.mark.parametrize("name", SWAGGER_FILES)
def test_swagger_ui_is_where_we_show_it_from(name: str) -> None:
    assert (SWAGGER / name).is_file()


@pytest.mark.parametrize("name", SERVER_MODULES)
def test_what_a_service_imports_is_there_to_be_compiled(name: str) -> None:
    assert find_spec(name), f"{name} is gone; see what `bentoml serve` imports"


def test_a_bento_s_own_arguments_come_before_those_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    source = inspect.getsource(loader)
    assert "set_arguments(bento.info.args)" in source, "a built Bento may hear of --arg now"
    monkeypatch.setattr(sys, "argv", ["bentoml", "serve", "digits:latest", "--arg", "recipe=x", "--arg-file=y"])
    assert given_arguments() == ["--arg", "--arg-file=y"]
    monkeypatch.setattr(sys, "argv", ["worker", ".", "--fd", "3", "--args", "{}"])
    assert given_arguments() == []


@pytest.mark.parametrize("option", ["--fd", "--ssl-certfile", "--ssl-version", "--ssl-ciphers", "--args"])
def test_workers_are_told_their_socket_and_tls_by_options(option: str) -> None:
    """serving/sockets.py and serving/tls.py read them from the command line of the worker."""
    names = [name for parameter in worker.main.params for name in parameter.opts]
    assert option in names


def test_a_builder_is_given_a_folder_and_a_dockerfile() -> None:
    assert {"bento", "enable_buildkit"} <= set(inspect.signature(construct_containerfile).parameters)
    assert callable(bentoml_adapter.containerfile)
