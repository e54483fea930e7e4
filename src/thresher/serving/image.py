"""The container image of the Bento: a slim Python and the versions that the model was measured with."""

from __future__ import annotations

import json
import sys

from bentoml.images import Image

from thresher.modalities.encoder import Encoder
from thresher.serving.bentoml_adapter import SERVER_MODULES
from thresher.serving.core.bundle import LABELS, ModelInfo
from thresher.serving.requirements import pinned_packages

BENTO = "/home/bentoml/bento"
"""Where BentoML's entry point looks for the Bento."""
CLEAN = r"""cd /app/.venv/lib/python3*/site-packages && \
    rm -rf onnxruntime/capi/libonnxruntime.so.* onnxruntime/transformers onnxruntime/tools onnxruntime/quantization && \
    find numpy -type d -name tests -prune -exec rm -rf {} + && \
    { command -v strip || \
      { apt-get update -qq && apt-get install -qq --no-install-recommends binutils; } } >/dev/null && \
    find . -name '*.so' -not -path './*.libs/*' -not -path './onnxruntime/*' -exec strip --strip-unneeded {} + || \
    echo 'Not all of it could be made smaller: the image works all the same'"""
"""What packages hold and a service never opens: ONNX Runtime's library for programs in C, tools, tests, symbols."""
HEALTH = ["python", "-P", "src/thresher/serving/health_check.py"]
"""-P: our modules beside it must not hide Python's own."""
IMPORTED = ", ".join((*SERVER_MODULES, "thresher.serving.app", "thresher.serving.worker"))
COMPILE = f'python -m compileall -q src && PYTHONPATH=src python -c "import {IMPORTED}" && rm -rf /tmp/bentoml'
"""Writes the bytecode of our modules and of Python's own, of which the slim image has none: nobody could write it at a
start, on a file system that is read-only, and compiling takes seconds each time."""
CUDA = "onnxruntime-gpu[cuda,cudnn]=={}"


def container_image(encoder: Encoder, info: ModelInfo, gpu: bool = False) -> Image:
    """Return the image for this environment's Python and package versions, with what ``encoder`` needs.

    Naming a distribution would install a compiler, git and gnupg (1 GB); every package here comes as a wheel.

    Args:
        gpu: run the model by CUDA where the machine that serves has it; adds CUDA's libraries, some 3 GB.
    """
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    base = f"python:{python}-slim-bookworm"
    packages = pinned_packages(encoder.REQUIREMENTS)
    if gpu:
        packages = [CUDA.format(pin.split("==")[1]) if pin.startswith("onnxruntime==") else pin for pin in packages]
    image = Image(base_image=base, distro="none", python_version=python)
    return image.python_packages(*packages).run(final_stage(base, info))


def final_stage(base: str, info: ModelInfo) -> str:
    """Return the command that ends the stage in which BentoML installs packages, and the lines of a stage after it.

    BentoML's Dockerfile has no place for a health check, labels or a second stage, but it copies commands as they
    are: here follows a stage that takes the packages and leaves behind uv, pip and what they wrote, and BentoML's
    own last lines, which copy the Bento, choose its user and its entry point, belong to this stage.
    """
    labels = " ".join(f"{name}={json.dumps(value)}" for name, value in image_labels(info).items())
    return f"""{CLEAN}
FROM {base}
ENV LANG=C.UTF-8 LC_ALL=C.UTF-8 PYTHONIOENCODING=UTF-8 PYTHONUNBUFFERED=1 VIRTUAL_ENV=/app/.venv \\
    BENTO_PATH={BENTO} BENTOML_HOME=/tmp/bentoml BENTOML_CONTAINERIZED=true \\
    BENTOML_DO_NOT_TRACK=true ORT_DISABLE_TELEMETRY=1 \\
    PATH=/app/.venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN groupadd -g 1034 -o bentoml && useradd -m -u 1034 -g 1034 -o -r bentoml && mkdir {BENTO}
COPY --from=base-container /app/.venv /app/.venv
WORKDIR {BENTO}
COPY ./src ./src
RUN {COMPILE}
VOLUME /tmp
EXPOSE 3000 3001 3002
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD {json.dumps(HEALTH)}
LABEL {labels}"""


def image_labels(info: ModelInfo) -> dict[str, str]:
    """Return what the image says of its model, by the keys of the Open Container Initiative and our own."""
    return {
        "org.opencontainers.image.title": info.recipe,
        "org.opencontainers.image.version": info.model_version,
        "org.opencontainers.image.revision": info.git_commit,
        "org.opencontainers.image.created": info.created.isoformat(),
        **{f"thresher.{name}": getattr(info, name) for name in (*LABELS, "candidate")},
    }
