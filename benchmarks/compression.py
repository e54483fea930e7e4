"""What compression makes of one trained model here, and with ONNX Runtime's quantizer, NNCF, Olive and Torch-Pruning.

All start from the float model that a run of the recipe left, on the same samples, and all files are judged by the same
code in one run. The peers are installed apart, in benchmarks/.peers; what they have made once is kept there.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import yaml
from reproduce import put_between

from thresher.datasets.local import SamplesDataset
from thresher.evaluation import Measurement
from thresher.evaluation.evaluation import Contender, Evaluation, evaluate
from thresher.evaluation.metrics import format_value, measure_metrics
from thresher.evaluation.runtime import open_session, predict
from thresher.evaluation.statistics import Interval
from thresher.machine import describe_machine
from thresher.modalities import read_encoder
from thresher.models import FLOAT

HERE = Path(__file__).parent
PROJECT = HERE.parent
DATA = PROJECT / "data"
ENVIRONMENT = HERE / ".peers" / "venv"
PACKAGES = ("nncf==3.4.0", "olive-ai==0.13.0", "requests")
PEERS = ("onnxruntime_alone", "nncf_alone", "olive_alone")
TOOLS = {"onnxruntime": "ONNX Runtime", "nncf": "NNCF", "olive": "Olive", "torch_pruning": "Torch-Pruning"}
"""How the name of a file begins -> who has made it."""
PAGE = PROJECT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- compression: begin -->", "<!-- compression: end -->"
CALIBRATION_SAMPLES = 512
EPOCHS, LR = 5, 0.001
OURS = "Thresher"


@dataclass(frozen=True)
class Point:
    """One file, judged.

    Attributes:
        metrics: as the verdict has them, beside float.
    """

    name: str
    tool: str
    metrics: dict[str, Interval]

    def dominates(self, other: Point, sizes: tuple[int, ...]) -> bool:
        """Return whether this one is nowhere worse, and somewhere better: accuracy, size, speed at each batch size."""
        signs = {"accuracy": 1, "size_bytes": -1, **{f"speedup_batch{size}": 1 for size in sizes}}
        gains = [sign * (self.metrics[name].value - other.metrics[name].value) for name, sign in signs.items()]
        return min(gains) >= 0 and max(gains) > 0


def main() -> None:
    """Have the peers make their files, judge all, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", nargs="?", default="fashion_mnist_budget")
    parser.add_argument("--fresh", action="store_true", help="let the peers make their files again")
    parser.add_argument("--seconds", type=float, default=4.0, help="of timing, for each file and batch size")
    arguments = parser.parse_args()
    recipe = arguments.recipe
    if not (DATA / "08_reporting" / recipe / "verdict.json").exists():
        sys.exit(f"No run of {recipe} in {DATA}. Run: kedro run --pipeline {recipe}")
    folder = HERE / ".peers" / recipe
    if arguments.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    make_peers(recipe, folder)
    settings = yaml.safe_load((PROJECT / "pipelines" / f"{recipe}.yml").read_text())["evaluation"]
    measurement = Measurement.model_validate({**settings, "seconds": arguments.seconds, "rounds": 60})
    points = list(judge(recipe, folder, measurement))
    put_between(BEGIN, END, [*table(recipe, points, measurement), "", setting(measurement)], PAGE)


def make_peers(recipe: str, folder: Path) -> None:
    """Let every peer write its files into ``folder``, unless it has."""
    source = DATA / "06_models" / recipe / FLOAT
    samples = DATA / "05_model_input" / recipe / "training_samples"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "model.onnx", folder / "float.onnx")
    inputs = np.load(samples / "inputs.npy", mmap_mode="r")
    chosen = np.random.default_rng(1).choice(len(inputs), CALIBRATION_SAMPLES, replace=False)
    np.save(folder / "calibration.npy", inputs[np.sort(chosen)])
    name = encoder_of(recipe).model_input.name
    finetune = {"epochs": EPOCHS, "lr": LR, "name": name}
    finetune |= {kind: str(samples / f"{kind}.npy") for kind in ("inputs", "labels")}
    (folder / "finetune.json").write_text(json.dumps(finetune))
    install()
    for peer in PEERS:
        run_once(
            folder, peer, [str(ENVIRONMENT / "bin" / "python"), str(HERE / "peers" / f"{peer}.py"), str(folder), name]
        )
    by_hand = str(HERE / "peers" / "torch_pruning_by_hand.py")
    run_once(folder, "torch_pruning_by_hand", [sys.executable, by_hand, str(folder), str(source / "network")])


