"""An exported recurrent network is bound to no example's length or batch: alone or padded, the answer stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from thresher.evaluation.runtime import open_session
from thresher.export import export_onnx
from thresher.modalities.outputs import ClassOutput
from thresher.modalities.series.model_input import SeriesInput
from thresher.models import ModelChoice
from thresher.models.network import Network, NetworkSpec

SERIES = SeriesInput(channels=2, max_length=30, mean=(0.0, 0.0), std=(1.0, 1.0))


@pytest.mark.oddity(
    "Compression and training",
    "a series alone, or padded in a batch of any size",
    "The exported model answers the same",
)
@pytest.mark.parametrize("kind", ["gru", "lstm"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
def test_alone_and_in_a_padded_batch_the_answers_agree(kind: str, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = ModelChoice.model_validate({"kind": kind, "hidden": 8, **options}).root
    file = export_onnx(Network(NetworkSpec(model=model, input=SERIES, output=ClassOutput(num_classes=2))).eval())
    session, random = open_session(file, 1), np.random.default_rng(0)
    for count in (1, 2, 7):
        series = [random.normal(size=(1, int(random.integers(1, 31)), 2)).astype(SERIES.dtype) for _ in range(count)]
        longest = max(each.shape[1] for each in series) + 3
        padded = [
            np.pad(each, ((0, 0), (0, longest - each.shape[1]), (0, 0)), constant_values=np.nan) for each in series
        ]
        alone = np.concatenate([session.run(None, {SERIES.name: each})[0] for each in series])
        (together,) = session.run(None, {SERIES.name: np.concatenate(padded)})
        np.testing.assert_allclose(alone, together, atol=1e-5)
