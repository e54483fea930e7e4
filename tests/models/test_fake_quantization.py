"""Fake quantization rounds as integers do, lets gradients through, and is rebuilt from its description."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import nn

from thresher.errors import DataError
from thresher.models.cnn import Cnn
from thresher.models.fake_quantization import (
    ActivationRange,
    Quantization,
    RoundedWeight,
    activation_ranges,
    fake_quantize,
    round_biases,
    rounding_of,
)
from thresher.models.network import Network, NetworkSpec
from thresher.models.storage import load_network, save_network

SPEC = Quantization(
    layers={"conv1": None, "conv2": "relu1.output_range", "fc1": "relu2.output_range", "fc2": "fc2.input_range"},
    ranges=("relu1.output_range", "relu2.output_range", "fc2.input_range"),
    folded={"conv1": "norm1", "conv2": "norm2"},
)


def range_of(low: float, high: float) -> ActivationRange:
    observed = ActivationRange().eval()
    observed.low.fill_(low)
    observed.high.fill_(high)
    return observed


@pytest.fixture
def rounded(build) -> Network:  # type: ignore[no-untyped-def]
    """Return a convolutional network whose ranges have seen one batch."""
    plain = build(Cnn(channels=(4, 8), hidden=16))
    spec = plain.spec.model_copy(update={"quantization": SPEC})
    network = Network(spec).eval()
    for observed in activation_ranges(network):
        observed.freeze_after.fill_(1)
        observed.train()
    with torch.no_grad():
        network(torch.randint(0, 256, (16, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)))
    return network.eval()


def test_a_range_has_256_values_and_0_is_one_of_them() -> None:
    observed = range_of(-1.03, 3.9)
    steps = observed(torch.linspace(-9, 9, 10_001)).unique()
    assert len(steps) == 256
    assert (steps == 0).sum() == 1
    np.testing.assert_allclose(steps.diff(), (3.9 + 1.03) / 255, rtol=1e-4)


@given(arrays.arrays(np.float32, 7, elements=st.floats(-50, 50, width=32)), st.floats(-20, 0), st.floats(0.1, 20))
def test_an_activation_moves_by_half_a_step_at_most_and_to_the_end_of_the_range(
    values: np.ndarray, low: float, high: float
) -> None:
    observed = range_of(low, high)
    scale, zero = (float(part) for part in observed.scale_and_zero())
    ends = -zero * scale, (255 - zero) * scale
    expected = np.clip(values, *ends)
    assert np.abs(observed(torch.from_numpy(values)).numpy() - expected).max() <= scale * 0.5001 + 1e-6


def test_gradients_pass_the_rounding_and_not_where_a_value_was_cut_off() -> None:
    values = torch.tensor([-5.0, -0.2, 0.3, 5.0], requires_grad=True)
    range_of(-1, 1)(values).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [0, 1, 1, 0]


def test_a_range_is_the_mean_of_what_it_saw_until_it_is_frozen() -> None:
    observed = ActivationRange().train()
    observed.freeze_after.fill_(2)
    for low, high in ((-1.0, 4.0), (-3.0, 2.0), (-100.0, 100.0)):
        observed(torch.tensor([low, high]))
    assert (float(observed.low), float(observed.high), int(observed.num_seen)) == (-2, 3, 3)
    observed.eval()(torch.tensor([-9.0, 9.0]))
    assert (float(observed.low), float(observed.high), int(observed.num_seen)) == (-2, 3, 3)


@pytest.mark.parametrize(("bits", "top"), [(8, 127), (7, 64)])
def test_each_channel_of_a_weight_reaches_its_largest_integer(bits: int, top: int) -> None:
    weight = (
        torch.randn(6, 3, 5, 5, generator=torch.Generator().manual_seed(0))
        * torch.logspace(-2, 1, 6)[:, None, None, None]
    )
    rounding = RoundedWeight(bits, per_channel=True)
    codes, scale = rounding.codes_of(weight), rounding.scale_of(weight)
    assert codes.dtype == torch.int8
    assert codes.abs().flatten(1).amax(dim=1).tolist() == [top] * 6
    np.testing.assert_allclose(scale, weight.abs().flatten(1).amax(dim=1) / top, rtol=1e-6)
    assert torch.equal(rounding(weight), codes * scale[:, None, None, None])


def test_a_channel_of_zeros_stays_zero() -> None:
    rounding = RoundedWeight(8, per_channel=True)
    for weight in (torch.zeros(3, 4), torch.tensor([[0.0, 0.0], [1.0, -2.0]])):
        assert torch.equal(rounding(weight)[0], torch.zeros(weight.shape[1]))
        assert bool((rounding.scale_of(weight) > 0).all())


def test_folded_norms_change_no_answer(build, random_images) -> None:  # type: ignore[no-untyped-def]
    network, folded = build(Cnn(channels=(4, 8))), build(Cnn(channels=(4, 8)))
    for one in (network, folded):
        for norm in (one.body.norm1, one.body.norm2):
            norm.running_mean.copy_(torch.linspace(-1, 1, len(norm.running_mean)))
            norm.running_var.copy_(torch.linspace(0.5, 2, len(norm.running_var)))
    fake_quantize(folded.body, Quantization(layers={}, ranges=(), folded=SPEC.folded))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    images = random_images(8, 1, 28, 28)
    with torch.no_grad():
        torch.testing.assert_close(folded(images), network(images), atol=1e-5, rtol=1e-5)


def test_rounded_biases_are_multiples_of_the_scales_of_input_and_weight(rounded: Network) -> None:
    before = rounded.body.conv1.bias.clone()  # type: ignore[union-attr, operator]
    round_biases(rounded.body, SPEC)
    assert torch.equal(rounded.body.conv1.bias, before)  # type: ignore[arg-type]  # computed in float
    for name in ("conv2", "fc1", "fc2"):
        layer = rounded.body.get_submodule(name)
        rounding, weight = rounding_of(layer)
        place = SPEC.layers[name]
        assert place is not None
        scale = rounded.body.get_submodule(place).scale_and_zero()[0] * rounding.scale_of(weight)  # type: ignore[operator]
        steps = (layer.bias.detach() / scale).double()  # type: ignore[operator, union-attr]
        assert (steps - steps.round()).abs().max() < 1e-3


def test_a_stored_network_gives_the_same_answers_to_the_last_bit(
    rounded: Network, tmp_path: Path, random_images  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    save_network(rounded, tmp_path)
    again, images = load_network(tmp_path), random_images(8, 1, 28, 28)
    assert again.spec == rounded.spec
    with torch.no_grad():
        assert torch.equal(again(images), rounded(images))


def test_a_description_of_other_layers_is_a_damaged_network(rounded: Network, tmp_path: Path) -> None:
    save_network(rounded, tmp_path)
    spec = (tmp_path / "network.json").read_text(encoding="utf-8")
    (tmp_path / "network.json").write_text(spec.replace('"fc2.input_range"', '"fc9.input_range"'), encoding="utf-8")
    with pytest.raises(DataError, match="not a readable network"):
        load_network(tmp_path)
    assert NetworkSpec.model_validate_json(spec) == rounded.spec


def test_weights_that_are_trained_and_tables_are_still_told_apart(rounded: Network) -> None:
    shapes = sorted(tuple(weight.shape) for weight in rounded.prunable_weights())
    assert shapes == [(4, 1, 3, 3), (8, 4, 3, 3), (10, 16), (16, 392)]
