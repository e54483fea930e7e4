"""One story: a winner that loses to the champion is served beside it, promoted, and rolled back."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import yaml
from kedro_project import EXECUTABLES, SMALL, TINY, Done, NewProject, Project, free_port

from thresher.readers import BundledDigits

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

RECIPE: dict[str, Any] = {
    **TINY,
    "candidates": {},
    "selection": SMALL["selection"],
    "serving": {"shadow": {"share": 1.0}, "workers": 1},
}
# A network that hardly learned anything loses.
UNTRAINED = "small.training.epochs=1,small.training.optimizer.lr=0.0000001"
WORSE = ("--params", f"{UNTRAINED},small.selection.allow_no_better_than_baseline=true")
NUM_SAMPLES = 40


@dataclass(frozen=True)
class Story:
    project: Project
    first: Done
    second: Done


def bento_models(project: Project) -> list[dict[str, str]]:
    """Return what the models in BentoML's store say of themselves, the oldest first."""
    files = (project.bentoml_home / "models" / "thresher-small").glob("*/model.yaml")
    read = [yaml.safe_load(file.read_text()) for file in files]
    return [model["labels"] for model in sorted(read, key=lambda model: str(model["creation_time"]))]


@pytest.fixture(scope="module")
def story(new_project: NewProject) -> Story:
    project = new_project("champions")
    project.write_recipe("small", RECIPE)
    return Story(project, project.run().succeeded(), project.run(*WORSE).succeeded())


def test_a_first_champion_has_no_challenger(story: Story) -> None:
    assert "serving.shadow.version challenger: no version has this alias. The Bento has no challenger." in (
        story.first.text
    )
    assert "challenger_version" not in bento_models(story.project)[0]


def test_the_winner_that_lost_is_the_challenger(story: Story) -> None:
    project = story.project
    assert "The challenger, version 2, sees 100.0% of the samples." in story.second.text
    registered = project.client.get_registered_model("small")
    assert {alias: int(number) for alias, number in registered.aliases.items()} == {"champion": 1, "challenger": 2}
    labels = bento_models(project)[1]
    assert (labels["model_version"], labels["challenger_version"]) == ("1", "2")


@pytest.fixture(scope="module")
def answered(story: Story) -> tuple[list[str], str]:
    """The labels that the served Bento gave, and its metrics once the challenger has seen the samples, too."""
    port = free_port()
    project, samples = story.project, BundledDigits(split="test").load()
    command = [str(EXECUTABLES / "thresher"), "serve", "small", "--host", "127.0.0.1", "--port", str(port)]
    project.environment |= {"THRESHER_GRPC_PORT": "0", "THRESHER_HTTP_PORT": "0"}
    with project.server(command, port, "/readyz") as client:
        images = samples.inputs[:NUM_SAMPLES, 0].tolist()
        answer = client.post("/predict", json={"images": images})
        assert answer.status_code == 200, answer.text
        assert answer.json()["model_version"] == "1"
        return [one["label"] for one in answer.json()["predictions"]], wait_for_shadow(client)


def wait_for_shadow(client: httpx.Client) -> str:
    deadline = time.monotonic() + 60
    while count(metrics := client.get("/metrics").text, "compared") < NUM_SAMPLES:
        assert time.monotonic() < deadline, metrics
        time.sleep(0.1)
    return metrics


def count(metrics: str, name: str, label: str = ".*") -> float:
    rows = re.findall(rf'^thresher_shadow_{name}_total\{{.*label="{label}".*\}} (\S+)$', metrics, re.MULTILINE)
    return sum(map(float, rows))


def test_the_bento_answers_by_the_champion_and_counts_the_challenger(
    story: Story, answered: tuple[list[str], str]
) -> None:
    labels, metrics = answered
    for label in set(labels):
        assert count(metrics, "compared", label) == labels.count(label)
    # It says the same of almost all images.
    assert count(metrics, "agreements") < NUM_SAMPLES / 2
    assert count(metrics, "predictions") == NUM_SAMPLES
    assert 'challenger_version="2"' in metrics


@pytest.fixture(scope="module")
def promoted(story: Story, answered: tuple[list[str], str]) -> Done:
    return story.project.command("thresher", "promote", "small", "--reason", "to see it fail").succeeded()


def test_after_a_promotion_the_newest_bento_is_the_promoted_ones(story: Story, promoted: Done) -> None:
    assert "Version 2 is champion of small; before, it was version 1." in promoted.text
    assert "version 2 cannot be the challenger: it is the champion itself. The Bento has none." in promoted.text
    assert "Serve it: thresher serve small" in promoted.text
    assert story.project.champion_version("small") == "2"
    labels = bento_models(story.project)[-1]
    assert (labels["model_version"], labels.get("challenger_version")) == ("2", None)


@pytest.fixture(scope="module")
def rolled_back(story: Story, promoted: Done) -> Done:
    return story.project.command("thresher", "rollback", "small", "--reason", "it failed", "--no-bento").succeeded()


def test_a_rollback_is_part_of_the_history_and_of_the_next_runs_plan(story: Story, rolled_back: Done) -> None:
    project = story.project
    assert "Version 1 is champion of small; before, it was version 2." in rolled_back.text
    assert project.champion_version("small") == "1"
    # RECIPE:latest is still the promoted one's.
    tag = project.command("thresher", "champion", "small").succeeded().text.splitlines()[-1]
    description = yaml.safe_load((project.bentoml_home / "bentos" / tag.replace(":", "/") / "bento.yaml").read_text())
    assert description["labels"]["model_version"] == "1"
    assert (project.bentoml_home / "bentos" / "small" / "latest").read_text() != tag.partition(":")[2]
    text = project.command("thresher", "history", "small").succeeded().text
    assert re.search(r"2 +.* promote \(\S+\) +to see it fail", text), text
    assert re.search(r"1 +.* now +rollback \(\S+\) +it failed", text), text
    assert text.count("less accurate than the champion") == 1
    assert "challenge_champion" in project.plan(*WORSE).planned_nodes("run", "maybe")
