"""What a contract can say of a vector."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from helpers.vector.encoder import VectorEncoding

from thresher.modalities.description import BETWEEN, Description, Rule
from thresher.modalities.samples import Samples

if TYPE_CHECKING:
    import pandas as pd


class VectorDescription(Description):
    COLUMNS = ("norm",)

    def describe(self, samples: Samples, encoding: VectorEncoding) -> pd.DataFrame:
        import pandas as pd

        assert isinstance(samples.inputs, np.ndarray)
        return pd.DataFrame({"norm": np.linalg.norm(samples.inputs, axis=1)})

    def rules(self, splits: dict[str, pd.DataFrame], columns: list[str], encoding: VectorEncoding) -> Iterable[Rule]:
        yield Rule(BETWEEN, {"column": "norm", "max_value": 100}, "No vector is long.", "shorten these.")
