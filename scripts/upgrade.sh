#!/usr/bin/env bash
# Try the newest versions of everything in .venv-newest: first the tests of what Thresher uses beyond a library's
# documentation, which say what changed, then all. `make upgrade` calls it. Nothing of .venv changes.
set -euo pipefail
cd "$(dirname "$0")/.."

export VENV=.venv-newest
NEWEST=$(mktemp)
export NEWEST
trap 'rm -f "$NEWEST"' EXIT
rm -rf "$VENV"
"${PYTHON:-python3}" - > "$NEWEST" <<'EOF'
"""Print what pyproject.toml requires, without upper bounds."""
import re
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
for requirement in (*project["dependencies"], *extras["dev"], *extras["docs"]):
    print(re.sub(r",?<[^,;]*", "", requirement))
EOF
scripts/install.sh

echo "Newer than in constraints.txt:"
"$VENV/bin/uv" pip freeze --python "$VENV/bin/python" --exclude-editable | sed 's/+cpu$//' | grep -vxFf <(cut -d" " -f1 constraints.txt) || echo "  nothing"
"$VENV/bin/pytest" -q tests/dependency_contracts
"$VENV/bin/pytest" -n 2 --dist loadfile --no-loadscope-reorder
echo "All tests pass. Raise the bounds in pyproject.toml and the versions in scripts/pins.txt, then: make lock"
