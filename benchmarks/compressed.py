"""What compression reaches on the official test data, by whole runs: makes the second table of docs/results.md.

A run takes what earlier ones have left; `make reproduce` calls it after the trainings.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from reproduce import PROJECT, describe_setting, fetch, put_between, run

from thresher.models import FLOAT

BEGIN, END = "<!-- compression: begin -->", "<!-- compression: end -->"
REPORTS = PROJECT / "data" / "08_reporting"


@dataclass(frozen=True)
class Want:
    """What one candidate of a recipe must reach at once, against the optimized float model.

    Attributes:
        smaller: float's file size over its own.
        faster: float's median latency over its own, at ``batch_size`` and one thread: the lower bound of its 95 %
            interval must be above this; None where it may be slower.
        loss: the most that the 95 % upper bound of the accuracy drop may be.
    """

    recipe: str
    fetch: str
    smaller: float
    loss: float
    faster: float | None = None
    batch_size: int = 32

    def __str__(self) -> str:
        speeds = {None: "", 1: " and faster"}
        speed = speeds.get(self.faster, f" and {self.faster}x as fast")
        return f"{self.smaller:g}x smaller{speed}, drop at most {self.loss:g}"

    def is_met(self, figures: Figures) -> bool:
        """Return whether a candidate with these figures reaches all of it."""
        is_fast = self.faster is None or figures.faster_lower[self.batch_size] > self.faster
        return figures.smaller >= self.smaller and is_fast and figures.drop_upper <= self.loss


WANTS = (
    Want("fashion_mnist_budget", "fashion_mnist", smaller=2, faster=1.25, loss=0.01),
    Want("fashion_mnist_budget", "fashion_mnist", smaller=7, loss=0.01),
    Want("fashion_mnist_resnet", "fashion_mnist", smaller=4, faster=2, loss=0.005),
    Want("fashion_mnist_resnet", "fashion_mnist", smaller=10, loss=0.005),
    Want("trec_transformer", "trec", smaller=3.5, faster=1, loss=0.005),
    Want("adult_mlp", "adult", smaller=3.5, faster=1, loss=0.005),
    Want("vowels_gru", "japanese_vowels", smaller=3.5, faster=1, loss=0.005),
)


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
    """Run the recipes, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    recipes = list(dict.fromkeys(want.recipe for want in WANTS))
    parser.add_argument("--recipes", nargs="*", choices=recipes, default=recipes, help="run these alone; none: write")
    parser.add_argument("--from", dest="folder", type=Path, help="a folder with one folder of raw files a data set")
    arguments = parser.parse_args()
    for recipe in arguments.recipes:
        fetch(next(want.fetch for want in WANTS if want.recipe == recipe), arguments.folder)
        run("kedro", "run", "--pipeline", recipe)
    put_between(BEGIN, END, [*rows(recipes), "", describe_setting()])


def rows(recipes: list[str]) -> Iterator[str]:
    """Yield the table of what must be reached, and one of all candidates."""
    found = {recipe: read_figures(recipe) for recipe in recipes if (REPORTS / recipe / "verdict.json").exists()}
    yield "| recipe | in one candidate | by | |"
    yield "| --- | --- | --- | --- |"
    for want in WANTS:
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


def read_figures(recipe: str) -> list[Figures]:
    """Return the figures of every candidate that could be made, float first, as the verdict has them."""
    verdict = json.loads((REPORTS / recipe / "verdict.json").read_text())
    values = {judged["candidate"]: judged["metrics"] for judged in verdict["candidates"] if judged["metrics"]}
    text = (PROJECT / "pipelines" / f"{recipe}.yml").read_text()
    sizes = sorted(yaml.safe_load(text)["evaluation"]["batch_sizes"])
    return [_figures(name, metrics, values[FLOAT], sizes, verdict) for name, metrics in values.items()]


def _figures(
    name: str, metrics: dict[str, Any], base: dict[str, Any], sizes: list[int], verdict: dict[str, Any]
) -> Figures:
    drop, size = metrics["accuracy_drop"], metrics["size_bytes"]["value"]
    return Figures(
        candidate=name,
        accuracy=metrics["accuracy"]["value"],
        drop=drop["value"],
        drop_upper=drop["upper"],
        size_bytes=size,
        smaller=base["size_bytes"]["value"] / size,
        faster={batch: metrics[f"speedup_batch{batch}"]["value"] for batch in sizes},
        faster_lower={batch: metrics[f"speedup_batch{batch}"]["lower"] for batch in sizes},
        is_winner=name == verdict["winner"],
    )


if __name__ == "__main__":
    main()
