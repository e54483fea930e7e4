"""Kedro's settings."""

import os

from thresher.config_loader import RecipeConfigLoader
from thresher.hooks import ProgressHooks, RecipeHooks, TrackingHooks

# By default torch's threads wait for each other by spinning. Where anything else wants the cores, that makes training
# 20 to 50 times slower; sleeping costs nothing on idle ones. Read when torch is imported, so it is said before.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

CONFIG_LOADER_CLASS = RecipeConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "config_patterns": {"mlflow": ["mlflow*"]},
}
# In Kedro, the last one registered is called first: progress speaks before MLflow is waited for.
HOOKS = (TrackingHooks(), ProgressHooks(), RecipeHooks())
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry",)
