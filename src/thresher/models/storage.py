"""A network on disk: weights as safetensors, everything else as JSON. No pickle is ever loaded."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from thresher.errors import CompressionError, DataError
from thresher.models.network import Network, NetworkSpec

WEIGHTS, SPEC = "weights.safetensors", "network.json"


def save_network(network: Network, folder: Path) -> None:
    """Write ``network`` as two files into ``folder``, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(_weights_of(network), folder / WEIGHTS)
    (folder / SPEC).write_text(network.spec.model_dump_json(indent=2), encoding="utf-8")


def load_network(folder: Path) -> Network:
    """Return the network in ``folder``, in evaluation mode on the CPU.

    Raises:
        DataError: a file that is missing or damaged, or weights that do not fit the described network.
    """
    try:
        spec = NetworkSpec.model_validate_json((folder / SPEC).read_bytes())
        network = _rebuild(spec, load_file(folder / WEIGHTS))
    except Exception as error:  # a damaged channel plan makes torch raise whatever it stumbles on
        raise DataError(f"{folder}: not a readable network ({error}). Delete the folder and run again.") from error
    return network.eval()


def check_storable(network: Network, candidate: str) -> None:
    """Rebuild ``network`` from what would be stored of it, and compare the answers of both bit for bit.

    Raises:
        CompressionError: it cannot be rebuilt, or answers otherwise then.
    """
    try:
        spec = NetworkSpec.model_validate_json(network.spec.model_dump_json())
        rebuilt = _rebuild(spec, _weights_of(network)).eval()
    except Exception as error:  # modules of people's own raise what they like
        raise CompressionError(
            f"{candidate}: the network cannot be rebuilt from its settings, widths and weights ({error}). "
            "Build the same layers from the same settings, or leave the layers out that pruning changes."
        ) from error
    example = torch.from_numpy(network.spec.input.example(2))
    was_training = network.training
    with torch.no_grad():
        expected, got = network.cpu().eval()(example), rebuilt(example)
    network.train(was_training)
    if not torch.equal(torch.nan_to_num(expected), torch.nan_to_num(got)):
        raise CompressionError(
            f"{candidate}: the network answers otherwise once it is stored and rebuilt, by up to "
            f"{float((expected - got).abs().max()):.2g}. Register what its answers depend on as parameters or buffers."
        )


def _weights_of(network: Network) -> dict[str, torch.Tensor]:
    """Return the tensors to be stored, tied ones once, each with memory of its own."""
    stored: dict[str, torch.Tensor] = {}
    seen = set()
    for name, tensor in network.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            stored[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    return stored


def _rebuild(spec: NetworkSpec, weights: dict[str, torch.Tensor]) -> Network:
    """Return the network of ``spec`` with ``weights``, of which tied ones stand there under one name."""
    network = Network(spec)
    ties: dict[int, list[str]] = defaultdict(list)
    for name, tensor in network.state_dict(keep_vars=True).items():
        ties[id(tensor)].append(name)
    stored = weights.keys()
    filled = {twin: weights[name] for twins in ties.values() for name in twins if name in stored for twin in twins}
    network.load_state_dict(weights | {name: filled[name] for name in filled.keys() - stored})
    return network
