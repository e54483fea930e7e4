"""Great Expectations: the schemas that lie in its package, and expectations that run on a table in memory.

It is imported inside the functions that run something: that takes 15 s.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def gx_version() -> str:
    """Return the version that is installed."""
    import great_expectations

    return str(great_expectations.__version__)


@cache
def class_names() -> dict[str, str]:
    """Return the class of every expectation that can run on a pandas table, by the expectation's name."""
    index = json.loads((_schema_folder() / "index.json").read_text(encoding="utf-8"))["expectations"]
    return {
        name: Path(entry["schema_file"]).stem
        for name, entry in index.items()
        if "Pandas" in entry["supported_data_sources"]
    }


@cache
def load_schema(expectation: str) -> dict[str, Any]:
    """Return the JSON schema of ``expectation``, which must be in ``class_names()``."""
    schema = json.loads((_schema_folder() / f"{class_names()[expectation]}.json").read_text(encoding="utf-8"))
    assert isinstance(schema, dict)
    return schema


def _schema_folder() -> Path:
    spec = importlib.util.find_spec("great_expectations")
    assert spec is not None, "great-expectations is not installed"
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "expectations" / "core" / "schemas"


def build_expectation(name: str, arguments: Mapping[str, Any], order: int) -> Any:
    """Return the expectation ``name`` with ``arguments``; its result will be known by ``order``.

    Raises:
        Exception: of any type, where Great Expectations refuses the arguments.
    """
    import great_expectations.expectations as gx_expectations

    return getattr(gx_expectations, class_names()[name])(**arguments, meta={"order": order})


def run_expectations(
    table: pd.DataFrame, expectations: Iterable[Any], result_format: Mapping[str, Any]
) -> dict[int, dict[str, Any]]:
    """Return the result of each of ``expectations`` on ``table``, as JSON, by the order that it was built with."""
    import great_expectations as gx

    context = in_memory_context()
    source = context.data_sources.add_pandas("samples").add_dataframe_asset("sample table")
    batch = source.add_batch_definition_whole_dataframe("all samples")
    suite = gx.ExpectationSuite(name="contract")
    # Not add_expectation: it drops what differs from an earlier one in its wording alone.
    suite.expectations.extend(expectations)
    context.suites.add(suite)
    definition = context.validation_definitions.add(gx.ValidationDefinition(name="contract", data=batch, suite=suite))
    validation = definition.run(batch_parameters={"dataframe": table}, result_format=dict(result_format))
    return {result.expectation_config.meta["order"]: result.to_json_dict() for result in validation.results}


def in_memory_context() -> Any:
    """Return a context that lives in memory: no gx/ folder, no temporary folder, no progress bars, no reports."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    return gx.get_context(mode="ephemeral", project_config=config)
