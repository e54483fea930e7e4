"""The transformers library, which is imported here alone.

It gets a config and tensors that were read before, and never a path: it opens no file, calls no hub and runs no code
of the folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING, MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, AutoConfig
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.modeling_utils import AttentionInterface
from transformers.utils import logging

from thresher.errors import DataError
from thresher.models.transformer.network import mix, tell

ATTENTION = "thresher"
MOMENTUM = 0.1
"""Torch's own for a normalization by batches."""


def build_classifier(architecture: Mapping[str, Any], width: int) -> nn.Module:
    """Return the encoder of that config.json with a head of ``width`` outputs, its weights drawn."""
    config = _config(architecture, width)
    with _quiet():
        model: nn.Module = _classifier_of(config)(config)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()  # an EfficientNet's are drawn near 0, and nothing would pass through it
    return _with_shares_mended(model)


def load_classifier(
    architecture: Mapping[str, Any], width: int, weights: dict[str, torch.Tensor]
) -> tuple[nn.Module, dict[str, Any]]:
    """Return the encoder with ``weights``, in float32, and what of its layers did not fit, by the library's words.

    Layers that the weights do not have, or have in another shape, are drawn: missing_keys and mismatched_keys.
    """
    config = _config(architecture, width)
    with _quiet():
        # The class itself: the automatic one wants a path, to look for code in it.
        model, info = _classifier_of(config).from_pretrained(
            None,
            config=config,
            state_dict=weights,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            local_files_only=True,
        )
    return _with_shares_mended(model), info


class MeanPooled(nn.Module):
    """A library's classifier of texts with another head: one linear layer on the mean of the tokens' vectors.

    Source: Reimers and Gurevych, "Sentence-BERT", EMNLP 2019, section 3.
    """

    def __init__(self, classifier: Any, base: str, width: int) -> None:
        """Take the encoder, called ``base``, out of ``classifier``; the layer is drawn as the library draws them."""
        super().__init__()
        config, self.base = classifier.config, base
        encoder = getattr(classifier, base)
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None  # it would be stored, and nothing would read it
        setattr(self, base, encoder)
        rates = (getattr(config, key, None) for key in ("classifier_dropout", "hidden_dropout_prob"))
        self.dropout = nn.Dropout(next((rate for rate in rates if rate is not None), 0.0))
        self.classifier = nn.Linear(config.hidden_size, width)
        nn.init.normal_(self.classifier.weight, std=getattr(config, "initializer_range", 0.02))
        nn.init.zeros_(self.classifier.bias)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SequenceClassifierOutput:
        hidden_BTD = getattr(self, self.base)(input_ids=input_ids, attention_mask=attention_mask)[0]
        mask_BT1 = attention_mask.unsqueeze(-1).to(hidden_BTD.dtype)
        mean_BD = (hidden_BTD * mask_BT1).sum(dim=1) / mask_BT1.sum(dim=1).clamp(min=1)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(mean_BD)))


def _config(architecture: Mapping[str, Any], width: int) -> Any:
    fields = {key: value for key, value in architecture.items() if key != "model_type"}
    try:
        # A head for one number is a regression's, whatever the labels are.
        return AutoConfig.for_model(
            architecture["model_type"], **fields, num_labels=width, attn_implementation=ATTENTION
        )
    except StrictDataclassError as error:
        said = str(error.__cause__ or error).rstrip(".")
        raise DataError(f"config.json: the transformers library refuses it: {said}. Fix: copy it again.") from error


def _classifier_of(config: Any) -> Any:
    """Return the class of the encoder with a head: of texts, or of images."""
    texts, images = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING
    found = (texts if type(config) in texts else images)[type(config)]
    return found[0] if isinstance(found, tuple) else found


def _with_shares_mended(model: Any) -> nn.Module:
    """Return ``model``, of which normalizations and a MobileNet's dropout forget as torch's do.

    The library hands on what TensorFlow calls momentum and keep_prob, the share that stays (0.9997 and 0.999 of a
    MobileNet), as the share that goes: answers would depend on the last batch alone, and the head would learn nothing.
    """
    says_what_stays = model.config.model_type.startswith("mobilenet")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.momentum is not None and module.momentum > 0.5:
            module.momentum = MOMENTUM
        elif says_what_stays and isinstance(module, nn.Dropout) and module.p > 0.5:
            module.p = 1 - module.p
    mended: nn.Module = model
    return mended


def _attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Attend as Thresher's own Transformer does, whose export can be quantized; [B, H, T, E] to [B, T, H, E]."""
    tell(module, query, key, value)
    mixed = mix(query, key, value, attention_mask, scaling, dropout)
    return mixed.transpose(1, 2).contiguous(), None


def _mask(*given: Any, local_size: int | None = None, **named: Any) -> torch.Tensor | None:
    """Return what each token attends to, true where it does, as for torch's own attention: [B, 1, T, T], or None: all.

    Of a token of padding that may be nothing, where tokens attend to their neighbours alone: the mean of no values is
    not a number, and would spread from there. It attends to itself then.
    """
    mask: torch.Tensor | None = sdpa_mask(*given, local_size=local_size, **named)
    if mask is None or local_size is None:
        return mask
    return mask | torch.eye(mask.shape[-1], dtype=torch.bool, device=mask.device)


AttentionInterface.register(ATTENTION, _attend)
AttentionMaskInterface.register(ATTENTION, _mask)


@contextmanager
def _quiet() -> Iterator[None]:
    """Have the library log errors alone, and draw no bar: that the head is a fresh one is what was asked for."""
    level, drew = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if drew:
            logging.enable_progress_bar()
