"""Whatever builds and runs containers here: docker, or podman and buildah, which the test installs where it may."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from container_engine import Engine
from helpers.from_apt import provide

TOOLS = ("buildah", "podman", "runc", "mmdebstrap")
LIMITS = 'default_ulimits = ["nofile=16384:16384", "nproc=16384:16384"]'
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
BASE = f"docker.io/library/python:{PYTHON}-slim-bookworm"
DEBIAN = "bookworm"
LEFT_OUT = ("doc", "man", "locale", "info")


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Return what is at hand, with the base image in it."""
    if shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True).returncode == 0:
        yield Engine("docker", "docker", {}, {})
        return
    provide("neither docker nor podman with buildah are here", *TOOLS)
    folder = tmp_path_factory.mktemp("containers")
    engine = Engine("buildah", "podman", *_configure(folder))
    _skip_unless_it_works(engine, "info")
    if subprocess.run(["podman", "pull", "-q", BASE], env={**os.environ, **engine.for_running}).returncode:
        engine("import", "-q", str(_make_base(folder)), BASE)
    _skip_unless_it_works(engine, "run", "--rm", "--network=host", BASE, "true")
    yield engine
    engine("rmi", "--all", "--force")
    # Files of other users, which pytest's own removal of the folder cannot always delete.
    subprocess.run(["podman", "system", "reset", "--force"], env={**os.environ, **engine.for_running})


def _skip_unless_it_works(engine: Engine, *arguments: str) -> None:
    """Some machines forbid what a container is made of, such as mounts."""
    command = ["podman", *arguments]
    done = subprocess.run(command, env={**os.environ, **engine.for_running}, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no container can be run here: {' '.join(command)}: {done.stderr.strip()[-500:]}")


def _configure(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the environments for building and for running, with all that is written below ``folder``."""
    storage = folder / "storage.conf"
    places = f'runroot = "{folder / "run"}"\ngraphroot = "{folder / "root"}"'
    storage.write_text(f'[storage]\ndriver = "overlay"\n{places}\n')
    (folder / "uv.toml").write_text("system-certs = true\n")
    # What this machine has set up for pip shall count in the build, too.
    given = {"/etc/ssl/certs": "/etc/ssl/certs", "/etc/pip.conf": "/etc/pip.conf"}
    given[str(folder / "uv.toml")] = "/etc/uv/uv.toml"
    volumes = [f"{here}:{there}:ro" for here, there in given.items() if Path(here).exists()]
    engine = '[engine]\nruntime = "runc"\n'
    running, building = folder / "running.conf", folder / "building.conf"
    running.write_text(f"[containers]\n{LIMITS}\n{engine}")
    building.write_text(f"[containers]\n{LIMITS}\nvolumes = {json.dumps(volumes)}\n{engine}")
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"  # where runc is
    common = {"CONTAINERS_STORAGE_CONF": str(storage), "BUILDAH_ISOLATION": "oci", "PATH": path}
    return {**common, "CONTAINERS_CONF": str(building)}, {**common, "CONTAINERS_CONF": str(running)}


def _make_base(folder: Path) -> Path:
    """Return a Debian with Python, like the slim image that no registry could be asked for."""
    archive = folder / "base.tar"
    packages = f"python{PYTHON},python3-pip,python{PYTHON}-venv,ca-certificates"
    command = ["mmdebstrap", "--variant=minbase", f"--include={packages}"]
    command += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT]
    command += ['--customize-hook=rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED', DEBIAN, str(archive)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return archive
