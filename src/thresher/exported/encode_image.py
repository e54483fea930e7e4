"""Images as the model takes them: uint8 [N, C, H, W]; Pillow is needed where the model resizes."""

from typing import Any

import numpy as np


def encode(encoder: dict[str, Any], images: list[Any]) -> np.ndarray:
    """Return images, each rows of pixels from 0 to 255: [H, W] in grey, or [H, W, 3] in red, green and blue.

    Raises:
        ValueError: one of another size, or with other numbers.
    """
    for number, image in enumerate(images):
        if has_truth(image):
            raise ValueError(f"image {number}: true or false among the pixels")
    return np.stack([one_image(encoder, number, np.asarray(image)) for number, image in enumerate(images)])


def has_truth(image: Any) -> bool:
    """Return whether true or false stands in nested lists, which numpy would take for 1 and 0."""
    return isinstance(image, bool) or (isinstance(image, list) and any(map(has_truth, image)))


def one_image(encoder: dict[str, Any], number: int, pixels: np.ndarray) -> np.ndarray:
    """Return one image as uint8 [C, H, W]."""
    shape, made = (encoder["height"], encoder["width"], encoder["channels"]), encoder.get("preprocessing")
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.shape != shape or pixels.dtype.kind not in "iuf":
        raise ValueError(f"image {number}: {pixels.dtype} {list(pixels.shape)}, but {list(shape)} is expected")
    if not ((pixels >= 0) & (pixels <= 255) & (pixels == np.floor(pixels))).all():
        raise ValueError(f"image {number}: pixels must be whole numbers from 0 to 255")
    pixels = pixels.astype(np.uint8)
    if made:
        pixels = preprocess(made, pixels)
        pixels = np.broadcast_to(pixels, (*pixels.shape[:2], made["channels"]))
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def preprocess(made: dict[str, Any], pixels: np.ndarray) -> np.ndarray:
    """Return a picture [H, W, C], resized and cut from the middle as the pretrained model or the recipe has it."""
    height, width = pixels.shape[:2]
    size, edge = made["size"], made["shortest_edge"]
    if size is None and edge is not None:
        longer = int(edge * max(height, width) / min(height, width))
        size = (edge, longer) if height <= width else (longer, edge)
    if size is not None:
        from PIL import Image

        image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        pixels = np.asarray(image.resize((size[1], size[0]), made["resample"])).reshape(*size, -1)
    for crop in made["crops"]:
        cut = np.zeros((*crop, pixels.shape[2]), np.uint8)
        starts = [(have - wanted) // 2 for have, wanted in zip(pixels.shape[:2], crop, strict=True)]
        source = tuple(slice(max(start, 0), max(start, 0) + wanted) for start, wanted in zip(starts, crop, strict=True))
        part = pixels[source]
        rows, columns = (max(-start, 0) for start in starts)
        cut[rows : rows + part.shape[0], columns : columns + part.shape[1]] = part
        pixels = cut
    return pixels
