# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
#
# The node on a PC with an NVIDIA GPU, by the steps of README.md; docs/containers.md says how to
# build and run it. A test keeps the steps the same; the image itself was not built yet.
FROM ros:jazzy

SHELL ["/bin/bash", "-eo", "pipefail", "-c"]
# What the NVIDIA Container Toolkit lends to the container. CUDA's libraries come with torch.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility

# Python's headers and the compiler of the image: Triton compiles its launchers with them.
RUN apt-get update && apt-get install --yes --no-install-recommends \
    python3-dev python3-pip python3-venv \
  && rosdep update --rosdistro jazzy

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
