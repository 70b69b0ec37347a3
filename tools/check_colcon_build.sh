#!/bin/bash
# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
#
# Builds a copy of the package with colcon against the ROS 2 in .venv, sources its setup.bash and
# checks what is installed: messages, modules, executables and shared files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=$PWD/.venv
workspace=$(mktemp -d)
trap 'rm -rf "$workspace"' EXIT

mkdir -p "$workspace/src/concerto_ros"
git ls-files -z --cached --others --exclude-standard \
  | while IFS= read -r -d '' file; do if [ -e "$file" ]; then printf '%s\0' "$file"; fi; done \
  | tar --create --null --files-from=- | tar --extract --directory "$workspace/src/concerto_ros"

# Import the copy only: the environment has a path entry for the source tree.
unset PYTHONPATH LD_LIBRARY_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE
export AMENT_PREFIX_PATH=$venv CMAKE_PREFIX_PATH=$venv VIRTUAL_ENV=$venv PATH=$venv/bin:$PATH

cd "$workspace"
if ! colcon build > build.log 2>&1; then
  cat build.log
  exit 1
fi
tail -n 1 build.log
for manifest in src/concerto_ros/cmake/*/package.xml; do
  copy=$(basename "$(dirname "$manifest")")
  if [ -e "install/$copy" ]; then
    echo "colcon built $copy, which would shadow the package of a ROS 2 installation" >&2
    exit 1
  fi
done

set +u
# shellcheck disable=SC1091
source install/setup.bash
set -u
cd /
installed=$workspace/install/concerto_ros
python - "$installed" << 'CHECK'
import importlib
import sys
from pathlib import Path

import concerto_ros

installed = Path(sys.argv[1])
source = installed.parents[1] / "src" / "concerto_ros"
files = [path.relative_to(source).with_suffix("") for path in source.glob("concerto_ros/**/*.py")]
names = [".".join(path.parts) for path in files if path.name != "__main__"]
for name in ("concerto_ros.msg", "concerto_ros.srv", *names):
    module = importlib.import_module(name.removesuffix(".__init__"))
    assert Path(module.__file__).is_relative_to(installed), module.__file__
share, site = installed / "share" / "concerto_ros", Path(concerto_ros.__file__).parents[1]
for base, folders in ((share, ("config", "launch", "msg", "rviz")), (site, ("concerto_ros",))):
    for folder in folders:
        for path in (source / folder).rglob("*"):
            copy = base / path.relative_to(source)
            assert copy.exists(), f"{copy} is not installed"
print(f"{len(names)} modules, messages and shared files are installed")
CHECK
"$installed/lib/concerto_ros/concerto-ros" --help > /dev/null

# The node must start from the installed tree and end cleanly when interrupted.
export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ROS_DOMAIN_ID=101
python - "$installed/lib/concerto_ros/perception_node" << 'CHECK'
import signal
import subprocess
import sys
import time

node = subprocess.Popen([sys.argv[1], "--ros-args", "-p", "autostart:=false"])
time.sleep(8.0)
assert node.poll() is None, f"perception_node ended early with status {node.returncode}"
node.send_signal(signal.SIGINT)
assert node.wait(timeout=20.0) == 0, f"perception_node ended with status {node.returncode}, expected 0"
print("perception_node starts and ends cleanly")
CHECK
