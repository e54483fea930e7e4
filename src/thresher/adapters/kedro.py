"""Kedro: what datasets were made of, catalogs of which single entries may be wrong, and what sessions and logs do."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.config import OmegaConfigLoader
from kedro.io import AbstractDataset, AbstractVersionedDataset, CatalogProtocol, DatasetError
from kedro.io.core import get_protocol_and_path
from omegaconf import OmegaConf

if TYPE_CHECKING:
    from kedro.framework.session import KedroSession
    from kedro.runner import AbstractRunner
    from pluggy import PluginManager

Catalog = CatalogProtocol[Any, Any]
"""A catalog with datasets of any type."""

FAILED_NODE = "Node %s failed with error"
"""How Kedro's logger of nodes begins to say an error, with all of its text, before the error goes on to the command."""
ADVICE = ("You can resume the pipeline run from", "No nodes ran. Repeat the previous command")
"""What Kedro's runners advise."""
LOGGERS = (
    "kedro.pipeline.node",
    "kedro.runner.runner",
    "kedro.runner.sequential_runner",
    "kedro.runner.thread_runner",
    "kedro.runner.parallel_runner",
)
"""The loggers that say either."""


def dataset_arguments(dataset: AbstractDataset[Any, Any]) -> dict[str, Any]:
    """Return what ``dataset`` was made with, but for its credentials, `metadata` and version.

    `versioned` is True where Kedro keeps versions of it.
    """
    arguments, signature = dict(dataset._init_args), inspect.signature(type(dataset))  # type: ignore[attr-defined]
    # Of a class that inherits its __init__, Kedro has them as they were passed on.
    if {"args", "kwargs"} <= arguments.keys():
        arguments = dict(signature.bind(*arguments["args"], **arguments["kwargs"]).arguments)
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            arguments |= arguments.pop(parameter.name, {})
    if arguments.pop("version", None):
        arguments["versioned"] = True
    return {key: value for key, value in arguments.items() if key not in ("credentials", "metadata")}


def dataset_file(dataset: AbstractDataset[Any, Any]) -> Path | None:
    """Return the local file or folder that ``dataset`` reads now; None where it has none.

    Of a versioned one this is the version that it loads: the newest that is there now, unless one was asked for.
    """
    arguments = dataset_arguments(dataset)
    if not isinstance(arguments.get("filepath"), str | Path):
        return None
    protocol, path = get_protocol_and_path(str(arguments["filepath"]))
    if protocol != "file":
        return None
    if not isinstance(dataset, AbstractVersionedDataset) or not arguments.get("versioned"):
        return Path(path)
    dataset.release()  # or it would keep to the newest that it has found once, when another process has saved another
    try:
        return Path(path) / str(dataset.resolve_load_version()) / Path(path).name
    except DatasetError:  # there is none yet
        return Path(path)


class OptionsDataset(AbstractDataset[Any, Any]):
    """A dataset whose class takes its arguments as options; Kedro itself would write them as `kwargs`."""

    def given_options(self) -> dict[str, Any]:
        """Return the arguments that it was made with, as a catalog has them."""
        raise NotImplementedError

    def _init_config(self) -> dict[str, Any]:
        return {"type": f"{type(self).__module__}.{type(self).__name__}", **self.given_options()}


class LenientConfigLoader(OmegaConfigLoader):
    """Checks the catalog's entries one by one before they are resolved, where Kedro would refuse all of it for one."""

    unresolved: dict[str, str]
    """Entries that are left out, each with the reason."""

    def __init__(self, conf_source: str, env: str | None = None, *args: Any, **options: Any) -> None:
        self.unresolved = {}
        super().__init__(conf_source, env, *args, **options)

    def check_entry(self, catalog: Any, name: Any) -> str:
        """Return why the entry ``name`` of the unresolved ``catalog`` is left out of it; nothing where it stays."""
        return ""

    def _resolve_catalog_config(self, aggregate_config: Any) -> Any:
        merged = OmegaConf.unsafe_merge(*aggregate_config)
        for name in list(merged):
            if reason := self.check_entry(merged, name):
                self.unresolved[str(name)] = reason
                del merged[name]
        return super()._resolve_catalog_config([merged])


def hooks_of(session: KedroSession) -> PluginManager:
    """Return what calls the hooks of ``session``."""
    return session._hook_manager


def folder_of(session: KedroSession) -> Path:
    """Return the project that ``session`` is of."""
    return Path(session._project_path)


def run_through(runner: AbstractRunner, run: Callable[..., dict[str, Any]]) -> None:
    """Have ``runner`` call ``run``, with what its own method `run` takes, in place of that.

    Kedro asks of what class its runner is, so that one around it would not do.
    """
    runner.run = run  # type: ignore[method-assign]


def use_logging(settings: Mapping[str, Any]) -> None:
    """Log as ``settings``, the content of a conf/logging.yml, say from now on: Kedro has read another one, or none."""
    from kedro.framework import project

    project.LOGGING.configure(dict(settings))
