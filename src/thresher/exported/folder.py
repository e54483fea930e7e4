"""A bundle as a folder of files that need nothing of Thresher."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from thresher.errors import ThresherError
from thresher.exported.code import has_code, write_code
from thresher.serving.core.bundle import (
    ENCODER_FILE,
    INFO_FILE,
    MODEL_FILE,
    PROFILE_FILE,
    SUMS_FILE,
    Bundle,
    write_bundle,
)
from thresher.serving.core.session import open_session

SAMPLES_FILE, ANSWERS_FILE = "samples.json", "answers.json"
ABOUT = {
    MODEL_FILE: "the model, for any runtime of ONNX",
    ENCODER_FILE: "how a sample becomes the model's input, and the classes",
    INFO_FILE: "where the model comes from, what was measured of it, its threads and batch size",
    "predictor.py": "answers with numpy and ONNX Runtime alone",
    "encode.py": "makes the model's input; predictor.py imports it",
    "requirements.txt": "the packages that both need, as they were tested",
    SAMPLES_FILE: "one sample as JSON writes it",
    ANSWERS_FILE: "what the model answers to it: compare with this where you write a predictor of your own",
    "card.md": "the model card",
    "verdict.json": "all candidates, and why this one won",
    PROFILE_FILE: "histograms of the training data, to look for drift",
    "example.json": "a sample of the test data with its answer, as the service shows it",
    SUMS_FILE: "the SHA-256 of all others: sha256sum --check SHA256SUMS",
}
"""File -> what it is."""


class ExportError(ThresherError):
    """A champion that cannot be taken out."""


def write_export(bundle: Bundle, folder: Path) -> None:
    """Write all files of ``bundle``, with a predictor that imports nothing of Thresher, into ``folder``."""
    modality = str(bundle.encoder.kind)
    if not has_code(modality):
        raise ExportError(
            f"There is no exported encoder of the modality '{modality}'. Fix: serve it by thresher serve."
        )
    write_bundle(folder, bundle.onnx_bytes, bundle.encoder, bundle.info, bundle.attachments)
    write_code(folder, modality)
    names = ["numpy", "onnxruntime", *bundle.encoder.REQUIREMENTS]
    (folder / "requirements.txt").write_text("".join(f"{name}=={version(name)}\n" for name in names))
    example = bundle.encoder.example()
    outputs = open_session(bundle).run(bundle.encoder.encode_json(example))
    (folder / SAMPLES_FILE).write_text(json.dumps([example]) + "\n", encoding="utf-8")
    (folder / ANSWERS_FILE).write_text(json.dumps(outputs.tolist()) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(_readme(bundle, folder), encoding="utf-8")
    written = sorted(path for path in folder.iterdir() if path.name != SUMS_FILE)
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in written)
    (folder / SUMS_FILE).write_text(sums, encoding="utf-8")


def _readme(bundle: Bundle, folder: Path) -> str:
    info, encoder, taken = bundle.info, bundle.encoder, bundle.encoder.model_input
    there = [name for name in ABOUT if (folder / name).exists() or name == SUMS_FILE]
    files = "\n".join(f"| `{name}` | {ABOUT[name]} |" for name in there)
    shape: list[Any] = ["N", *("T" if size is None else size for size in taken.shape)]
    metrics = "\n".join(f"| {name} | {value:.6g} |" for name, value in sorted(info.metrics.items()))
    num_classes = len(encoder.class_names)
    answer = f"`probabilities`, float32 [N, {num_classes}]" if num_classes else "`value`, float64 [N, 1]"
    return f"""# {info.recipe}, version {info.model_version}

Candidate `{info.candidate}`, MLflow run `{info.mlflow_run_id}`, git commit `{info.git_commit}`.
It was trained on data with the SHA-256 `{info.data_hash}`.

```sh
pip install -r requirements.txt
python predictor.py {SAMPLES_FILE}      # a list of samples in JSON
```

```python
from predictor import Predictor

print(Predictor().predict(samples))     # raises a ValueError for a sample that the model cannot take
```

One sample is {encoder.expected}.

For another language: the graph takes `{taken.name}`, {taken.dtype} {shape}, and gives {answer}; `encode.py` is what has
to be written anew, and `{ANSWERS_FILE}` what has to come out of `{SAMPLES_FILE}`.

| file | |
| --- | --- |
{files}

## What was measured

| | |
| --- | --- |
{metrics}
"""
