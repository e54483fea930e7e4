"""The three optimizers of the textbooks, by the shipped recipes, come to the exact answer of a linear regression."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from thresher import modalities
from thresher.modalities.outputs import output_of
from thresher.modalities.split import mark_held_out
from thresher.models.network import Network, NetworkSpec
from thresher.readers import BundledTable
from thresher.recipe.reading import read_recipe
from thresher.training.loop import train


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gradient_descent", "stochastic_gradient_descent", "adam"])
def test_the_loss_is_within_a_thousandth_of_the_least_squares_solution(name: str, project: Path) -> None:
    recipe = read_recipe(project / "pipelines" / f"{name}.yml")
    raw = BundledTable(name="diabetes", split="train").load()
    held_out = mark_held_out(raw, recipe.data.validation, recipe.training.seed)
    encoder = modalities.fit_encoder(raw.take(~held_out), recipe.data.encoding)
    training, validation = (modalities.encode(encoder, raw.take(part)) for part in (~held_out, held_out))
    spec = NetworkSpec(model=recipe.model, input=encoder.model_input, output=output_of(training))
    torch.manual_seed(recipe.training.seed)
    network, _ = train(Network(spec), training, validation, recipe.training, name)
    with torch.inference_mode():
        answers = network.predict(torch.from_numpy(training.inputs)).double().numpy()[:, 0]
    with_constant = np.column_stack([training.inputs.astype(np.float64), np.ones(len(training))])
    solution, *_ = np.linalg.lstsq(with_constant, training.labels, rcond=None)
    least = np.mean((with_constant @ solution - training.labels) ** 2)
    assert np.mean((answers - training.labels) ** 2) == pytest.approx(least, rel=1e-3)
