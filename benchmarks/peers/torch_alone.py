"""The float model as torch itself exports it: what the other tools begin with that want attention as they know it.

Run by `compression.py` in the peers' environment. Of Thresher it takes the float network alone, as a module of torch.
"""

from __future__ import annotations

import sys
from pathlib import Path

from exporting import export, load_float
from making import Task


def main(folder: Path) -> None:
    """Write `torch_float.onnx` beside `float.onnx`."""
    task = Task(folder)
    task.make_each("torch", {"float": lambda target: write(task, target)})


def write(task: Task, target: Path) -> None:
    """Write the float model."""
    model = load_float(task)
    export(task, model.prepare, model.body, target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
