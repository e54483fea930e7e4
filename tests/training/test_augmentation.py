"""Each augmentation does what it says, to every image at random, and leaves type and shape."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from thresher.kinds.built_in import AUGMENTATIONS
from thresher.kinds.record import AugmentationKind
from thresher.modalities.samples import Samples
from thresher.models.network import Network
from thresher.training import Training
from thresher.training.augmentation import Crop, Cutout, Flip, Shift, augment
from thresher.training.loop import train

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(1, 256, (200, 3, 12, 10)).astype(np.uint8))


@pytest.mark.parametrize("kind", AUGMENTATIONS, ids=lambda kind: kind.name)
def test_type_and_shape_stay_and_the_seed_decides(kind: AugmentationKind) -> None:
    def again(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return augment(IMAGES, [kind.config_class()])

    first = again(1)
    assert (first.dtype, first.shape) == (torch.uint8, IMAGES.shape)
    assert torch.equal(first, again(1))
    assert not torch.equal(first, again(2))
    assert not torch.equal(first, IMAGES)


def test_about_half_of_the_images_are_flipped_and_the_others_left() -> None:
    torch.manual_seed(0)
    after = augment(IMAGES, [Flip()])
    flipped = [torch.equal(one, before.flip(2)) for one, before in zip(after, IMAGES, strict=True)]
    left = [torch.equal(one, before) for one, before in zip(after, IMAGES, strict=True)]
    assert all(one != other for one, other in zip(flipped, left, strict=True))
    assert 70 < sum(flipped) < 130


def test_an_image_is_flipped_with_a_probability_of_a_half() -> None:
    torch.manual_seed(0)
    ramps = torch.arange(2, dtype=torch.uint8).expand(20_000, 1, 1, 2)
    share = (augment(ramps, [Flip()])[:, 0, 0, 0] == 1).float().mean().item()
    assert abs(share - 0.5) < 0.02  # 5 standard deviations


def test_a_shift_moves_by_whole_pixels_and_fills_with_0() -> None:
    torch.manual_seed(0)
    after = augment(IMAGES, [Shift(pixels=2)])
    padded = torch.nn.functional.pad(IMAGES, (2, 2, 2, 2))
    seen = set()
    for one, whole in zip(after, padded, strict=True):
        moves = [
            (down, right)
            for down in range(5)
            for right in range(5)
            if torch.equal(one, whole[:, down : down + 12, right : right + 10])
        ]
        assert len(moves) == 1
        seen.update(moves)
    assert len(seen) == 25


def test_a_crop_enlarges_a_part_of_the_image() -> None:
    torch.manual_seed(0)
    ramp = torch.arange(0, 240, 10, dtype=torch.uint8).repeat(200, 1, 24, 1)
    after = augment(ramp, [Crop(share=0.5)]).float()
    # Half of the width over the whole of it: the slope is halved, and nothing is made up.
    slopes = (after[:, 0, 12, 20] - after[:, 0, 12, 4]) / 16
    assert slopes.min() > 4.7
    assert slopes.max() < 5.3
    assert after.min() >= 0
    assert after.max() <= 230
    # Which half it is differs.
    assert after[:, 0, 12, 12].std() > 20


def test_a_cutout_is_a_square_of_0_that_may_hang_over_the_edge() -> None:
    torch.manual_seed(0)
    gone = augment(IMAGES, [Cutout(pixels=4)]) == 0
    assert torch.equal(gone.any(1), gone.all(1))
    sizes = gone[:, 0].sum((1, 2))
    assert sizes.max() == 16
    assert 4 <= sizes.min() < 16
    for image in gone[:, 0]:
        assert image.any(0).sum() * image.any(1).sum() == image.sum()


def test_steps_are_done_in_order() -> None:
    torch.manual_seed(3)
    both = augment(IMAGES, [Cutout(pixels=3), Flip()])
    torch.manual_seed(3)
    assert torch.equal(both, augment(augment(IMAGES, [Cutout(pixels=3)]), [Flip()]))


def test_training_is_augmented_and_validation_is_not(network: Network, halves: Callable[[int], Samples]) -> None:
    # Flipped at random, left and right cannot be told apart, but by an image that is not flipped they can.
    config = Training.model_validate({"epochs": 4, "batch_size": 16, "optimizer": {"kind": "adam", "lr": 0.02}})
    _, plain = train(network, halves(64), halves(64), config, "float")
    flipped = config.model_copy(update={"augmentation": (Flip(),)})
    _, confused = train(network, halves(64), halves(64), flipped, "float")
    assert plain.epochs[-1].training_loss < 0.2
    assert confused.epochs[-1].training_loss > 0.5
