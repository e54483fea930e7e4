"""The container image of the Bento: a slim Python and the versions that the model was measured with."""

from __future__ import annotations

import sys
from importlib.metadata import requires, version

from bentoml.images import Image

from thresher.modalities.encoder import Encoder

REQUIREMENTS = ("bentoml", "numpy", "onnxruntime", "pydantic", "python-multipart", "starlette")
"""What `thresher.serving` imports; all else follows from these, and from what the champion's encoder requires."""


def container_image(encoder: Encoder) -> Image:
    """Return the image for this environment's Python and package versions, with what ``encoder`` needs.

    Naming a distribution would install a compiler, git and gnupg (1 GB); every package here comes as a wheel.
    """
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    image = Image(base_image=f"python:{python}-slim-bookworm", distro="none", python_version=python)
    return image.python_packages(*pinned_packages(encoder.REQUIREMENTS))


def pinned_packages(more: tuple[str, ...] = ()) -> list[str]:
    """Return `name==version` for the requirements, ``more``, and all that they require, as installed here.

    The Bento so runs what was tested, and `bentoml build` asks no package index. BentoML adds its own pin.
    """
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    pins: dict[str, str] = {}
    left = [Requirement(name) for name in (*REQUIREMENTS, *more)]
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        if name not in pins:
            pins[name] = version(name)
            needed = map(Requirement, requires(name) or [])
            left += [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    return [f"{name}=={pins[name]}" for name in sorted(pins) if name != "bentoml"]
