"""Kedro's settings."""

import os

from thresher.config_loader import LOADER_ARGUMENTS, RecipeConfigLoader
from thresher.hooks import ProgressHooks, RecipeHooks, RecordingHooks, TrackingHooks
from thresher.session import IncrementalSession

# Torch's threads wait for each other by spinning, for milliseconds by GNU OpenMP's default: where anything else wants
# the cores, training nearly stands still. A short spin costs little on idle cores (docs/benchmarks.md). Read when torch
# is imported, so it is said before; a user's own OMP_WAIT_POLICY or GOMP_SPINCOUNT stays.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

SESSION_CLASS = IncrementalSession
CONFIG_LOADER_CLASS = RecipeConfigLoader
CONFIG_LOADER_ARGS = LOADER_ARGUMENTS
# In Kedro, the last one registered is called first: progress speaks before MLflow is waited for.
HOOKS = (TrackingHooks(), ProgressHooks(), RecipeHooks(), RecordingHooks())
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry",)