def install() -> None:
    """Make the peers' environment, with this project's versions of torch, onnx and ONNX Runtime."""
    if (ENVIRONMENT / "ready").exists():
        return
    print("Installing the peers", flush=True)
    own = [f"{name}=={version(name).partition('+')[0]}" for name in ("torch", "onnx", "onnxruntime")]
    uv = str(Path(sys.executable).parent / "uv")
    subprocess.run([uv, "venv", "--clear", "--quiet", str(ENVIRONMENT)], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", str(ENVIRONMENT / "bin" / "python")]
    # A build of torch that lies on the machine comes first: the plain one brings gigabytes of CUDA.
    links = os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS")
    subprocess.run([*install, *own, *PACKAGES, *(["--find-links", links] if links else [])], check=True)
    (ENVIRONMENT / "ready").touch()


def run_once(folder: Path, peer: str, command: list[str]) -> None:
    """Run ``command``, which writes the files of ``peer``, unless it was done before."""
    done = folder / f"{peer}.done"
    if done.exists():
        return
    print(f"{peer} ...", flush=True)
    with (folder / f"{peer}.log").open("w") as log:
        # CI: some of the peers send telemetry elsewhere.
        code = subprocess.run(command, stdout=log, stderr=log, env={**os.environ, "CI": "1"}).returncode
    if code:
        sys.exit(f"{peer} failed: see {log.name}")
    done.touch()


def judge(recipe: str, folder: Path, measurement: Measurement) -> Iterator[Point]:
    """Yield every file's figures on the test split, float's first."""
    encoder, samples = encoder_of(recipe), DATA / "05_model_input" / recipe / "test_samples"
    test = SamplesDataset(str(samples)).load()
    ours = {path.parent.name: (OURS, path) for path in sorted((DATA / "06_models" / recipe).glob("*/model.onnx"))}
    theirs = {path.stem: (tool_of(path.stem), path) for path in sorted(folder.glob("*.onnx"))}
    tools = {"float": (OURS, ours.pop(FLOAT)[1]), **ours, **{name: it for name, it in theirs.items() if name != FLOAT}}
    made: dict[str, Contender] = {}
    baseline: Evaluation | None = None
    for name, (tool, path) in tools.items():
        content = path.read_bytes()
        if not content.startswith(b"{"):  # a candidate that failed has its reason there
            outputs = predict(open_session(content, measurement.threads), test.inputs, encoder.model_input)
            made[name] = Contender(content, test.inputs, encoder.model_input, name, outputs)
            result = evaluate(made[name], made[FLOAT], test.labels, measurement, describe_machine())
            baseline = baseline or result
            print(
                f"{name}: accuracy {result.quality.figures['accuracy']:.4f}, {len(content) / 1000:.1f} kB", flush=True
            )
            yield Point(name, tool, measure_metrics(result, baseline, 0.95))


def tool_of(name: str) -> str:
    """Return which peer has made the file ``name``."""
    return next(tool for start, tool in TOOLS.items() if name.startswith(start))


def table(recipe: str, points: list[Point], measurement: Measurement) -> Iterator[str]:
    """Yield the table, the smallest file last, and who dominates Thresher's winner."""
    sizes = measurement.batch_sizes
    winner = json.loads((DATA / "08_reporting" / recipe / "verdict.json").read_text())["winner"]
    yield f"`{recipe}`; the verdict's winner is **{winner}**.\n"
    yield (
        "| file | by | accuracy | drop [interval] | kB |"
        + "".join(f" batch {size} |" for size in sizes)
        + " dominated by |"
    )
    yield "| --- | --- | ---: | --- | ---: |" + " ---: |" * len(sizes) + " --- |"
    for point in sorted(points, key=lambda each: -each.metrics["size_bytes"].value):
        by = [other.name for other in points if other.dominates(point, sizes)]
        drop = point.metrics["accuracy_drop"]
        shown = f"{drop.value:+.4f} [{drop.lower:+.4f}, {drop.upper:+.4f}]"
        speeds = "".join(f" {format_value('speedup', point.metrics[f'speedup_batch{size}'].value)} |" for size in sizes)
        name = f"**{point.name}**" if point.name == winner else point.name
        size = f"{point.metrics['size_bytes'].value / 1000:.1f}"
        accuracy, by_whom = f"{point.metrics['accuracy'].value:.4f}", ", ".join(by)
        yield f"| {name} | {point.tool} | {accuracy} | {shown} | {size} |{speeds} {by_whom} |"
    ours = next(point for point in points if point.name == winner)
    better = [point.name for point in points if point.tool != OURS and point.dominates(ours, sizes)]
    yield f"\nPeers' files that dominate the winner: {', '.join(better) or 'none'}."


def setting(measurement: Measurement) -> str:
    """Return what was measured on."""
    machine = describe_machine()
    where = f"{machine['processor']}, {machine['cores']} cores, {measurement.threads} thread(s)"
    peers = ", ".join(package.replace("==", " ") for package in PACKAGES if "==" in package)
    own = ", ".join(f"{name} {version(name)}" for name in ("torch", "onnxruntime", "torch-pruning"))
    return f"{where}, {measurement.rounds} rounds in turns with float; {own}, {peers}."


def encoder_of(recipe: str):  # type: ignore[no-untyped-def]  # a union that has no name here
    """Return the encoder that the run of ``recipe`` has fitted."""
    return read_encoder((DATA / "04_feature" / recipe / "encoder.json").read_bytes())


if __name__ == "__main__":
    main()
