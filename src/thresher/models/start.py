"""What a training begins with: a network that is drawn by the seed, or that of a pretrained folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from thresher.modalities.model_input import ModelInput
from thresher.modalities.outputs import AnyOutput
from thresher.models import Model
from thresher.models.network import Network, NetworkSpec
from thresher.models.pretrained.check import read_architecture
from thresher.models.pretrained.config import Pretrained

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
        model = model.model_copy(update={"architecture": read_architecture(folder)})
    torch.manual_seed(seed)
    network = Network(NetworkSpec(model=model, input=given, output=output))
    if isinstance(model, Pretrained) and folder is not None and model.init == "weights":
        from thresher.models.pretrained.weights import load_weights  # it imports transformers

        torch.manual_seed(seed)
        load_weights(network, folder)
    return network
