#!/usr/bin/env bash
# Install PACKAGES from Debian that a test needs, as root: a browser for the page, or what builds and runs a container.
set -euo pipefail

[ $# -gt 0 ] || { echo "Usage: $0 PACKAGE..." >&2; exit 1; }
command -v apt-get >/dev/null || { echo "apt-get is missing: this is for Debian and Ubuntu" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "Run as root: apt-get installs packages" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
# Two files of tests may want packages at the same moment.
exec 9>/tmp/thresher-apt.lock
flock 9
apt-get update -qq
apt-get install -qq -y --no-install-recommends "$@" >/dev/null
