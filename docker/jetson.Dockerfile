# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
#
# The node on a Jetson with JetPack 6, whose own Ubuntu is too old for ROS 2 Jazzy: NVIDIA's image
# with a torch for Jetson on Ubuntu 24.04, then ROS 2, then the steps of README.md. docs/jetson.md
# says how to build and run it. A test keeps the steps the same; the image itself was not built yet.
ARG BASE=nvcr.io/nvidia/pytorch:25.06-py3-igpu
FROM ${BASE}

SHELL ["/bin/bash", "-eo", "pipefail", "-c"]
ENV DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8
# NVIDIA's pins are for its own packages; requirements.txt leaves its torch alone.
ENV PIP_CONSTRAINT=

# ROS 2 Jazzy as docs.ros.org says for Ubuntu 24.04.
RUN <<'ROS'
apt-get update
apt-get install --yes --no-install-recommends curl python3-dev python3-pip python3-venv
source /etc/os-release
releases=https://github.com/ros-infrastructure/ros-apt-source/releases
version=$(curl -fsSL -o /dev/null -w '%{url_effective}' $releases/latest | sed 's,.*/,,')
curl -fsSL -o /tmp/source.deb $releases/download/$version/ros2-apt-source_$version.${UBUNTU_CODENAME}_all.deb
dpkg -i /tmp/source.deb
apt-get update
apt-get install --yes --no-install-recommends ros-dev-tools ros-jazzy-ros-base
rosdep init
rosdep update --rosdistro jazzy
ROS

WORKDIR /root/ros2_ws
COPY . src/concerto_ros
RUN <<'STEPS'
source /opt/ros/jazzy/setup.bash
rosdep install --from-paths src --ignore-src -y \
  --skip-keys "python3-huggingface-hub-pip python3-open3d-pip python3-pytorch-pip python3-rosbags-pip"
python3 -m venv --system-site-packages .venv && touch .venv/COLCON_IGNORE && source .venv/bin/activate
pip install -r src/concerto_ros/requirements.txt
colcon build --symlink-install
STEPS

ENTRYPOINT ["/bin/bash", "-c", "source .venv/bin/activate && source install/setup.bash && exec \"$@\"", "--"]
CMD ["ros2", "launch", "concerto_ros", "perception.launch.py", "--show-args"]
