"""What the recipes reach on their official test data, the median of three seeds: tables of docs/results.md.

Each training is done once: a run that was interrupted goes on with the next. `make reproduce` calls it. With
`--project` nothing is trained: the runs that another project has tracked are entered.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from thresher.machine import describe_machine
from thresher.recipe.reading import read_recipe

PROJECT = Path(__file__).parents[1]
RESULTS = PROJECT / "data" / "08_reporting" / "reproduction"
PAGE = PROJECT / "docs" / "results.md"
PACKAGES = ("torch", "onnxruntime", "numpy", "kedro", "mlflow")
SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class Goal:
    """What a recipe must reach, on which data, within how many minutes for one seed."""

    recipe: str
    fetch: tuple[str, ...]
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


TABLES = {
    "results": (
        Goal("gradient_descent", (), "excess_loss", 0.001, 1),
        Goal("stochastic_gradient_descent", (), "excess_loss", 0.001, 1),
        Goal("adam", (), "excess_loss", 0.001, 1),
        Goal("power_cnn", ("italy_power_demand",), "accuracy", 0.95, 2),
        Goal("vowels_gru", ("japanese_vowels",), "accuracy", 0.96, 2),
        Goal("trec_textcnn", ("trec",), "accuracy", 0.88, 5),
        Goal("trec_lstm", ("trec",), "accuracy", 0.86, 5),
        Goal("trec_transformer", ("trec",), "accuracy", 0.84, 5),
        Goal("adult_mlp", ("adult",), "accuracy", 0.855, 5),
        Goal("california_housing", ("california_housing",), "r2", 0.80, 5),
        Goal("fashion_mnist_resnet", ("fashion_mnist",), "accuracy", 0.93, 45),
    ),
    "results of pretrained": (
        Goal("sst2_minilm", ("sst2", "minilm"), "accuracy", 0.90, 45),
        Goal("trec_minilm", ("trec", "minilm"), "accuracy", 0.96, 45),
        Goal("clothes_efficientnet", ("fashion_mnist", "efficientnet_lite0"), "accuracy", 0.93, 45),
    ),
}
"""Place in docs/results.md -> the goals of its table."""
GOALS = tuple(goal for goals in TABLES.values() for goal in goals)


def main() -> None:
    """Do what is left to do, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipes", nargs="+", choices=[goal.recipe for goal in GOALS], help="these alone")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--from", dest="folder", type=Path, help="a folder with one folder of raw files a data set")
    parser.add_argument("--fresh", action="store_true", help="train again what is done already")
    parser.add_argument("--project", type=Path, help="train nothing: enter the runs in the MLflow of this project")
    arguments = parser.parse_args()
    goals = [goal for goal in GOALS if goal.recipe in (arguments.recipes or recipes_of(arguments.project or PROJECT))]
    for goal in goals:
        if arguments.project:
            enter(goal, arguments.project, arguments.seeds)
        else:
            train_each(goal, arguments)
    for place, table in TABLES.items():
        if set(table) & set(goals) and (lines := list(rows(table))):
            put_between(*marks(place), [*lines, "", *settings(table)])


def recipes_of(project: Path) -> set[str]:
    """Return the recipes that a project has: one that needs a package of kinds stands in that package's own folder."""
    return {file.stem for file in (project / "pipelines").glob("*.yml")}


def find_file(recipe: str) -> Path:
    """Return the file of a recipe of this repository."""
    folders = (PROJECT, PROJECT / "examples" / "plugin")
    return next(folder / "pipelines" / f"{recipe}.yml" for folder in folders if recipe in recipes_of(folder))


def marks(place: str) -> tuple[str, str]:
    """Return what stands before and after a table on the page."""
    return f"<!-- {place}: begin -->", f"<!-- {place}: end -->"


def train_each(goal: Goal, arguments: argparse.Namespace) -> None:
    """Train with each seed what was not trained yet."""
    fetch(goal.fetch, arguments.folder)
    # The first seed last: what lies in data/ and in MLflow at the end is that of the recipe as it stands.
    for seed in sorted(arguments.seeds, reverse=True):
        if arguments.fresh or not (RESULTS / goal.recipe / f"{seed}.json").exists():
            keep(goal.recipe, seed, reproduce(goal, seed))


