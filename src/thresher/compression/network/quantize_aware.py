"""Training that knows of the integers: the network learns to live with 8 bits before it has to."""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from thresher.compression.calibration import CALIBRATION_BATCH, choose_calibration_inputs, trace_of
from thresher.compression.data import CalibrationData, CompressionData
from thresher.compression.file.layers import FEW_CHANNELS
from thresher.compression.file.ort_preprocess import nothing_to_quantize
from thresher.compression.network.finetune import Distill, Finetune, finetune
from thresher.compression.reduce_range import needs_reduced_range
from thresher.config import KindConfig
from thresher.errors import CompressionError
from thresher.events import Step, emit

if TYPE_CHECKING:
    import torch

    from thresher.models.fake_quantization import Quantization
    from thresher.models.network import Network

FOLDING_TOLERANCE = 1e-3
"""The largest difference that folding batch norms may make, in units of the largest answer."""


class QuantizeAware(KindConfig):
    """Train on with weights and activations rounded to 8 bits, and export those integers.

    Convolutions, linear layers and embeddings are quantized; LSTMs, GRUs, norms and attention itself stay in float. The
    file has the format of quantize_static's: signed weights with one scale a channel, unsigned activations.
    """

    kind: Literal["quantize_aware"] = "quantize_aware"
    epochs: int = Field(default=2, ge=1, le=100_000)
    """Passes over the training split; the weights of the best one by validation loss are kept."""
    lr: float | None = Field(default=None, gt=0, le=10)
    """Learning rate; the training's own where it is not given."""
    distill: Distill | None = None
    """A teacher; the labels alone count where there is none."""
    calibration_samples: int = Field(default=512, ge=1, le=1_000_000)
    """Training samples that the activations' ranges start from; all of them where there are fewer."""
    frozen: float = Field(default=0.3, ge=0, le=1)
    """Share of the training, its end, in which the ranges stay as they are."""
    reduced_range: bool | Literal["auto"] = "auto"
    """Weights of 7 bits; auto: where signed ones of 8 overflow, which is on x86 without VNNI."""
    float_convolutions: Literal["none", "few_channels"] = "few_channels"
    """Which convolutions are computed in float, from weights that are rounded to int8 all the same. ONNX Runtime's
    integer convolution is slow where channels are few; few_channels: those of at most 4 input channels."""


def quantize_aware(network: Network, config: QuantizeAware, data: CompressionData) -> Network:
    """Return a copy of ``network`` that rounds as its integer file will, trained with that.

    Batch norms are part of their convolutions from the start, so that what is trained is what is exported. Source: see
    `thresher.models.fake_quantization`; unlike there, ranges are calibrated before the first step and frozen at last.

    Raises:
        CompressionError: a network with nothing to quantize or that is quantized already, no training samples, or
            batch norms that cannot be folded.
        TrainingError: a loss that is not finite.
    """
    import torch

    from thresher.models.fake_quantization import round_biases

    sources = CalibrationData(data.candidate, data.input, data.training_samples, data.training.seed)
    chosen = choose_calibration_inputs(config.calibration_samples, sources)
    inputs = torch.from_numpy(chosen)
    rounded = _rounding(network, inputs, trace_of(chosen, sources), config, data)
    _calibrate(rounded, inputs)
    _let_ranges_move(rounded, _num_moving_batches(config, data))
    if data.training.activation_checkpointing:
        emit(Step(f"{config.kind}: without activation_checkpointing, which would show ranges every batch twice"))
    training = data.training.model_copy(update={"activation_checkpointing": False})
    tuning = Finetune(epochs=config.epochs, lr=config.lr, distill=config.distill)
    trained = finetune(rounded, tuning, dataclasses.replace(data, training=training))
    _let_ranges_move(trained, 0)
    assert trained.spec.quantization is not None
    round_biases(trained.body, trained.spec.quantization)
    return trained


