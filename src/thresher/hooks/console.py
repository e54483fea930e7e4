"""The one console that everything in a run prints to: a bar and lines on two would tear each other up."""

from rich.console import Console

console = Console()
if not console.is_terminal:  # a log file has no width to keep to
    console.width = 160
