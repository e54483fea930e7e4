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
    """The model of a folder; its encoder and settings are those of the files there, where they are not given."""

    def __init__(self, folder: Path = Path(__file__).parent, encoder: Any = None, info: Any = None) -> None:
        self.encoder = encoder or json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
        self.info = info or json.loads((folder / "model.json").read_text(encoding="utf-8"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.info["threads"], 1
        provider, *entries = (self.info.get("execution") or "CPUExecutionProvider").split(",")
        for entry in entries:
            options.add_session_config_entry(*entry.split("=", 1))
        self.session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=[provider])
        if provider not in self.session.get_providers():
            raise RuntimeError(f"this build of ONNX Runtime has no {provider}")
        (self.input,) = self.session.get_inputs()

    def run(self, samples: list[Any]) -> np.ndarray:
        """Return probabilities [N, K], or values [N, 1]; raises a ValueError for a sample that is none."""
        if not isinstance(samples, list | np.ndarray):
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
            for index, row in zip(self.choose_classes(outputs).tolist(), outputs.tolist(), strict=True)
        ]

    def choose_classes(self, outputs: np.ndarray) -> np.ndarray:
        """Return the likeliest class of each sample [N], or the one that the threshold of model.json decides for."""
        rule = self.info.get("decision")
        if rule is None:
            return np.asarray(outputs.argmax(axis=1))
        index, rest = rule["class_index"], outputs.copy()
        rest[:, index] = -1
        said = outputs[:, index] >= np.float32(rule["threshold"])
        return np.asarray(np.where(said, index, rest.argmax(axis=1)))


def read_samples(path: str) -> Any:
    """Return what a file says in JSON; raises a ValueError where it is none, or says NaN or a key twice."""
    content = Path(path).read_text(encoding="utf-8")
    return json.loads(content, parse_constant=refuse, object_pairs_hook=read_object)


def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; raises a ValueError for a key that it has twice."""
    return dict(pairs) if len(dict(pairs)) == len(pairs) else refuse("a key that is given twice")


def refuse(what: str) -> Any:
    """Raise a ValueError for what other readers of JSON would understand otherwise, or not at all."""
    raise ValueError(f"{what} is no JSON")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python predictor.py samples.json")
    try:
        print(json.dumps(Predictor().predict(read_samples(sys.argv[1])), indent=2))
    except (OSError, ValueError) as error:
        sys.exit(f"{sys.argv[1]}: {error}. It must be a list of samples in JSON.")
