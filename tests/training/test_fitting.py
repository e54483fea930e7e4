"""What teaches a student: answers of trees to samples that they did not learn from."""

from __future__ import annotations

import numpy as np
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from numpy.random import default_rng

from thresher.compression.candidate import NamedCandidate
from thresher.evaluation.runtime import open_session, predict
from thresher.modalities.samples import EncodedSamples, Samples
from thresher.modalities.tabular.encoder import TabularEncoder, TabularEncoding
from thresher.modalities.tabular.model_input import TabularInput
from thresher.modalities.tabular.table import Table
from thresher.models import ModelChoice
from thresher.pipelines.build import build_pipeline
from thresher.recipe import Recipe, dump
from thresher.training import Training
from thresher.training.checkpoints import Checkpoints
from thresher.training.fitting import FOLDS, answer_out_of_fold, fit

GIVEN = TabularInput(num_numeric=4, cardinalities=())
TREES = ModelChoice.model_validate({"kind": "boosted_trees", "max_iter": 60, "min_samples_leaf": 1})
ROWS = default_rng(0).normal(size=(600, 4)).astype(np.float32)


def split(labels: np.ndarray, names: tuple[str, ...] = ()) -> tuple[EncodedSamples, EncodedSamples]:
    return Samples(ROWS[:500], labels[:500], names), Samples(ROWS[500:], labels[500:], names)


def test_nobody_is_taught_what_its_own_label_says() -> None:
    noise = default_rng(1).integers(0, 2, size=600)
    training, validation = split(noise, ("no", "yes"))
    # To stop by what is learned from, as nobody should, makes the trees know every label.
    onnx_file, _ = fit(TREES, GIVEN, (training, training), Training(), "float")
    known = predict(open_session(onnx_file, 1), training.inputs, GIVEN).argmax(axis=1) == training.labels
    assert known.mean() > 0.95
    taught = answer_out_of_fold(TREES, GIVEN, (training, training), Training())
    assert taught.shape == (500, 2) and taught.dtype == np.float32
    assert (taught.argmax(axis=1) == training.labels).mean() < 0.6
    again = answer_out_of_fold(TREES, GIVEN, (training, training), Training())
    assert np.array_equal(taught, again)
    assert not np.array_equal(taught, answer_out_of_fold(TREES, GIVEN, (training, validation), Training(seed=2)))


def test_each_sample_is_answered_by_the_others_model_and_in_its_own_place() -> None:
    training, validation = split((ROWS[:, 0] > 0.5).astype(np.int64), ("no", "yes"))
    taught = answer_out_of_fold(TREES, GIVEN, (training, validation), Training())
    assert (taught.argmax(axis=1) == training.labels).mean() > 0.97
    np.testing.assert_allclose(np.exp(taught).sum(axis=1), 1, atol=1e-4)


def test_values_are_taught_in_standard_deviations() -> None:
    training, validation = split(1e6 + 300.0 * ROWS[:, 1].astype(np.float64))
    taught = answer_out_of_fold(TREES, GIVEN, (training, validation), Training())
    expected = (training.labels - training.labels.mean()) / training.labels.std()
    assert taught.shape == (500, 1)
    assert np.sqrt(((taught[:, 0] - expected) ** 2).mean()) < 0.3


@pytest.mark.parametrize("few", [FOLDS - 2, 2 * FOLDS])
def test_a_rare_class_is_dealt_to_all_parts(few: int) -> None:
    labels = np.zeros(600, np.int64)
    labels[:few] = 1
    labels[550:] = 1
    taught = answer_out_of_fold(TREES, GIVEN, split(labels, ("often", "rare")), Training())
    assert np.isfinite(taught).all()


def test_a_network_learns_from_trees_within_a_recipe(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The nodes between encoded samples and files, as Kedro wires them; finetuning learns from the trees, too."""
    recipe = Recipe.model_validate(
        {
            "task": "classification",
            "data": {"modality": "tabular", "train": "raw.train", "test": "raw.test"},
            "model": TREES.model_dump(),
            "training": {"optimizer": {"kind": "adam", "lr": 0.02}, "execution": {"threads": 1}},
            "candidates": {
                "taught": [
                    {"kind": "distill", "student": {"kind": "mlp", "hidden": [16]}, "epochs": 15, "weight": 1.0}
                ],
                "half": {
                    "from": "taught",
                    "steps": [
                        {"kind": "prune_channels", "ratio": 0.5},
                        {"kind": "finetune", "epochs": 3, "distill": {}},
                        {"kind": "quantize_dynamic"},
                    ],
                },
            },
        }
    )
    training, validation = split((ROWS[:, 0] + ROWS[:, 1] > 0.5).astype(np.int64), ("no", "yes"))
    raw = Samples(Table({f"column {place}": ROWS[:, place].astype(np.float64) for place in range(4)}), np.zeros(600))
    plain = dump(recipe)
    given = {
        "r.training_samples": training,
        "r.validation_samples": validation,
        "r.encoder": TabularEncoder.fit(raw, TabularEncoding()),
        "params:r.model": ModelChoice.model_validate(plain["model"]),
        "params:r.training": recipe.training,
        "params:r.training.seed": recipe.training.seed,
        **{
            f"params:r.candidates.{name}": NamedCandidate.model_validate({**steps, "name": name})
            for name, steps in plain["candidates"].items()
        },
        **{f"params:r.candidates.{name}.name": name for name in plain["candidates"]},
        **{f"r.{name}.checkpoints": Checkpoints(tmp_path_factory.mktemp(name)) for name in plain["candidates"]},
    }
    kept = {name: MemoryDataset(copy_mode="assign") for name in ("r.float.onnx", "r.taught.onnx", "r.half.onnx")}
    catalog = DataCatalog({name: MemoryDataset(value, copy_mode="assign") for name, value in given.items()} | kept)
    pipeline = build_pipeline("r", recipe)
    SequentialRunner().run(pipeline.from_inputs("r.training_samples", "params:r.training").to_outputs(*kept), catalog)
    answers = {
        name: predict(open_session(dataset.load(), 1), validation.inputs, GIVEN) for name, dataset in kept.items()
    }
    right = {name: (given.argmax(axis=1) == validation.labels).mean() for name, given in answers.items()}
    assert min(right.values()) > 0.85
    assert b"TreeEnsemble" in kept["r.float.onnx"].load() and b"TreeEnsemble" not in kept["r.taught.onnx"].load()
