"""`thresher containerize`: builds the image of a Bento with docker, podman or buildah."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from thresher.errors import ThresherError
from thresher.packaging.bento import build_bento
from thresher.project.folder import find_project
from thresher.serving.core.bundle import read_bundle

BUILDERS = ("docker", "podman", "buildah")
FORMAT = "--format=docker"
"""buildah and podman otherwise write the OCI format, which has no health check."""


class ContainerError(ThresherError):
    """An image that cannot be built."""


@dataclass(frozen=True)
class BuildOptions:
    """The options of the command line."""

    find_bento: Callable[[], str]
    """Returns the tag of the Bento; called once a builder is found."""
    tag: str | None
    """The image's tag; None for the Bento's."""
    builder: str | None
    """One of BUILDERS; None for the first that works."""
    gpu: bool
    """Whether the image runs the model with CUDA."""
    builder_options: tuple[str, ...]
    """`NAME=VALUE`, each an option of the builder."""


def containerize(options: BuildOptions, console: Console) -> str:
    """Build the image and return its tag.

    Raises:
        ContainerError: no builder, or the builder failed.
        BundleError: the model in BentoML's store was altered since it was packed.
    """
    import bentoml

    builder = find_builder(options.builder)
    bento = options.find_bento()
    model = bentoml.models.get(bentoml.get(bento).info.all_models[0].tag)
    read_bundle(Path(model.path))
    if options.gpu:
        console.print(f"Building the Bento of {bento.split(':')[0]} with CUDA")
        bento = build_bento(bento.split(":")[0], find_project(), gpu=True, model=str(model.tag))
    tag = options.tag or bento
    console.print(f"Building image {tag} of Bento {bento} with {builder}")
    if _build(builder, bento, tag, options.builder_options):
        raise ContainerError(
            f"{builder} could not build image {tag}; its output is above. A common cause is a registry or a package "
            "index that cannot be reached."
        )
    return tag


def _build(builder: str, bento: str, tag: str, options: tuple[str, ...]) -> int:
    """Return the exit code of ``builder``, whose output goes to the terminal."""
    import bentoml

    from thresher.serving.bentoml_adapter import containerfile

    docker = builder == "docker"
    given = ([] if docker else [FORMAT]) + [f"--{option}" for option in options]
    with containerfile(bentoml.get(bento), enable_buildkit=docker) as (folder, file):
        command = [builder, "build", "-t", tag, "-f", file, *given, folder]
        return subprocess.run(command, cwd=folder, env={"DOCKER_BUILDKIT": "1", **os.environ}).returncode


def find_builder(name: str | None) -> str:
    """Return the builder to use: ``name``, or the first that is installed and works.

    Raises:
        ContainerError: there is none.
    """
    if name and not shutil.which(name):
        raise ContainerError(f"{name} is not installed. Install it, or leave out --builder.")
    for builder in (name,) if name else BUILDERS:
        if shutil.which(builder) and (builder != "docker" or _works("docker", "info")):
            return builder
    if name:
        raise ContainerError(f"{name} is installed, but its engine does not answer. Start it, or leave out --builder.")
    raise ContainerError(f"No builder found. Install one of: {', '.join(BUILDERS)}; docker's engine must be running.")


def next_steps(tag: str) -> str:
    """Return the command that runs the image."""
    ports = " ".join(f"-p 127.0.0.1:{port}:{port}" for port in (3000, 3001, 3002))
    return f"Run it: docker run --read-only {ports} {tag}"


def _works(*command: str) -> bool:
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
