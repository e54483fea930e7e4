"""The network of a pretrained model: an encoder of the transformers library and its head."""

from __future__ import annotations

from typing import Self

import torch
from torch import nn

from thresher.modalities.model_input import ModelInput
from thresher.models.padding import mark_steps
from thresher.models.pretrained.adapter import MeanPooled, build_classifier
from thresher.models.pretrained.config import Pretrained
from thresher.models.pretrained.families import FAMILIES
from thresher.models.pretrained.folder import PretrainedFolder
from thresher.models.pretrained.weights import load_pretrained


class PretrainedNetwork(nn.Module):
    """Images [B, C, H, W], or tokens [B, T] and lengths [B], to [B, K]; a text's own token types are all 0."""

    def __init__(self, config: Pretrained, given: ModelInput, width: int) -> None:
        super().__init__()
        assert config.architecture is not None
        self.width = width
        self.config, self.family = config, FAMILIES[config.architecture["model_type"]]
        self.model = self._with_head(build_classifier(config.architecture, width))
        if self.family.sizes_itself:  # so that what is rebuilt has the numbers of what has run
            with torch.no_grad():
                self.model(pixel_values=torch.zeros(1, *given.longest))

    def forward(self, prepared: torch.Tensor, lengths_B: torch.Tensor | None = None) -> torch.Tensor:
        if lengths_B is None:
            named = {"pixel_values": prepared}
        else:
            named = {"input_ids": prepared, "attention_mask": mark_steps(lengths_B, prepared.shape[1]).long()}
        out: torch.Tensor = self.model(**named).logits
        return out

    def _with_head(self, model: nn.Module) -> nn.Module:
        """Return the library's ``model`` with the head that the recipe asks for."""
        return MeanPooled(model, self.family.base, self.width) if self.config.pooling == "mean" else model

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all but frozen batch normalizations: their statistics stay, as their weights do."""
        super().train(mode)
        frozen = {name.rpartition(".")[0] for name, factor in self.rate_factors().items() if not factor}
        for name, module in self.named_modules():
            if isinstance(module, nn.BatchNorm2d) and name in frozen:
                module.eval()
        return self

    @property
    def output_layer(self) -> nn.Linear:
        """The last layer of the head, which may be registered before the encoder."""
        inside = set(self.model.get_submodule(self.family.base).modules())
        own = [layer for layer in self.model.modules() if isinstance(layer, nn.Linear) and layer not in inside]
        return own[-1]

    @property
    def fixed_layers(self) -> list[nn.Module]:
        """What makes a token's vector of its embedding: the blocks add to that vector, which stays as wide.

        Of some families, layers that cannot be cut besides.
        """
        encoder = self.model.get_submodule(self.family.base)
        parts = [getattr(encoder, part) for part in self.family.embeddings if hasattr(encoder, part)]
        named = [
            layer for name, layer in encoder.named_modules() if self.family.fixed and name.endswith(self.family.fixed)
        ]
        return named + [layer for part in parts for layer in part.modules() if isinstance(layer, nn.Linear)]

    def take_weights(self, folder: PretrainedFolder) -> None:
        """Begin with the weights of ``folder``; raises a DataError where they are another network's."""
        assert self.config.architecture is not None
        self.model = self._with_head(load_pretrained(self.config.architecture, self.family.base, self.width, folder))

    def rate_factors(self) -> dict[str, float]:
        """Return what the learning rate of each weight is multiplied by, by its name; 0 where it is frozen."""
        family, freeze = self.family, self.config.freeze
        blocks = self.model.get_submodule(family.base).get_submodule(family.blocks)
        num_blocks = len(list(blocks.children()))
        built = getattr(blocks, "places", tuple(range(num_blocks)))  # of which drop_layers has left some
        frozen = {0: freeze.embeddings} | {depth: place < freeze.blocks for depth, place in enumerate(built, 1)}
        factors = {}
        for name, _ in self.named_parameters():
            depth = self._depth(name, num_blocks)
            factors[name] = 0.0 if frozen.get(depth) else self.config.layer_decay ** (num_blocks + 1 - depth)
        return factors

    def _depth(self, name: str, num_blocks: int) -> int:
        """Return 0 for the embeddings, 1 for the first block and so on, one more than all blocks for the head."""
        inside = name.removeprefix(f"model.{self.family.base}.")
        if inside.startswith(f"{self.family.blocks}."):
            return 1 + int(inside.removeprefix(f"{self.family.blocks}.").partition(".")[0])
        # What the blocks share, such as relative positions, is the encoder's, and is found before the head.
        is_embedding = inside != name and inside.startswith(tuple(f"{part}." for part in self.family.embeddings))
        return 0 if is_embedding else num_blocks + 1
