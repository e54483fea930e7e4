"""The packages that a Bento brings, in the versions of this environment. Nothing heavy is imported."""

from __future__ import annotations

from importlib.metadata import requires, version

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REQUIREMENTS = (
    "bentoml",
    "grpcio",
    "grpcio-health-checking",
    "grpcio-reflection",
    "httptools",
    "numpy",
    "onnxruntime",
    "orjson",
    "prometheus-client",
    "protobuf",
    "psutil",
    "pydantic",
    "python-multipart",
    "starlette",
    "uvicorn",
    "uvloop",
)
"""What `thresher.serving` imports; all else follows from these, and from what the champion's encoder requires."""


def pinned_packages(more: tuple[str, ...] = ()) -> list[str]:
    """Return `name==version` for the requirements, ``more``, and all that they require, as installed here.

    The Bento so runs what was tested, and `bentoml build` asks no package index. BentoML adds its own pin.
    """
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
