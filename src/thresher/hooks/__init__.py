"""What watches a run: progress in the terminal, and MLflow. Hooks observe and never change data."""

from thresher.hooks.caching import RecordingHooks
from thresher.hooks.progress import ProgressHooks
from thresher.hooks.recipe import RecipeHooks
from thresher.hooks.tracking import TrackingHooks

__all__ = ["ProgressHooks", "RecipeHooks", "RecordingHooks", "TrackingHooks"]