def _rounding(
    network: Network, inputs: torch.Tensor, trace: dict[str, str], config: QuantizeAware, data: CompressionData
) -> Network:
    """Return a copy of ``network`` with batch norms folded, that rounds by ranges still to be filled."""
    from thresher.compression.network.qat_points import find_places
    from thresher.models.fake_quantization import fake_quantize

    if network.spec.quantization is not None:
        raise CompressionError(f"{data.candidate}: {config.kind} was applied already. Remove the second step.")
    seven = needs_reduced_range() if config.reduced_range == "auto" else config.reduced_range
    few = FEW_CHANNELS if config.float_convolutions == "few_channels" else 0
    rounded = copy.deepcopy(network).eval()
    spec = find_places(rounded, inputs[:1], 7 if seven else 8, few)
    if not spec.layers:
        raise nothing_to_quantize(config.kind, data.candidate)
    _describe_what_stays(rounded, spec, config)
    _check_folding(network, spec, inputs[:CALIBRATION_BATCH], data)
    fake_quantize(rounded.body, spec)
    quantization = spec.model_copy(update={"calibration": trace})
    rounded.spec = network.spec.model_copy(update={"quantization": quantization})
    return rounded


def _calibrate(rounded: Network, inputs: torch.Tensor) -> None:
    """Fill the ranges with the means of what batches of ``inputs`` reach."""
    import torch

    from thresher.models.fake_quantization import activation_ranges

    _let_ranges_move(rounded, math.ceil(len(inputs) / CALIBRATION_BATCH))
    for observed in activation_ranges(rounded):
        observed.train()
    with torch.no_grad():
        for batch in inputs.split(CALIBRATION_BATCH):
            rounded(batch)
    rounded.eval()


def _describe_what_stays(network: Network, spec: Quantization, config: QuantizeAware) -> None:
    """Report the layers with matrices that remain in float, which are LSTMs and GRUs mostly."""
    left = [
        f"{name} ({type(layer).__name__})"
        for name, layer in network.body.named_modules()
        if name not in spec.layers and any(weight.ndim > 1 for weight in layer.parameters(recurse=False))
    ]
    rest = f"; in float stay {', '.join(left)}" if left else ""
    emit(Step(f"{config.kind}: {len(spec.layers)} layers in {spec.weight_bits} bits{rest}"))


def _let_ranges_move(network: Network, num_batches: int) -> None:
    """Freeze the ranges of ``network`` after so many batches more."""
    from thresher.models.fake_quantization import activation_ranges

    for observed in activation_ranges(network):
        observed.freeze_after.copy_(observed.num_seen + num_batches)


def _num_moving_batches(config: QuantizeAware, data: CompressionData) -> int:
    """Return how many batches, or parts of batches, go through the network before the ranges are frozen."""
    from thresher.training.batches import Order

    training = data.training
    order = Order(len(data.training_samples), training.batch_size, config.epochs, training.seed)
    return round(order.total_steps * (1 - config.frozen)) * training.accumulation


def _check_folding(network: Network, spec: Quantization, inputs: torch.Tensor, data: CompressionData) -> None:
    """Raise a CompressionError where ``network`` uses what comes before a batch norm elsewhere, too."""
    import torch

    from thresher.models.fake_quantization import Quantization, fake_quantize

    folded, network = copy.deepcopy(network).eval(), copy.deepcopy(network).eval()
    fake_quantize(folded.body, Quantization(layers={}, ranges=(), folded=spec.folded))
    with torch.no_grad():
        expected, got = network(inputs), folded(inputs)
    difference = float((got - expected).abs().max() / expected.abs().max().clamp(min=1))
    if not difference <= FOLDING_TOLERANCE:
        raise CompressionError(
            f"{data.candidate}: quantize_aware cannot make the batch norms of this network part of its convolutions: "
            f"answers would change by up to {difference:.1e}; at most {FOLDING_TOLERANCE:.0e} is allowed. Use "
            "quantize_static."
        )
