"""A network on disk: weights as safetensors, everything else as JSON. No pickle is ever loaded."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file, save_file

from thresher.errors import DataError
from thresher.models.network import Network, NetworkSpec

WEIGHTS, SPEC = "weights.safetensors", "network.json"


def save_network(network: Network, folder: Path) -> None:
    """Write ``network`` as two files into ``folder``, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    save_file(weights, folder / WEIGHTS)
    (folder / SPEC).write_text(network.spec.model_dump_json(indent=2), encoding="utf-8")


def load_network(folder: Path) -> Network:
    """Return the network in ``folder``, in evaluation mode on the CPU.

    Raises:
        DataError: a file that is missing or damaged, or weights that do not fit the described network.
    """
    try:
        network = Network(NetworkSpec.model_validate_json((folder / SPEC).read_bytes()))
        network.load_state_dict(load_file(folder / WEIGHTS))
    except Exception as error:  # a damaged channel plan makes torch raise whatever it stumbles on
        raise DataError(f"{folder}: not a readable network ({error}). Delete the folder and run again.") from error
    return network.eval()
