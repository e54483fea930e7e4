"""LeNet-5, with ReLU and max-pooling as it is used today."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Literal

from thresher.config import KindConfig
from thresher.errors import ThresherError
from thresher.modalities.image.model_input import ImageInput

if TYPE_CHECKING:
    from torch import nn


class LeNet(KindConfig):
    """conv 6@5x5, conv 16@5x5, each with ReLU and 2x2 max-pool, then 120-84-K fully connected.

    Source: LeCun et al., "Gradient-based learning applied to document recognition", 1998. ReLU and max-pooling in
    place of tanh and trainable subsampling, and softmax in place of radial basis outputs.
    """

    kind: Literal["lenet"] = "lenet"


def build_lenet(config: LeNet, image: ImageInput, width: int) -> nn.Module:
    """Return the body that maps float [B, C, H, W] to [B, ``width``]; images under 32x32 are padded to it.

    Raises:
        ThresherError: images that are not square.
    """
    from torch import nn

    channels, height, across = image.longest
    if height != across:
        raise ThresherError(f"model lenet takes square images, got {height}x{across}; use the model cnn.")
    # The padding of the first convolution is the padding of the image: same sums, one pass less.
    padding = max(0, (32 - height + 1) // 2)
    side = ((height + 2 * padding - 4) // 2 - 4) // 2
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, 6, 5, padding=padding),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(6, 16, 5),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc1=nn.Linear(16 * side * side, 120),
            relu3=nn.ReLU(),
            fc2=nn.Linear(120, 84),
            relu4=nn.ReLU(),
            fc3=nn.Linear(84, width),
        )
    )
