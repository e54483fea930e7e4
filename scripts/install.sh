#!/usr/bin/env bash
# Make .venv with Thresher and all that it needs, at the versions of constraints.txt. `make` calls it when those change;
# scripts/upgrade.sh makes another one, with the newest versions that the file $NEWEST allows.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}
NEWEST=${NEWEST:-}
TORCH=$(grep -m1 -E '^torch==' constraints.txt | cut -d' ' -f1)
[ -z "$NEWEST" ] || TORCH=torch

say() { printf '\033[1m%s\033[0m\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
  fail "Thresher needs Python 3.11 or newer, and '$PYTHON' is not. Install one and run: make PYTHON=python3.11 run"
"$PYTHON" -c 'import ensurepip, venv' 2>/dev/null ||
  fail "'$PYTHON' cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv"

[ -x "$VENV/bin/python" ] || { say "Making $VENV"; "$PYTHON" -m venv "$VENV"; }
[ -x "$VENV/bin/uv" ] || "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt uv

# uv does not read pip's configuration; what a machine has set up for pip shall count here, too.
setting() { "$VENV/bin/python" -m pip config get "$1" 2>/dev/null || true; }
export UV_FIND_LINKS=${UV_FIND_LINKS:-${PIP_FIND_LINKS:-$(setting global.find-links)}}
export UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-${PIP_INDEX_URL:-$(setting global.index-url)}}
[ -n "$UV_FIND_LINKS" ] || unset UV_FIND_LINKS
[ -n "$UV_DEFAULT_INDEX" ] || unset UV_DEFAULT_INDEX
install() { "$VENV/bin/uv" pip install --python "$VENV/bin/python" --compile-bytecode "$@"; }

# On Linux the plain torch brings gigabytes of CUDA. Without a GPU, take a CPU build wherever there is one.
if ! "$VENV/bin/python" -c 'import torch' 2>/dev/null; then
  if [ "$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null; then
    say "Installing $TORCH for the CPU (no GPU here)"
    install --quiet --no-deps --no-index "$TORCH" 2>/dev/null ||
      install --torch-backend cpu "$TORCH" ||
      { say "No CPU build of torch could be had: the plain one follows, which is several GB"; install "$TORCH"; }
  else
    say "Installing $TORCH"
    install "$TORCH"
  fi
fi

say "Installing Thresher and its dependencies"
if [ -n "$NEWEST" ]; then
  install -r "$NEWEST"
  install --no-deps -e .
else
  install -c constraints.txt -e '.[dev,docs]'
fi

# Read at every start of this environment's Python, so that `mlflow ui` or `bentoml serve` do not phone home either.
site=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
cp scripts/no_telemetry.pth "$site/thresher_no_telemetry.pth"
say "Ready. For a shell with kedro, mlflow, bentoml and thresher: source $VENV/bin/activate"