def keep(recipe: str, seed: int, result: dict[str, Any]) -> None:
    """Write down what one training has reached."""
    write_file(RESULTS / recipe / f"{seed}.json", json.dumps(result))


def write_file(file: Path, text: str) -> None:
    """Write ``text`` to ``file``, whose folder is made where it is missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def enter(goal: Goal, project: Path, seeds: Iterable[int]) -> None:
    """Keep what the newest training with each seed has reached that ``project`` has tracked."""
    from tracked import read_trainings

    recipe = read_recipe(find_file(goal.recipe))
    found = read_trainings(project, goal.recipe, recipe, goal.metric)
    for seed in seeds:
        if seed in found:
            keep(goal.recipe, seed, found[seed])
        said = f"run {found[seed]['run']}" if seed in found else "no training of it; what was entered before stays"
        print(f"{goal.recipe}, seed {seed}: {said}")


def fetch(names: Iterable[str], folder: Path | None) -> None:
    """Get the raw data sets ``names``, those that are not there yet."""
    for name in names:
        if not (PROJECT / "data" / "01_raw" / name).is_dir():
            source = folder / name if folder else None
            run("thresher", "fetch", name, *(["--from", str(source)] if source and source.is_dir() else []))


def reproduce(goal: Goal, seed: int) -> dict[str, Any]:
    """Train the float model with ``seed`` and return what it reaches."""
    seeded = ["--params", f"{goal.recipe}.training.seed={seed}"] if seed != recipe_seed(goal.recipe) else []
    began = time.monotonic()
    run(
        "kedro", "run", "--pipeline", goal.recipe, *seeded, "--to-outputs", f"{goal.recipe}.float.evaluation", "--fresh"
    )
    seconds = time.monotonic() - began
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return {"value": measure(goal), "seconds": seconds, "at": at, "setting": describe_setting()}


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
    """Print ``lines``, and put them into ``page`` between its marks; end where it has none."""
    head, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, ended, tail = rest.partition(end)
    if not (found and ended):
        sys.exit(f"{page.name} has no place for this table. Add these two lines to it:\n{begin}\n{end}")
    table = "\n".join(lines)
    page.write_text(f"{head}{begin}\n{table}\n{end}{tail}", encoding="utf-8")
    print(table)


def rows(table: Iterable[Goal]) -> Iterator[str]:
    """Yield the lines of a table; none where nothing of it was measured."""
    measured = {goal: done for goal in table if (done := results(goal))}
    if measured:
        yield "| recipe | metric | goal | median | of the seeds | minutes, the longest | allowed | |"
        yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for goal, done in measured.items():
        values, minutes = [one["value"] for one in done], max(one["seconds"] for one in done) / 60
        median = statistics.median(values)
        met = "reached" if goal.is_met(median) and minutes <= goal.minutes else "**missed**"
        sign = "at most" if goal.less_is_better else "at least"
        shown = ", ".join(map(goal.show, values))
        yield (
            f"| {goal.recipe} | {goal.metric} | {sign} {goal.bound:g} | {goal.show(median)} | {shown} "
            f"| {minutes:.1f} | {goal.minutes:g} | {met} |"
        )


def results(goal: Goal) -> list[dict[str, Any]]:
    """Return what its trainings have reached, by their seeds."""
    files = sorted((RESULTS / goal.recipe).glob("*.json"), key=lambda file: int(file.stem))
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def settings(table: Iterable[Goal]) -> list[str]:
    """Return what each of the trainings was measured on, every setting once."""
    return list(dict.fromkeys(one.get("setting") or describe_setting() for goal in table for one in results(goal)))


def describe_setting(machine: Mapping[str, str] | None = None, versions: Mapping[str, str] | None = None) -> str:
    """Return what was measured on: this machine and environment, if no other is given."""
    machine = describe_machine() if machine is None else machine
    versions = {name: version(name) for name in PACKAGES} if versions is None else versions
    where = f"{machine['processor']}, {machine['cores']} cores, {machine['system']}"
    shown = ", ".join(f"{name} {number}" for name, number in versions.items())
    return f"{where}; Python {machine['python']}, {shown}."


if __name__ == "__main__":
    main()
