"""Tiny pretrained encoders of every family, built from their configs alone, with samples that can be learned."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from helpers.pretrained_folders import ENCODERS

from thresher.compression.data import CompressionData
from thresher.modalities.outputs import ClassOutput
from thresher.modalities.text.model_input import TextInput
from thresher.models.network import Network, NetworkSpec
from thresher.models.pretrained.config import Pretrained
from thresher.training import Training
from thresher.training.optimizers import AdamW

sys.path.append(str(Path(__file__).parents[1] / "models"))
from learnable import draw_learnable

TEXT = TextInput(vocabulary_size=40, max_length=12)
VARIANTS: dict[str, dict[str, Any]] = {
    "deberta-v2 of own position keys": {"share_att_key": False},
    "deberta-v2 of narrow embeddings": {"embedding_size": 16},
}
NAMES = [*ENCODERS, *VARIANTS]
WIDTH = 8
"""Of a head."""


@cache
def build(name: str) -> Network:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model_type = name.split()[0]
    sizes = {**ENCODERS[model_type], **VARIANTS.get(name, {}), "vocab_size": 40, "pad_token_id": 0}
    if model_type == "modernbert":
        sizes |= dict.fromkeys(("bos_token_id", "cls_token_id", "eos_token_id", "sep_token_id"), 2)
    model = Pretrained(path="anywhere", architecture={"model_type": model_type, **sizes})
    return Network(NetworkSpec(model=model, input=TEXT, output=ClassOutput(num_classes=4))).eval()


@cache
def samples() -> Any:
    return draw_learnable(TEXT, 64, 1)


def data() -> CompressionData:
    training = Training(optimizer=AdamW(lr=0.001), epochs=1, batch_size=32)
    return CompressionData("half", TEXT, samples(), samples(), training)


@torch.no_grad()
def answers(network: Network) -> np.ndarray:
    return np.asarray(network(torch.from_numpy(samples().inputs)))
