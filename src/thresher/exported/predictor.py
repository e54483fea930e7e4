"""Answers with the model of this folder: numpy and ONNX Runtime are all that it needs, and what encode.py imports.

python predictor.py samples.json   # a list of samples in JSON; prints a list of answers
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from thresher.exported.encode_tabular import encode


class Predictor:
    """The model of a folder."""

    def __init__(self, folder: Path = Path(__file__).parent) -> None:
        self.encoder = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
        self.info = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.info["threads"], 1
        providers = ["CPUExecutionProvider"]
        self.session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=providers)
        (self.input,) = self.session.get_inputs()

    def run(self, samples: list[Any]) -> np.ndarray:
        """Return probabilities [N, K], or values [N, 1]; raises a ValueError for a sample that is none."""
        if isinstance(samples, str | bytes | dict):
            raise ValueError("samples are given in a list, one alone too")
        size, outputs = self.info["max_batch_size"], []
        for start in range(0, len(samples), size):
            batch = encode(self.encoder, samples[start : start + size])
            if self.input.type == "tensor(float)":
                batch = batch.astype(np.float32, copy=False)
            outputs.append(self.session.run(None, {self.input.name: batch})[0])
        if not outputs or not np.isfinite(np.concatenate(outputs)).all():
            raise ValueError("no samples" if not outputs else "a sample has no finite answer: numbers too large")
        return np.concatenate(outputs)

    def predict(self, samples: list[Any]) -> list[dict[str, Any]]:
        """Return one answer a sample, as the service gives it."""
        outputs, names = self.run(samples), self.encoder["class_names"]
        if not names:
            return [{"value": value} for value in outputs[:, 0].tolist()]
        return [
            {"label": names[index], "class_index": index, "probabilities": dict(zip(names, row, strict=True))}
            for index, row in zip(outputs.argmax(axis=1).tolist(), outputs.tolist(), strict=True)
        ]


if __name__ == "__main__":
    content = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(json.dumps(Predictor().predict(content), indent=2))
