"""What a training begins with: a network that is drawn by the seed, or that of a pretrained folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from thresher.modalities.model_input import ModelInput
from thresher.modalities.outputs import AnyOutput
from thresher.models import Model
from thresher.models.network import Network, NetworkSpec
from thresher.models.pretrained.check import read_architecture
from thresher.models.pretrained.config import Pretrained
from thresher.models.random_numbers import generator_turn

if TYPE_CHECKING:
    from thresher.models.pretrained.folder import PretrainedFolder


def build_start(
    model: Model, given: ModelInput, output: AnyOutput, seed: int, folder: PretrainedFolder | None = None
) -> Network:
    """Return the untrained network, its weights drawn by ``seed``; of a pretrained one, the head's alone.

    Args:
        folder: of a pretrained model.

    Raises:
        DataError: a folder whose weights are another network's.
    """
    if isinstance(model, Pretrained):
        assert folder is not None
        model = model.model_copy(update={"architecture": model.architecture or read_architecture(folder)})
    with generator_turn():
        torch.manual_seed(seed)
        network = Network(NetworkSpec(model=model, input=given, output=output))
        if isinstance(model, Pretrained) and model.init == "weights":
            torch.manual_seed(seed)
            # Named by its kind's record alone, so that no other model depends on the library behind it.
            body: Any = network.body
            body.take_weights(folder)
    return network
