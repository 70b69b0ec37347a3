# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A node whose GPU is lost ends, so that it is started again; one with another error lives.

With a stand-in for CUDA: no GPU is needed. Where the node ends, it is in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from node_harness import ONE_CLOUD, START, cloud_message, room
from paths import REPOSITORY
from sensor_msgs.msg import PointCloud2

from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ptv3.kernels import lost_device
from concerto_ros.ros.node import PerceptionNode
from concerto_ros.ros.outputs.messages import make_header
from concerto_ros.ros.stages import inference_stage

#: The node with an inference, or a configuration, that fails as does all that the GPU is given.
NODE = """
import sys, torch
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ptv3.kernels import lost_device
from concerto_ros.ros import node
from concerto_ros.ros.stages import inference_stage

def fails(*_, **__):
    raise {error}

def probe(device):
    raise {error}

torch.cuda.is_initialized = lambda: True
lost_device.compute = probe
cuda = lambda _: lost_device.why_lost(torch.device("cuda"))
inference_stage.why_lost = node.why_lost = cuda
SemanticPipeline.{method} = fails
sys.exit(node.main(sys.argv))
"""
ILLEGAL = "CUDA error: an illegal memory access was encountered"
LOST = f'RuntimeError("{ILLEGAL}")'


@pytest.fixture
def world(ros):
    one = ros.create_node("world")
    yield one
    one.destroy_node()


def started(method):
    script = NODE.format(method=method, error=LOST)
    arguments = [
        part
        for name, value in ONE_CLOUD.items()
        for part in ("-p", f"{name}:={str(value)}".replace("'", '"'))
    ]
    return subprocess.Popen(
        [sys.executable, "-c", script, "--ros-args", *arguments],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stderr=subprocess.PIPE,
        text=True,
    )


def run(world, process, seconds=60.0):
    """Send clouds and read labels and diagnostics until the process ends; the ERRORs."""
    errors: set[str] = set()

    def on_diagnostics(array):
        errors.update(s.message for s in array.status if s.level == DiagnosticStatus.ERROR)

    topic = ONE_CLOUD["clouds.front.topic"]
    clouds = world.create_publisher(PointCloud2, topic, 1)
    world.create_subscription(PointCloud2, "/concerto/labels", lambda _: None, 1)
    world.create_subscription(DiagnosticArray, "/diagnostics", on_diagnostics, 10)
    end, stamp = time.monotonic() + seconds, START
    while process.poll() is None:
        assert time.monotonic() < end, errors
        stamp += 100_000_000
        clouds.publish(cloud_message(make_header("odom", stamp), room(size=300)))
        rclpy.spin_once(world, timeout_sec=0.1)
    for _ in range(20):  # what arrived before the end
        rclpy.spin_once(world, timeout_sec=0.02)
    return errors


@pytest.mark.parametrize("method", ["infer", "warm_up"])
def test_a_node_whose_gpu_is_lost_says_so_and_ends(world, method):
    with started(method) as process:
        errors = run(world, process)
        log = process.stderr.read()
    assert process.returncode == 1
    assert any("the GPU computes nothing any more" in text and ILLEGAL in text for text in errors)
    assert "[FATAL]" in log and ILLEGAL in log


@pytest.mark.parametrize(
    "error, probe",
    [
        (RuntimeError("shapes cannot be multiplied"), None),
        (torch.cuda.OutOfMemoryError("CUDA"), RuntimeError("out of memory")),
    ],
    ids=["ordinary error", "full"],
)
def test_a_node_with_any_other_error_lives(harness, error, probe):
    probed, ended = [], []

    def fails(*_, **__):
        raise error

    def compute(device):
        probed.append(device)
        if probe is not None:
            raise probe

    def on_cuda(_):
        return lost_device.why_lost(torch.device("cuda"))

    one = harness(**ONE_CLOUD)
    one.listen_to_labels()
    one.start()

    def errors():
        arrays = one.received["/diagnostics"]
        entries = [entry for array in arrays for entry in array.status]
        return [entry.message for entry in entries if entry.level == DiagnosticStatus.ERROR]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_initialized", lambda: True)
        patch.setattr(lost_device, "compute", compute)
        patch.setattr(inference_stage, "why_lost", on_cuda)
        patch.setattr(PerceptionNode, "_end_when_heard", lambda _, why: ended.append(why))
        patch.setattr(SemanticPipeline, "infer", fails)
        one.send_room()
        one.wait(lambda: any("inference failed" in text for text in errors()), "the error")
        heard = len(one.received["/diagnostics"])
        one.wait(lambda: len(one.received["/diagnostics"]) > heard + 2, "more diagnostics")
    assert probed and not ended
    assert not any("GPU" in text for text in errors())
