"""A network and all it takes to rebuild it: what an encoder makes in, logits or standardized values out."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

from thresher.config import Config
from thresher.kinds.record import ModelKind
from thresher.kinds.registry import kind_of
from thresher.modalities import AnyInput, modality_of
from thresher.modalities.outputs import AnyOutput, ValueOutput
from thresher.models import Model
from thresher.models.blocks import KeptBlocks, keep_blocks
from thresher.models.channel_plan import ChannelPlan, apply_channel_plan, read_channel_plan
from thresher.models.fake_quantization import Quantization, fake_quantize
from thresher.models.low_rank import Ranks, apply_ranks
from thresher.models.random_numbers import forked_generators, generator_turn
from thresher.models.vocabulary import KeptRows, share_rows


class NetworkSpec(Config):
    """Everything but the weights. Stored as JSON beside them: no pickle is ever loaded."""

    model: Model
    input: AnyInput
    output: AnyOutput
    blocks: KeptBlocks = Field(default_factory=dict)
    """List of blocks -> those that `drop_layers` has left, by their places as the settings build them."""
    ranks: Ranks = Field(default_factory=dict)
    """Layer name -> its rank, where `factorize` made two layers of it."""
    kept_rows: KeptRows | None = None
    """What `prune_vocabulary` left of the table of tokens."""
    channel_plan: ChannelPlan = Field(default_factory=dict)
    """Module -> the shapes and numbers that pruning changed in it; see `read_channel_plan`."""
    quantization: Quantization | None = None
    """What `quantize_aware` rounds, in what the channel plan has left."""


class Network(nn.Module):
    """Prepares what an encoder makes inside the graph, then maps it to what is learned.

    That is logits [B, K] in a classification; in a regression, values [B, 1] in standard deviations of the labels.
    """

    label_offset: torch.Tensor
    label_std: torch.Tensor

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        self.prepare = modality_of(spec.input).load("input_transform")(spec.input)
        with generator_turn():  # layers draw their first weights
            self.body = kind_of(ModelKind, spec.model).load()(spec.model, spec.input, spec.output.width)
            keep_blocks(self.body, spec.blocks)
            apply_ranks(self.body, spec.ranks)
            if spec.kept_rows is not None:
                share_rows(self.body, spec.kept_rows)
            apply_channel_plan(self.body, spec.channel_plan)
        if isinstance(spec.output, ValueOutput):
            self._keep_labels(spec.output)
        if spec.quantization is not None:
            fake_quantize(self.body, spec.quantization)

    def _keep_labels(self, output: ValueOutput) -> None:
        """Have mean and deviation of the labels in float64, not among the weights: they are part of ``spec``.

        The mean is in deviations: of a sum with 1e-50, ONNX Runtime's optimizer takes away the sum.
        """
        offset = output.mean / output.std
        self.register_buffer("label_offset", torch.tensor(offset, dtype=torch.float64), persistent=False)
        self.register_buffer("label_std", torch.tensor(output.std, dtype=torch.float64), persistent=False)

    def forward(self, encoded: torch.Tensor) -> torch.Tensor:
        learned: torch.Tensor = self.body(*self.prepare(encoded))
        return learned

    def predict(self, encoded: torch.Tensor) -> torch.Tensor:
        """Return what is served: probabilities [B, K], or values float64 [B, 1] in the labels' own unit."""
        learned: torch.Tensor = self(encoded)
        if isinstance(self.spec.output, ValueOutput):
            # As tensors: the exporter writes numbers of Python as float32.
            return (learned.double() + self.label_offset) * self.label_std
        return torch.softmax(learned, dim=1)

    def rate_factors(self) -> dict[str, float]:
        """Return what the learning rate of each weight is multiplied by, by its name; 0 where it is frozen.

        Nothing where all learn alike: a body says it by a method of this name.
        """
        factors: dict[str, float] = self.body.rate_factors() if hasattr(self.body, "rate_factors") else {}
        return {f"body.{name}": factor for name, factor in factors.items()}

    def channel_plan(self) -> ChannelPlan:
        """Return in what the body differs from the one that ``spec`` builds without a plan."""
        with forked_generators():
            fresh = Network(self.spec.model_copy(update={"channel_plan": {}, "quantization": None}))
        return read_channel_plan(self.body, fresh.body)

    def embeddings(self) -> list[nn.Module]:
        """Return the tables of the body. No pruning touches their width: they cost memory and no sums."""
        return [module for module in self.body.modules() if isinstance(module, nn.Embedding)]

    def prunable_weights(self) -> list[nn.Parameter]:
        """Return every matrix and kernel of the body but the embeddings; biases and norms are vectors."""
        tables = {id(weight) for table in self.embeddings() for weight in table.parameters()}
        return [weight for weight in self.body.parameters() if weight.ndim > 1 and id(weight) not in tables]

    def output_layer(self) -> nn.Module:
        """Return the layer that makes the outputs: the last one, unless the body has another as its `output_layer`."""
        if isinstance(own := getattr(self.body, "output_layer", None), nn.Linear):
            return own
        return [module for module in self.body.modules() if isinstance(module, nn.Linear)][-1]

    def head_names(self) -> frozenset[str]:
        """Return the names, within the body, of the weights of the layer that makes the outputs; none if none does."""
        try:
            layer = self.output_layer()
        except IndexError:
            return frozenset()
        own = {id(weight) for weight in layer.parameters()}
        return frozenset(name for name, weight in self.body.named_parameters() if id(weight) in own)

    def fixed_layers(self) -> list[nn.Module]:
        """Return the layers whose outputs no pruning touches: the last one's, whose width is the task's, and tables'.

        A body may name more of them as its `fixed_layers`.
        """
        return [self.output_layer(), *self.embeddings(), *getattr(self.body, "fixed_layers", ())]
