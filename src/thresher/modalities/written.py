"""Raw samples as a JSON document writes them: the other way of `Encoder.encode_json`."""

from __future__ import annotations

from typing import Any

import numpy as np

from thresher.modalities.samples import Inputs
from thresher.modalities.tabular.table import Table


def write_json(inputs: Inputs, index: int) -> Any:
    """Return the raw sample ``index`` of ``inputs`` as a JSON document writes it."""
    if isinstance(inputs, Table):
        return {name: _or_null(column[index]) for name, column in inputs.columns.items()}
    sample = inputs[index]
    if isinstance(sample, str):
        return sample
    if sample.ndim == 3:  # an image: channels stand first here, and last in JSON
        return sample[0].tolist() if len(sample) == 1 else np.moveaxis(sample, 0, -1).tolist()
    steps = [[_or_null(value) for value in step] for step in sample]
    return [step[0] for step in steps] if sample.shape[1] == 1 else steps


def _or_null(value: Any) -> Any:
    """Return a number or a text of Python's own; None where it is missing."""
    if value is None or value != value:
        return None
    return value if isinstance(value, str) else float(value)
