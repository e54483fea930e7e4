"""What compression reaches on the official test data, by whole runs: makes the second table of docs/results.md.

A run takes what earlier ones have left; `make reproduce` calls it after the trainings. With `--project` nothing is run:
the verdicts in another project's folder are entered. Pretrained models have tables of their own.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reproduce import PROJECT, RESULTS, describe_setting, fetch, marks, put_between, recipes_of, run, write_file

from thresher.models import FLOAT

REPORTS, ENTERED = PROJECT / "data" / "08_reporting", RESULTS / "verdicts"
VERDICT, SPEED = "verdict.json", "speedup_batch"


@dataclass(frozen=True)
class Want:
    """What one candidate of a recipe must reach at once, against the optimized float model.

    Attributes:
        smaller: float's file size over its own.
        faster: float's median latency over its own, at each of ``batch_sizes`` and one thread: the lower bound of its
            95 % interval must be above this; None where it may be slower.
        loss: the most that the 95 % upper bound of the accuracy drop may be.
    """

    recipe: str
    fetch: tuple[str, ...]
    smaller: float
    loss: float
    faster: float | None = None
    batch_sizes: tuple[int, ...] = (32,)

    def __str__(self) -> str:
        speeds: dict[float | None, str] = {None: "", 1: " and faster"}
        speed = speeds.get(self.faster, f" and {self.faster}x as fast")
        return f"{self.smaller:g}x smaller{speed}, drop at most {self.loss:g}"

    def is_met(self, figures: Figures) -> bool:
        """Return whether a candidate with these figures reaches all of it."""
        fast = self.faster
        is_fast = fast is None or all(figures.faster_lower[size] > fast for size in self.batch_sizes)
        return figures.smaller >= self.smaller and is_fast and figures.drop_upper <= self.loss


FASHION, SST2, TREC = ("fashion_mnist",), ("sst2", "minilm"), ("trec", "minilm")
CLOTHES, BOTH = ("fashion_mnist", "efficientnet_lite0"), (1, 32)
TABLES = {
    "compression": (
        Want("fashion_mnist_budget", FASHION, smaller=2, faster=1.25, loss=0.01),
        Want("fashion_mnist_budget", FASHION, smaller=7, loss=0.01),
        Want("fashion_mnist_resnet", FASHION, smaller=4, faster=2, loss=0.005),
        Want("fashion_mnist_resnet", FASHION, smaller=10, loss=0.005),
        Want("trec_transformer", ("trec",), smaller=3.5, faster=1, loss=0.005),
        Want("adult_mlp", ("adult",), smaller=3.5, faster=1, loss=0.005),
        Want("vowels_gru", ("japanese_vowels",), smaller=3.5, faster=1, loss=0.005),
    ),
    "compression of pretrained": (
        Want("sst2_minilm", SST2, smaller=4, faster=2.5, loss=0.01, batch_sizes=BOTH),
        Want("sst2_minilm", SST2, smaller=8, loss=0.01),
        Want("trec_minilm", TREC, smaller=8, faster=3, loss=0.02, batch_sizes=BOTH),
        Want("clothes_efficientnet", CLOTHES, smaller=4, faster=2, loss=0.01, batch_sizes=BOTH),
    ),
}
"""Place in docs/results.md -> what its recipes must reach."""
WANTS = tuple(want for wants in TABLES.values() for want in wants)


@dataclass(frozen=True)
class Figures:
    """One candidate on the test split, beside float.

    Attributes:
        faster: batch size -> float's median latency over its own.
        faster_lower: the lower bounds of their intervals.
    """

    candidate: str
    accuracy: float
    drop: float
    drop_upper: float
    size_bytes: float
    smaller: float
    faster: dict[int, float]
    faster_lower: dict[int, float]
    is_winner: bool


def main() -> None:
    """Run the recipes, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = list(dict.fromkeys(want.recipe for want in WANTS))
    parser.add_argument("--recipes", nargs="*", choices=names, help="run these alone; none: write")
    parser.add_argument("--from", dest="folder", type=Path, help="a folder with one folder of raw files a data set")
    parser.add_argument("--project", type=Path, help="run nothing: enter the verdicts in this project's folder")
    arguments = parser.parse_args()
    of_project = [name for name in names if name in recipes_of(arguments.project or PROJECT)]
    recipes = of_project if arguments.recipes is None else arguments.recipes
    for recipe in [] if arguments.project else recipes:
        fetch(next(want.fetch for want in WANTS if want.recipe == recipe), arguments.folder)
        run("kedro", "run", "--pipeline", recipe)
    if arguments.project:
        enter(arguments.project / "data" / "08_reporting", recipes)
    for place, wants in TABLES.items():
        of_table = list(dict.fromkeys(want.recipe for want in wants))
        verdicts = newest(of_table)
        if set(of_table) & set(recipes or names) and verdicts:
            put_between(*marks(place), [*rows(wants, verdicts), "", *settings(verdicts.values())])


