"""The one console that everything in a run prints to: a bar and lines on two would tear each other up."""

import sys

from rich.console import Console

# The process's own stdout, not whatever is sys.stdout at the time: exporters are silenced by redirecting that, and
# with ThreadRunner one node's silence would swallow the lines of another.
console = Console(file=sys.stdout)
if not console.is_terminal:  # a log file has no width to keep to
    console.width = 160
