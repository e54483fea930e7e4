"""The kinds of data that a recipe can name. A new one is a folder here, or anywhere, and its record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import RootModel, TypeAdapter

from thresher.config import KindConfig
from thresher.errors import DataError
from thresher.kinds.field import KindOf
from thresher.kinds.record import ModalityKind
from thresher.kinds.registry import kind_of, registry
from thresher.modalities.encoder import Encoder, UnencodableError
from thresher.modalities.model_input import ModelInput
from thresher.modalities.outputs import check_values
from thresher.modalities.samples import EncodedSamples, Samples

AnyEncoding = Annotated[KindConfig, KindOf(ModalityKind)]
AnyEncoder = Annotated[Encoder, KindOf(ModalityKind, part="implementation")]
AnyInput = Annotated[ModelInput, KindOf(ModalityKind, part="model_input")]


class EncodingChoice(RootModel[AnyEncoding]):
    """`data.encoding` as a node receives it: Kedro turns parameters into classes, not into unions."""


def modality_of(thing: KindConfig) -> ModalityKind:
    """Return the record of the modality whose encoding, encoder or model input ``thing`` is."""
    return kind_of(ModalityKind, thing)


def encoder_classes() -> list[type[Encoder]]:
    """Return the encoders of all modalities that can be imported."""
    return [kind.class_of("implementation") for kind in registry().usable(ModalityKind)]


def fit_encoder(samples: Samples[Any], encoding: Any) -> Encoder:
    """Return the encoder for ``encoding``, fitted on the raw ``samples``, which are the training split's."""
    encoder: Encoder = modality_of(encoding).load().fit(samples, encoding)
    return encoder


def read_pretrained(files: Mapping[str, bytes], folder: str, encoding: Any, samples: Samples[Any]) -> Encoder:
    """Return the encoder that a pretrained model brings along in the ``files`` of its ``folder``.

    Args:
        samples: raw ones of the training split.

    Raises:
        DataError: files that no encoder can be made of.
    """
    encoder: Encoder = modality_of(encoding).load().from_files(files, folder, encoding, samples)
    return encoder


def read_encoder(document: bytes | str) -> Encoder:
    """Return the encoder that was stored as the JSON ``document``.

    Raises:
        pydantic.ValidationError: it is none.
    """
    encoder: Encoder = TypeAdapter(AnyEncoder).validate_json(document)
    return encoder


def encode(encoder: Encoder, samples: Samples[Any]) -> EncodedSamples:
    """Return the raw ``samples`` encoded.

    Raises:
        DataError: one of them cannot be encoded, or has a label too large to compute with; with its place.
    """
    check_values(samples)
    try:
        return samples.with_inputs(encoder.encode(samples.inputs))
    except UnencodableError as error:
        place = samples.place(error.index)
        raise DataError(
            f"{place}: {error} Fix: correct or remove it, or let data.contract find such samples."
        ) from error
