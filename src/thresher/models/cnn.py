"""A small convolutional network for small images of any shape."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from thresher.config import KindConfig
from thresher.errors import ThresherError
from thresher.modalities.image.model_input import ImageInput

if TYPE_CHECKING:
    from torch import nn


class Cnn(KindConfig):
    """3x3 convolutions with batch norm and ReLU, each followed by a 2x2 max-pool, then one hidden layer."""

    kind: Literal["cnn"] = "cnn"
    channels: tuple[Annotated[int, Field(ge=1, le=65536)], ...] = Field(default=(16, 32), min_length=1, max_length=8)
    """Output channels of each convolution, first to last."""
    hidden: int = Field(default=64, ge=1, le=65536)
    """Units of the hidden fully connected layer."""

    def positions_at_last_norm(self, height: int, width: int) -> int:
        """Return how many numbers of one image a channel of the last batch norm gets, after all poolings but one."""
        poolings = len(self.channels) - 1
        return (height >> poolings) * (width >> poolings)


def build_cnn(config: Cnn, image: ImageInput, width: int) -> nn.Module:
    """Return the body that maps float [B, C, H, W] to [B, ``width``].

    Raises:
        ThresherError: an image too small for so many poolings.
    """
    from torch import nn

    channels, height, across = image.longest
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for index, channels_out in enumerate(config.channels, start=1):
        layers[f"conv{index}"] = nn.Conv2d(channels, channels_out, 3, padding=1, bias=False)
        layers[f"norm{index}"] = nn.BatchNorm2d(channels_out)
        layers[f"relu{index}"] = nn.ReLU()
        layers[f"pool{index}"] = nn.MaxPool2d(2)
        channels, height, across = channels_out, height // 2, across // 2
    if not height or not across:
        raise ThresherError(
            f"model.channels: {len(config.channels)} poolings leave nothing of a {image.height}x{image.width} "
            f"image; give at most {min(image.height, image.width).bit_length() - 1} channels."
        )
    layers["flatten"] = nn.Flatten()
    layers["fc1"] = nn.Linear(channels * height * across, config.hidden)
    layers["relu_hidden"] = nn.ReLU()
    layers["fc2"] = nn.Linear(config.hidden, width)
    return nn.Sequential(layers)
