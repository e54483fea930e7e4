"""Heavy types by names that Kedro can resolve without importing what they stand for.

Kedro reads a node's annotations to type its parameters, when the pipeline is built: `kedro registry list`, and a
recipe's errors, must not wait for torch, pandas and matplotlib. For the same reason nodes import what needs
one of these within their functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from thresher.models.network import Network
    from thresher.training.checkpoints import Checkpoints
else:
    Checkpoints = DataFrame = Figure = Network = object

__all__ = ["Checkpoints", "DataFrame", "Figure", "Network"]
