"""What a training begins with: a network that is drawn by the seed, or one that was trained elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from thresher.events import Notice, emit
from thresher.kinds.record import ModelKind
from thresher.kinds.registry import kind_of
from thresher.modalities.model_input import ModelInput
from thresher.modalities.outputs import AnyOutput
from thresher.models import AnyModel
from thresher.models.imported.config import Checkpoint, ModelFile
from thresher.models.network import Network, NetworkSpec
from thresher.models.pretrained.check import read_architecture
from thresher.models.pretrained.config import Pretrained
from thresher.models.random_numbers import generator_turn

if TYPE_CHECKING:
    from thresher.models.pretrained.folder import PretrainedFolder


def build_start(
    model: AnyModel,
    given: ModelInput,
    output: AnyOutput,
    seed: int,
    folder: PretrainedFolder | ModelFile | None = None,
    tells: bool = False,
) -> Network:
    """Return the network that training begins with, its weights drawn by ``seed``; of one from elsewhere, its head's.

    Args:
        folder: of a pretrained model, or the file of a checkpoint that is trained further. Of other checkpoints the
            architecture alone is built.
        tells: whether it is said what became of a checkpoint's layers.

    Raises:
        DataError: a folder or a file whose weights are another network's.
    """
    if isinstance(model, Checkpoint):
        if model.train:
            assert isinstance(folder, ModelFile)
            with generator_turn():
                torch.manual_seed(seed)
                begun: tuple[Network, str] = kind_of(ModelKind, model).load()(folder, model, given, output)
            if tells:
                emit(Notice(begun[1]))
            return begun[0]
        model = model.network
    if isinstance(model, Pretrained):
        assert folder is not None and not isinstance(folder, ModelFile)
        model = model.model_copy(update={"architecture": model.architecture or read_architecture(folder)})
    with generator_turn():
        torch.manual_seed(seed)
        network = Network(NetworkSpec(model=model, input=given, output=output))
        if isinstance(model, Pretrained) and model.init == "weights":
            torch.manual_seed(seed)
            # Reached by its kind's record alone, as a checkpoint's is: no other model depends on the code behind it.
            body: Any = network.body
            body.take_weights(folder)
    return network
