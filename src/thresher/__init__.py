"""Thresher: one recipe and a data set in; the smallest, fastest model that keeps its accuracy out."""

import os

__version__ = "0.1.0"

# Every dependency that phones home is told not to, before it is imported. A user who wants one back
# sets the variable: setdefault never overrides a choice.
for _name, _value in {
    "DO_NOT_TRACK": "true",
    "KEDRO_DISABLE_TELEMETRY": "true",
    "BENTOML_DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",  # it reports each table that it creates
    # It would watch what all threads read of the environment, and fail where another thread reads at the wrong moment.
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "ORT_DISABLE_TELEMETRY": "1",
}.items():
    os.environ.setdefault(_name, _value)

FROM_API = ("Project", "RecipeError", "Results", "ThresherError", "open_project")


def __getattr__(name: str) -> object:
    """Import what notebooks use once it is asked for: `import thresher` itself must cost nothing."""
    if name in FROM_API:
        from importlib import import_module

        return getattr(import_module("thresher.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Let editors and notebooks complete the names that are imported late."""
    return sorted({*globals(), *FROM_API})
