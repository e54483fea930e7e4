"""How much each channel of a network matters, by the weights that go with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thresher.compression import ImportanceKind
from thresher.compression.data import CompressionData
from thresher.errors import CompressionError

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import nn

    from thresher.compression.network.channel_group import ChannelGroup
    from thresher.models.network import Network

GRADIENT_SAMPLES, GRADIENT_BATCH = 1024, 128


@dataclass(frozen=True)
class Measure:
    """One measure of importance, for both kinds of groups.

    Attributes:
        of_traced: Torch-Pruning's group -> importance of each of its channels [C], or None where it knows nothing.
        of_weight: a parameter -> importance of each single weight, of the same shape.
        of_readers: whether the weights that read a channel count alone, and not those that make it.
    """

    of_traced: Callable[[Any], torch.Tensor | None]
    of_weight: Callable[[torch.Tensor], torch.Tensor]
    of_readers: bool = False


def build_importance(
    kind: ImportanceKind, network: Network, data: CompressionData
) -> Callable[[ChannelGroup], torch.Tensor]:
    """Return a function: a group of ``network`` -> `ChannelGroup.scores`.

    l1, l2: norm of a channel's weights over all layers that lose it together (Li et al. 2017). taylor: the first-order
    change of the training loss without it (Molchanov et al. 2019), whose gradients are left in ``network``.
    activations: the weights that read a channel, each times the size of what it reads there on training samples (Sun
    et al., "A Simple and Effective Pruning Approach for Large Language Models", ICLR 2024); those of other layers than
    linear ones and convolutions count by themselves. The sizes are left in ``network`` as gradients, too.
    batch_norm: its scale (Liu et al. 2017, "Network Slimming"). random: the control, by the training's seed.

    Raises:
        CompressionError: batch_norm, of a network without batch norms.
    """
    import torch

    if kind == "random":
        generator = torch.Generator().manual_seed(data.training.seed)
        return lambda group: torch.rand(group.num_sets, group.num_channels // group.parts, generator=generator)
    if kind == "taylor":
        _leave_gradients(network, data)
    if kind == "activations":
        _leave_input_sizes(network, data)
    if kind == "batch_norm" and not _has_batch_norms(network):
        raise CompressionError(
            f"{data.candidate}: importance batch_norm needs batch norms, and a {network.spec.model.kind} has none. "
            "Allowed: l1, l2, taylor, activations, random."
        )
    measure = _build_measure(kind)
    return lambda group: group.scores(measure)


def _build_measure(kind: ImportanceKind) -> Measure:
    import torch
    from torch_pruning import importance as scores

    if kind in ("taylor", "activations"):
        return Measure(scores.TaylorImportance(), _change_without, of_readers=kind == "activations")
    if kind == "batch_norm":
        return Measure(scores.BNScaleImportance(), torch.zeros_like)
    power = 1 if kind == "l1" else 2
    return Measure(scores.MagnitudeImportance(p=power), lambda weight: weight.detach().abs() ** power)


def _change_without(weight: torch.Tensor) -> torch.Tensor:
    assert weight.grad is not None
    return (weight.detach() * weight.grad).abs()


def _leave_input_sizes(network: Network, data: CompressionData) -> None:
    """Put into each weight's gradient the root mean square of what it is multiplied with, over some training samples.

    Times the weight, as Taylor's measure takes it, that is the measure of Sun et al.
    """
    import torch
    from torch import nn

    from thresher.compression.network.traced_groups import CONVOLUTIONS
    from thresher.training.batches import load_batches

    squares: dict[nn.Module, list[torch.Tensor]] = {}

    def watch(layer: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        values = given[0].float() if isinstance(layer, nn.Linear) else given[0].float().movedim(1, -1)
        squares.setdefault(layer, []).append(values.square().flatten(0, -2).mean(dim=0))

    layers = [layer for layer in network.body.modules() if isinstance(layer, (nn.Linear, *CONVOLUTIONS))]
    watching = [layer.register_forward_pre_hook(watch) for layer in layers]
    some = data.training_samples.draw(GRADIENT_SAMPLES, data.training.seed)
    with torch.no_grad():
        for batch in load_batches(some, network.spec, torch.device("cpu")).in_slices(GRADIENT_BATCH):
            network(batch.inputs)
    for handle in watching:
        handle.remove()
    for parameter in network.body.parameters():  # norms and biases count nothing, like those of the other measures
        parameter.grad = torch.ones_like(parameter) if parameter.ndim > 1 else torch.zeros_like(parameter)
    for layer, seen in squares.items():
        _set_factor(layer.get_parameter("weight"), torch.stack(seen).mean(dim=0).sqrt(), layer)


def _set_factor(weight: torch.Tensor, sizes: torch.Tensor, layer: nn.Module) -> None:
    """Give each of ``weight`` the size of its own input as its gradient.

    Args:
        sizes: of all inputs of ``layer``, [C].
    """
    if getattr(layer, "transposed", False):
        own = sizes[:, None]
    else:  # a row of a grouped convolution has the inputs of its group
        groups = getattr(layer, "groups", 1)
        own = sizes.reshape(groups, -1).repeat_interleave(len(weight) // groups, dim=0)
    weight.grad = own.reshape(*own.shape, *[1] * (weight.ndim - 2)).expand_as(weight).clone()


def _has_batch_norms(network: Network) -> bool:
    from thresher.training.activation_checkpointing import BATCH_NORMS

    return any(isinstance(module, BATCH_NORMS) for module in network.body.modules())


def _leave_gradients(network: Network, data: CompressionData) -> None:
    """Put the gradients of the training loss over some training samples, drawn by the seed, into ``network``."""
    import torch

    from thresher.compression.network.frozen_weights import unfrozen
    from thresher.training.batches import load_batches
    from thresher.training.losses import build_loss

    samples, device = data.training_samples, torch.device("cpu")
    some = samples.draw(GRADIENT_SAMPLES, data.training.seed)
    loss = build_loss(network.spec.output, data.training, samples.labels, device)
    network.zero_grad()
    with unfrozen(network.body):
        for batch in load_batches(some, network.spec, device).in_slices(GRADIENT_BATCH):
            (loss.sum(network(batch.inputs).float(), batch.labels) / len(some)).backward()
