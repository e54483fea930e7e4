"""Kedro's settings."""

from thresher.config_loader import RecipeConfigLoader
from thresher.hooks import ProgressHooks, RecipeHooks, TrackingHooks

CONFIG_LOADER_CLASS = RecipeConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "config_patterns": {"mlflow": ["mlflow*"]},
}
# In Kedro, the last one registered is called first: progress speaks before MLflow is waited for.
HOOKS = (TrackingHooks(), ProgressHooks(), RecipeHooks())
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry",)
