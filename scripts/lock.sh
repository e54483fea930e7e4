#!/usr/bin/env bash
# Write constraints.txt anew: the versions of the pins and of all that they bring. `make lock` calls it.
set -euo pipefail
cd "$(dirname "$0")/.."

PINS=scripts/pins.txt
{
  echo "# Every version that Thresher is tested with. Written by \`make lock\` from pyproject.toml and $PINS."
  # torch pins its own CUDA packages, and a CPU build has none: they do not belong here.
  env -u UV_FIND_LINKS .venv/bin/uv pip compile pyproject.toml --extra dev --extra docs --constraint "$PINS" --python-version 3.11 \
    --universal --no-header --no-annotate --no-emit-index-url --quiet |
    grep -vE '^(nvidia-(cu|nccl|nv)[a-z0-9-]*|cuda-[a-z-]+|triton)==' |
    sed -E 's/^(torch==[0-9.]+) .*/\1/'
  grep '^uv==' "$PINS"
} > constraints.txt.new
mv constraints.txt.new constraints.txt
