"""A modality of somebody else's: vectors of numbers, all of one length. A project names `KINDS` of this module."""

from __future__ import annotations

from thresher.kinds.record import ModalityKind

KINDS = [
    ModalityKind(
        "vector",
        f"{__name__}.encoder:VectorEncoding",
        f"{__name__}.encoder:VectorEncoder",
        model_input=f"{__name__}.encoder:VectorInput",
        input_transform=f"{__name__}.input_transform:VectorTransform",
        description=f"{__name__}.description:VectorDescription",
        service=f"{__name__}.service:VectorService",
        models=("linear", "mlp"),
    )
]
