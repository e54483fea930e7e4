"""A state dict of torch, written once as safetensors; nothing in it is run."""

from __future__ import annotations

from pathlib import Path

from thresher.errors import DataError, FetchError


def write_safetensors(state_dict: Path, target: Path) -> None:
    """Write the tensors of the file ``state_dict`` to ``target``, by their names there.

    Raises:
        FetchError: the file holds more than tensors.
        OSError: the disk refuses.
    """
    from safetensors.torch import save

    from thresher.models.imported.checkpoint import read_weights
    from thresher.models.imported.config import ModelFile

    try:
        weights = read_weights(ModelFile(state_dict.stem, state_dict.read_bytes()))
    except DataError as error:
        raise FetchError(str(error)) from error
    target.write_bytes(save({name: tensor.contiguous() for name, tensor in weights.items()}))
