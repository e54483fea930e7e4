"""A pretrained encoder goes the whole way: trained, cut in width and depth, quantized, judged, packed and served."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import onnxruntime
import pytest
from helpers.pretrained_folders import write_folder
from kedro_project import EXECUTABLES, Done, NewProject, Project, free_port

from thresher.models.storage import load_network

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

RECIPE: dict[str, Any] = {
    "task": "classification",
    "data": {"modality": "text", "train": "films.train", "test": "films.test", "encoding": {"max_length": 16}},
    "model": {"kind": "pretrained", "path": "data/01_raw/theirs"},
    "training": {
        "optimizer": {"kind": "adamw", "lr": 0.003},
        "epochs": 20,
        "batch_size": 8,
        "execution": {"channels_last": False, "compile": False, "threads": 1},
    },
    "candidates": {
        "small": [
            {"kind": "prune_vocabulary"},
            {"kind": "prune_channels", "ratio": 0.5, "importance": "taylor"},
            {"kind": "drop_layers", "keep": 2},
            {"kind": "finetune", "epochs": 3, "distill": {}},
            {"kind": "quantize_dynamic"},
        ],
        "taught": [{"kind": "distill", "student": {"kind": "textcnn"}, "epochs": 3, "lr": 0.003}],
        "other": [
            {
                "kind": "distill",
                "student": {"kind": "pretrained", "path": "data/01_raw/other"},
                "epochs": 1,
                "lr": 0.003,
            }
        ],
    },
    "evaluation": {"rounds": 10, "seconds": 0.05, "batch_sizes": [1, 8]},
    "selection": {"minimize": "size_bytes", "require": {"accuracy_drop": {"at_most": 0.3}}},
}
WORDS = {"good": ("good", "great", "fine", "fun"), "bad": ("bad", "poor", "dull")}


def reviews() -> list[tuple[str, str]]:
    """Return texts with their class, each once, in an order without one."""
    shapes = ("the film was {}", "a {} film", "it was very {} and {}", "{}, {} film!", "the {} film, not a {} it.")
    found = []
    for label, words in WORDS.items():
        for shape in shapes:
            chosen = itertools.product(words, repeat=shape.count("{}"))
            found += [(shape.format(*each), label) for each in chosen]
    return [found[place] for place in np.random.default_rng(0).permutation(len(found))]


def write_reviews(project: Project) -> list[tuple[str, str]]:
    """Write the texts as two CSV files; return those of the test split."""
    rows, folder = reviews(), project.folder / "data" / "01_raw"
    folder.mkdir(parents=True, exist_ok=True)
    entries = {}
    for name, part in (("train", rows[:55]), ("test", rows[55:])):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *part])
        entries[f"films.{name}"] = {
            "type": "thresher.readers.TextTable",
            "path": "data/01_raw",
            "file": f"{name}.csv",
        }
    project.write_configuration("base", "catalog_films", entries)
    return rows[55:]


@pytest.fixture(scope="module")
def project(new_project: NewProject) -> Project:
    project = new_project("pretrained")
    write_reviews(project)
    write_folder(project.folder / "data" / "01_raw" / "theirs", sizes={"num_hidden_layers": 3})
    write_folder(project.folder / "data" / "01_raw" / "other", "distilbert", sizes={"n_layers": 1})
    project.write_recipe("small", RECIPE)
    return project


@pytest.fixture(scope="module")
def done(project: Project) -> Done:
    return project.run().succeeded()


@pytest.fixture(scope="module")
def client(project: Project, done: Done) -> Iterator[httpx.Client]:
    (tag,) = re.findall(r"is in the Bento (\S+)\. Go on", done.text)
    port = free_port()
    command = [str(EXECUTABLES / "bentoml"), "serve", tag, "--host", "127.0.0.1", "--port", str(port)]
    with project.server(command, port, "/readyz") as client:
        yield client


def test_what_was_cut_wins_and_is_as_it_was_asked_for(project: Project, done: Done) -> None:
    verdict = project.read_json("08_reporting/small/verdict.json")
    assert verdict["winner"] == "small", done.text
    network = load_network(project.folder / "data/06_models/small/small/network")
    whole = load_network(project.folder / "data/06_models/small/float/network")
    heads = [module.num_attention_heads for module in whole.body.modules() if hasattr(module, "num_attention_heads")]
    left = [module.num_attention_heads for module in network.body.modules() if hasattr(module, "num_attention_heads")]
    assert (heads, left) == ([4, 4, 4], [2, 2])
    sizes = {each["candidate"]: each for each in verdict["candidates"]}
    assert set(sizes) == {"float", "small", "taught", "other"}
    folder = project.folder / "data/06_models/small"
    files = {name: (folder / name / "model.onnx").stat().st_size for name in sizes}
    assert files["small"] < 0.4 * files["float"]
    assert load_network(folder / "taught" / "network").spec.model.kind == "textcnn"
    assert load_network(folder / "other" / "network").spec.model.architecture["model_type"] == "distilbert"
    page = (project.folder / "data/08_reporting/small/report.html").read_text()
    assert re.search(r"tokens: \d+ of \d+ rows of model\.bert\.embeddings\.word_embeddings; of the validation", page)
    assert "distill (student {kind textcnn}, epochs 3, lr 0.003)" in page


def test_it_is_served_as_it_was_judged(project: Project, client: httpx.Client) -> None:
    rows = reviews()[55:]
    answer = client.post("/predict", json={"texts": [text for text, _ in rows]})
    assert answer.status_code == 200, answer.text
    given = answer.json()["predictions"]
    file = (project.folder / "data/06_models/small/small/model.onnx").read_bytes()
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    encoded = np.load(project.folder / "data/05_model_input/small/test_samples/inputs.npy")
    (expected,) = session.run(None, {"tokens": encoded})
    served = [list(each["probabilities"].values()) for each in given]
    # Integers of a range that is found anew for each batch: in another batch the last digits are others.
    np.testing.assert_allclose(served, expected, atol=0.02)
    assert np.mean([each["label"] == label for each, (_, label) in zip(given, rows, strict=True)]) > 0.7


def test_the_service_installs_neither_torch_nor_transformers(project: Project, done: Done) -> None:
    (bento,) = project.bentos("small")
    installed = "\n".join(path.read_text() for path in bento.rglob("requirements*.txt"))
    assert "onnxruntime" in installed
    assert "torch" not in installed and "transformers" not in installed


def test_a_second_run_finds_everything_done(project: Project, done: Done) -> None:
    project.run().succeeded().ran_nothing()