def enter(reports: Path, recipes: Iterable[str]) -> None:
    """Keep the verdicts in ``reports`` for the tables."""
    found = read_verdicts(reports, recipes)
    for name in recipes:
        if name in found:
            write_file(ENTERED / name / VERDICT, json.dumps(found[name]))
        print(f"{name}: {'entered' if name in found else f'no verdict in {reports}'}")


def newest(recipes: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return recipe -> its newest verdict, of the last run here or as it was entered."""
    found: dict[str, dict[str, Any]] = {}
    for each in (read_verdicts(ENTERED, recipes), read_verdicts(REPORTS, recipes)):
        later = {name for name in each if name not in found or each[name]["measured"] > found[name]["measured"]}
        found |= {name: each[name] for name in later}
    return {name: found[name] for name in recipes if name in found}


def read_verdicts(reports: Path, recipes: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return recipe -> its verdict, of those that have one in ``reports``."""
    files = {recipe: reports / recipe / VERDICT for recipe in recipes}
    return {recipe: json.loads(file.read_text(encoding="utf-8")) for recipe, file in files.items() if file.exists()}


def settings(verdicts: Iterable[dict[str, Any]]) -> list[str]:
    """Return the machine of each verdict, every one once."""
    return list(dict.fromkeys(describe_setting(verdict["machine"]) for verdict in verdicts))


def rows(wants: Iterable[Want], verdicts: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield the table of what must be reached, and one of all candidates."""
    found = {recipe: read_figures(verdict) for recipe, verdict in verdicts.items()}
    yield "| recipe | in one candidate | by | |"
    yield "| --- | --- | --- | --- |"
    for want in wants:
        if want.recipe in found:
            by = [figures.candidate for figures in found[want.recipe] if want.is_met(figures)]
            yield f"| {want.recipe} | {want} | {', '.join(by)} | {'reached' if by else '**missed**'} |"
    for recipe, candidates in found.items():
        yield from candidate_rows(recipe, candidates)


def candidate_rows(recipe: str, candidates: list[Figures]) -> Iterator[str]:
    """Yield the table of one recipe's candidates; the winner is marked, what failed is named."""
    sizes = list(candidates[0].faster)
    yield f"\n`{recipe}`:\n"
    yield "| candidate | accuracy | drop | at most, 95 % | kB | smaller |" + "".join(f" batch {s} |" for s in sizes)
    yield "| --- |" + " ---: |" * (5 + len(sizes))
    for one in candidates:
        name = f"**{one.candidate}**" if one.is_winner else one.candidate
        speeds = "".join(f" {one.faster[size]:.2f}x |" for size in sizes)
        yield (
            f"| {name} | {one.accuracy:.4f} | {one.drop:.4f} | {one.drop_upper:.4f} | {one.size_bytes / 1000:.1f} "
            f"| {one.smaller:.1f}x |{speeds}"
        )


def read_figures(verdict: dict[str, Any]) -> list[Figures]:
    """Return the figures of every candidate that could be made, float first, as the verdict has them."""
    values = {judged["candidate"]: judged["metrics"] for judged in verdict["candidates"] if judged["metrics"]}
    sizes = sorted(int(key.removeprefix(SPEED)) for key in values[FLOAT] if key.startswith(SPEED))
    return [_figures(name, metrics, values[FLOAT], sizes, verdict["winner"]) for name, metrics in values.items()]


def _figures(name: str, metrics: dict[str, Any], base: dict[str, Any], sizes: list[int], winner: str | None) -> Figures:
    drop, size = metrics["accuracy_drop"], metrics["size_bytes"]["value"]
    return Figures(
        candidate=name,
        accuracy=metrics["accuracy"]["value"],
        drop=drop["value"],
        drop_upper=drop["upper"],
        size_bytes=size,
        smaller=base["size_bytes"]["value"] / size,
        faster={batch: metrics[f"{SPEED}{batch}"]["value"] for batch in sizes},
        faster_lower={batch: metrics[f"{SPEED}{batch}"]["lower"] for batch in sizes},
        is_winner=name == winner,
    )


if __name__ == "__main__":
    main()
