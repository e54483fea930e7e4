"""What the recipes reach on their official test data, the median of three seeds: the first table of docs/results.md.

Each training is done once: a run that was interrupted goes on with the next. `make reproduce` calls it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from thresher.machine import describe_machine

PROJECT = Path(__file__).parents[1]
RESULTS = PROJECT / "data" / "08_reporting" / "reproduction"
PAGE = PROJECT / "docs" / "results.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
PACKAGES = ("torch", "onnxruntime", "numpy", "kedro", "mlflow")
SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class Goal:
    """What a recipe must reach, on which data, within how many minutes for one seed."""

    recipe: str
    fetch: str | None
    metric: str
    bound: float
    minutes: float

    @property
    def less_is_better(self) -> bool:
        return self.metric == "excess_loss"

    def show(self, value: float) -> str:
        return f"{value:.0e}" if self.less_is_better else f"{value:.4f}"

    def is_met(self, value: float) -> bool:
        return value <= self.bound if self.less_is_better else value >= self.bound


GOALS = (
    Goal("gradient_descent", None, "excess_loss", 0.001, 1),
    Goal("stochastic_gradient_descent", None, "excess_loss", 0.001, 1),
    Goal("adam", None, "excess_loss", 0.001, 1),
    Goal("power_cnn", "italy_power_demand", "accuracy", 0.95, 2),
    Goal("vowels_gru", "japanese_vowels", "accuracy", 0.96, 2),
    Goal("trec_textcnn", "trec", "accuracy", 0.88, 5),
    Goal("trec_lstm", "trec", "accuracy", 0.86, 5),
    Goal("trec_transformer", "trec", "accuracy", 0.84, 5),
    Goal("adult_mlp", "adult", "accuracy", 0.855, 5),
    Goal("california_housing", "california_housing", "r2", 0.80, 5),
    Goal("fashion_mnist_resnet", "fashion_mnist", "accuracy", 0.93, 45),
)


def main() -> None:
    """Do what is left to do, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipes", nargs="+", choices=[goal.recipe for goal in GOALS], help="these alone")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--from", dest="folder", type=Path, help="a folder with one folder of raw files a data set")
    parser.add_argument("--fresh", action="store_true", help="train again what is done already")
    arguments = parser.parse_args()
    goals = [goal for goal in GOALS if not arguments.recipes or goal.recipe in arguments.recipes]
    for goal in goals:
        if goal.fetch is not None:
            fetch(goal.fetch, arguments.folder)
        # The first seed last: what lies in data/ and in MLflow at the end is that of the recipe as it stands.
        for seed in sorted(arguments.seeds, reverse=True):
            file = RESULTS / goal.recipe / f"{seed}.json"
            if arguments.fresh or not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(json.dumps(reproduce(goal, seed)))
    put_between(BEGIN, END, [*rows(), "", describe_setting()])


def fetch(data: str, folder: Path | None) -> None:
    """Get the raw data set ``data``, where it is not there yet."""
    if (PROJECT / "data" / "01_raw" / data).is_dir():
        return
    source = folder / data if folder else None
    run("thresher", "fetch", data, *(["--from", str(source)] if source and source.is_dir() else []))


def reproduce(goal: Goal, seed: int) -> dict[str, Any]:
    """Train the float model with ``seed`` and return what it reaches."""
    seeded = ["--params", f"{goal.recipe}.training.seed={seed}"] if seed != recipe_seed(goal.recipe) else []
    began = time.monotonic()
    run(
        "kedro", "run", "--pipeline", goal.recipe, *seeded, "--to-outputs", f"{goal.recipe}.float.evaluation", "--fresh"
    )
    seconds = time.monotonic() - began
    return {"value": measure(goal), "seconds": seconds, "at": datetime.now(UTC).isoformat(timespec="seconds")}


def recipe_seed(recipe: str) -> int:
    """Return the seed that stands in the recipe."""
    seed: int = yaml.safe_load((PROJECT / "pipelines" / f"{recipe}.yml").read_text())["training"]["seed"]
    return seed


def measure(goal: Goal) -> float:
    """Return the metric of ``goal`` from what the last run left."""
    if goal.metric == "excess_loss":
        return excess_loss(goal.recipe)
    evaluation = json.loads((PROJECT / "data" / "08_reporting" / goal.recipe / "float" / "evaluation.json").read_text())
    value: float = evaluation["quality"][goal.metric]
    return value


def excess_loss(recipe: str) -> float:
    """Return by which share the training loss lies above the closed-form least-squares solution's."""
    import torch

    from thresher.datasets.local import SamplesDataset
    from thresher.datasets.networks import NetworkDataset

    samples = SamplesDataset(str(PROJECT / "data" / "05_model_input" / recipe / "training_samples")).load()
    network = NetworkDataset(str(PROJECT / "data" / "06_models" / recipe / "float" / "network")).load()
    rows, labels = np.array(samples.inputs), samples.labels
    with torch.inference_mode():
        answers = network.predict(torch.from_numpy(rows)).double().numpy()[:, 0]
    with_constant = np.column_stack([rows.astype(np.float64), np.ones(len(rows))])
    solution, *_ = np.linalg.lstsq(with_constant, labels, rcond=None)
    least = np.mean((with_constant @ solution - labels) ** 2)
    return float(np.mean((answers - labels) ** 2) / least - 1)


def run(*command: str) -> None:
    """Run a command of this environment; end with its exit code where it fails."""
    code = subprocess.run([str(Path(sys.executable).parent / command[0]), *command[1:]], cwd=PROJECT).returncode
    if code:
        sys.exit(code)


def put_between(begin: str, end: str, lines: Iterable[str], page: Path = PAGE) -> None:
    """Print ``lines``, and put them into ``page`` between its marks."""
    head, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, _, tail = rest.partition(end)
    table = "\n".join(lines)
    page.write_text(f"{head}{begin}\n{table}\n{end}{tail}", encoding="utf-8")
    print(table)


def rows() -> Iterator[str]:
    """Yield the table's lines."""
    yield "| recipe | metric | goal | median | of the seeds | minutes, the longest | allowed | |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for goal in GOALS:
        done = [json.loads(file.read_text()) for file in sorted((RESULTS / goal.recipe).glob("*.json"))]
        if done:
            values, minutes = [run["value"] for run in done], max(run["seconds"] for run in done) / 60
            median = statistics.median(values)
            met = "reached" if goal.is_met(median) and minutes <= goal.minutes else "**missed**"
            sign = "at most" if goal.less_is_better else "at least"
            shown = ", ".join(map(goal.show, values))
            yield (
                f"| {goal.recipe} | {goal.metric} | {sign} {goal.bound:g} | {goal.show(median)} | {shown} "
                f"| {minutes:.1f} | {goal.minutes:g} | {met} |"
            )


def describe_setting() -> str:
    """Return what was measured on."""
    machine = describe_machine()
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    where = f"{machine['processor']}, {machine['cores']} cores, {machine['system']}"
    return f"{where}; Python {machine['python']}, {versions}."


if __name__ == "__main__":
    main()
