"""A network and all it takes to rebuild it: what an encoder makes in, logits or standardized values out."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

from thresher.config import Config
from thresher.modalities.inputs import AnyInput
from thresher.modalities.outputs import AnyOutput, ValueOutput
from thresher.models import BUILD, Model
from thresher.models.channel_plan import ChannelPlan, apply_channel_plan
from thresher.models.fake_quantization import Quantization, fake_quantize
from thresher.models.preparation import PREPARE
from thresher.models.ranks import Ranks, apply_ranks


class NetworkSpec(Config):
    """Everything but the weights. Stored as JSON beside them: no pickle is ever loaded."""

    model: Model
    input: AnyInput
    output: AnyOutput
    ranks: Ranks = Field(default_factory=dict)
    """Layer name -> its rank, where `factorize` made two layers of it."""
    channel_plan: ChannelPlan = Field(default_factory=dict)
    """Layer name -> the widths that pruning left it, by torch's attribute names."""
    quantization: Quantization | None = None
    """What `quantize_aware` rounds, in what the channel plan has left."""


class Network(nn.Module):
    """Prepares what an encoder makes inside the graph, then maps it to what is learned.

    That is logits [B, K] in a classification; in a regression, values [B, 1] in standard deviations of the labels.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        self.prepare = PREPARE[type(spec.input)](spec.input)
        self.body = BUILD[type(spec.model)](spec.model, spec.input, spec.output.width)
        apply_ranks(self.body, spec.ranks)
        apply_channel_plan(self.body, spec.channel_plan)
        if spec.quantization is not None:
            fake_quantize(self.body, spec.quantization)

    def forward(self, encoded: torch.Tensor) -> torch.Tensor:
        return self.body(*self.prepare(encoded))

    def predict(self, encoded: torch.Tensor) -> torch.Tensor:
        """Return what is served: probabilities [B, K], or values [B, 1] in the labels' own unit."""
        learned, output = self(encoded), self.spec.output
        if isinstance(output, ValueOutput):
            return learned * output.std + output.mean
        return torch.softmax(learned, dim=1)

    def embeddings(self) -> list[nn.Module]:
        """Return the tables of the body. No pruning touches them: they cost memory and no sums."""
        return [module for module in self.body.modules() if isinstance(module, nn.Embedding)]

    def prunable_weights(self) -> list[nn.Parameter]:
        """Return every matrix and kernel of the body but the embeddings; biases and norms are vectors."""
        tables = {id(weight) for table in self.embeddings() for weight in table.parameters()}
        return [weight for weight in self.body.parameters() if weight.ndim > 1 and id(weight) not in tables]

    def output_layer(self) -> nn.Module:
        """Return the layer that makes the outputs; its width is the task's and is never pruned."""
        return [module for module in self.body.modules() if isinstance(module, nn.Linear)][-1]
