"""A technique on the file may return anything: a candidate whose file cannot be run has its row, and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from accounts import REASON, make_account

from thresher.candidate_failure import CandidateFailure
from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.table import markdown_text
from thresher.modalities.samples import EncodedSamples
from thresher.pipelines.select.nodes import write_reports


def test_card_and_report_are_written_beside_a_file_that_is_none(
    evaluation: Callable[..., Evaluation], float_onnx: bytes
) -> None:
    account = make_account(evaluation, "classification")
    failed = CandidateFailure(candidate="broken", step="predict_test", reason=REASON)
    results: dict[str, Any] = {f"{name}.evaluation": each for name, each in account.evaluations.items()}
    results |= {f"{name}.onnx": float_onnx for name in account.evaluations}
    results |= {"broken.evaluation": failed, "broken.predictions": failed, "broken.onnx": b"no protocol buffer"}
    chains = {"half": "prune_channels", "int8": "quantize_static", "broken": "half"}
    steps: dict[str, dict[str, Any]] = {"prune_channels": {"ratio": 0.5}}
    results |= {
        f"{name}.chain": {"name": name, "from": "float", "steps": [{"kind": kind, **steps.get(kind, {})}]}
        for name, kind in chains.items()
    }
    told = (account.verdict, account.selection, account.fingerprint, "Digits", account.model, account.training)
    labels = np.array([0, 1])
    samples = EncodedSamples(np.zeros((2, 1, 8, 8), np.uint8), labels, ("zero", "one"))
    outputs = {f"{name}.predictions": np.eye(2, dtype=np.float32) for name in account.evaluations}
    card, page = write_reports(*told, account.training, account.measurement, samples, **results | outputs)
    assert markdown_text(REASON).replace("|", "\\|") in card
    assert "half (wins)" in card
    assert "leaves &lt;conv1&gt; without channels" in page
