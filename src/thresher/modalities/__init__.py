"""The kinds of data that a recipe can name. A new one is one file here and its line in the unions and tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, RootModel, TypeAdapter

from thresher.errors import DataError
from thresher.modalities.encoder import Encoder, UnencodableError
from thresher.modalities.image import description as image
from thresher.modalities.image.encoder import ImageEncoder, ImageEncoding
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.outputs import check_values
from thresher.modalities.samples import EncodedSamples, Samples
from thresher.modalities.series import description as series
from thresher.modalities.series.encoder import SeriesEncoder, SeriesEncoding
from thresher.modalities.series.model_input import SeriesInput
from thresher.modalities.tabular import description as tabular
from thresher.modalities.tabular.encoder import TabularEncoder, TabularEncoding
from thresher.modalities.tabular.model_input import TabularInput
from thresher.modalities.text import description as text
from thresher.modalities.text.encoder import TextEncoder, TextEncoding
from thresher.modalities.text.model_input import TextInput

if TYPE_CHECKING:
    import pandas as pd

AnyEncoding = Annotated[ImageEncoding | TextEncoding | TabularEncoding | SeriesEncoding, Field(discriminator="kind")]
AnyEncoder = Annotated[ImageEncoder | TextEncoder | TabularEncoder | SeriesEncoder, Field(discriminator="kind")]


AnyInput = Annotated[ImageInput | TextInput | TabularInput | SeriesInput, Field(discriminator="kind")]


class EncodingChoice(RootModel[AnyEncoding]):
    """`data.encoding` as a node receives it: Kedro turns parameters into classes, not into unions."""


ENCODER: dict[type, type[Encoder]] = {
    ImageEncoding: ImageEncoder,
    TextEncoding: TextEncoder,
    TabularEncoding: TabularEncoder,
    SeriesEncoding: SeriesEncoder,
}
"""Config type -> the encoder that it fits."""

DESCRIBE: dict[type, Callable[[Samples, Any], pd.DataFrame]] = {
    ImageEncoding: image.describe,
    TextEncoding: text.describe,
    TabularEncoding: tabular.describe,
    SeriesEncoding: series.describe,
}
"""Config type -> function from raw samples and that config to the modality's own columns of the sample table."""


def fit_encoder(samples: Samples, encoding: Any) -> Encoder:
    """Return the encoder for ``encoding``, fitted on the raw ``samples``, which are the training split's."""
    return ENCODER[type(encoding)].fit(samples, encoding)


def read_encoder(document: bytes | str) -> Encoder:
    """Return the encoder that was stored as the JSON ``document``.

    Raises:
        pydantic.ValidationError: it is none.
    """
    encoder: Encoder = TypeAdapter(AnyEncoder).validate_json(document)
    return encoder


def encode(encoder: Encoder, samples: Samples) -> EncodedSamples:
    """Return the raw ``samples`` encoded.

    Raises:
        DataError: one of them cannot be encoded, or has a label too large to compute with; with its place.
    """
    check_values(samples)
    try:
        return samples.with_inputs(encoder.encode(samples.inputs))
    except UnencodableError as error:
        place = samples.place(error.index)
        raise DataError(f"{place}: {error} Fix: mend or remove it, or let data.contract find such samples.") from error
