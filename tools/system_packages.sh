#!/bin/bash
# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
#
# Makes sure that what pip cannot install exists: a C++ compiler and CMake for the messages, the
# venv module of the chosen Python, and the libraries that open3d loads. Run by root it installs
# what is missing; else it prints a command that does, and fails.
# Usage: system_packages.sh PYTHON
set -euo pipefail

python=$1
missing=()

version_at_least() {
  [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]
}

library_present() {
  # ldconfig lives in sbin, which is not on every user's PATH.
  # Read to the end: under pipefail a reader that leaves early would look like "absent".
  PATH="$PATH:/usr/sbin:/sbin" ldconfig -p | grep -F "$1" > /dev/null
}

command -v g++ > /dev/null || missing+=(g++)
command -v make > /dev/null || missing+=(make)
cmake=$(command -v cmake > /dev/null && cmake --version | awk 'NR == 1 {print $3}' || true)
if [ -z "$cmake" ] || ! version_at_least "$cmake" 3.21; then
  missing+=(cmake)
fi
library_present libusb-1.0.so.0 || missing+=(libusb-1.0-0)
library_present libGL.so.1 || missing+=(libgl1)
library_present libgomp.so.1 || missing+=(libgomp1)
if ! "$python" -c "import ensurepip, venv" 2> /dev/null; then
  missing+=("python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv")
fi
# Debian's Python keeps its headers in a package of their own; the messages are compiled.
headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
if [ ! -f "$headers/Python.h" ]; then
  missing+=("python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-dev")
fi

[ ${#missing[@]} -eq 0 ] && exit 0

install="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" -eq 0 ] && command -v apt-get > /dev/null; then
  echo "Installing what is missing on this system: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # A package list that cannot be refreshed may still be good enough.
  apt-get update -qq < /dev/null || echo "apt-get update failed; using the package lists of the last update"
  exec apt-get install -y -qq --no-install-recommends "${missing[@]}" < /dev/null
fi
echo "Missing on this system: ${missing[*]}. Paste this line, then run make again:" >&2
echo "sudo sh -c '$install'" >&2
exit 1
