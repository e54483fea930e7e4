"""A champion of any modality and task, whose model sums its input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from helpers.any_modality import make_encoder
from helpers.registry_project import make_bundle
from helpers.tiny_onnx import make_sum_onnx

from thresher.serving.core.bundle import Bundle


def make_champion(modality: str, task: str, **encoding: Any) -> Bundle:
    encoder = make_encoder(modality, task, **encoding)
    return replace(
        make_bundle(1.0, max_batch_size=64),
        encoder=encoder,
        onnx_bytes=make_sum_onnx(encoder.model_input, len(encoder.class_names)),
        attachments={"card.md": b"# A card", "verdict.json": b"{}"},
    )
