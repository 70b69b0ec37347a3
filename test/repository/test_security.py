# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The policy of SROS 2 allows what a real node uses, and nothing else."""

from __future__ import annotations

import fnmatch
import xml.etree.ElementTree as ElementTree

import pytest
from node_harness import CAMERA, ONE_CLOUD
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2

from concerto_ros.files.shared_files import share_path

#: Published only where vision_msgs is installed.
VISION_MSGS = {"/concerto/detections", "/concerto/label_info"}

#: The sensors of the policy, as the parameters of a node name them.
SENSORS = {
    "cloud_names": ["front"],
    "clouds.front.topic": "/velodyne_points",
    "camera_names": ["head"],
    "cameras.head.color_topic": "/camera/camera/color/image_raw",
    "cameras.head.depth_topic": "/camera/camera/aligned_depth_to_color/image_raw",
    "cameras.head.info_topic": "/camera/camera/color/camera_info",
}


@pytest.fixture(scope="module")
def profile() -> ElementTree.Element:
    policy = ElementTree.parse(share_path("config/sros2/policy.xml")).getroot()
    (found,) = policy.findall("enclaves/enclave/profiles/profile")
    return found


def allowed(profile: ElementTree.Element, kind: str, verb: str) -> set[str]:
    """Full names, which may hold patterns, that the policy allows to publish, reply to, ..."""
    names = [
        entry.text
        for group in profile.findall(kind)
        for entry in group
        if group.get(verb) == "ALLOW"
    ]
    assert len(set(names)) == len(names)
    return {name.replace("~", f"/{profile.get('node')}", 1) for name in names}


def difference(used: set[str], policy: set[str]) -> tuple[set[str], set[str]]:
    """What is used without being allowed, and what is allowed for no use."""
    forbidden = {n for n in used if not any(fnmatch.fnmatch(n, p) for p in policy)}
    useless = {p for p in policy if not any(fnmatch.fnmatch(n, p) for n in used)}
    return forbidden, useless


def test_the_policy_has_the_form_that_sros2_reads(profile):
    policy = ElementTree.parse(share_path("config/sros2/policy.xml")).getroot()
    assert policy.tag == "policy" and policy.get("version") == "0.2.0"
    assert policy.find("enclaves/enclave").get("path") == "/concerto"
    assert dict(profile.attrib) == {"ns": "/", "node": "concerto"}
    verbs = {"topics": {"publish", "subscribe"}, "services": {"reply", "request"}}
    entries = {"topics": "topic", "services": "service"}
    for group in profile:
        assert set(group.attrib) <= verbs[group.tag] and set(group.attrib.values()) == {"ALLOW"}
        assert len(group) and {entry.tag for entry in group} == {entries[group.tag]}


def test_the_policy_allows_what_a_node_uses_and_nothing_else(harness, profile):
    one = harness(
        **(ONE_CLOUD | CAMERA | SENSORS),
        use_sim_time=True,
        filter_names=["obstacles", "ground"],
        **{"filters.ground.include": ["floor"]},
    )
    one.start()
    one.listen("/concerto/labels", PointCloud2, QoSProfile(depth=1))

    def names(of: str) -> set[str]:
        found = getattr(one.robot, f"get_{of}_names_and_types_by_node")("concerto", "/")
        return {name for name, _ in found}

    one.wait(lambda: "/concerto/filtered/ground" in names("publisher"), "the graph")
    for of, kind, verb in (
        ("publisher", "topics", "publish"),
        ("subscriber", "topics", "subscribe"),
        ("service", "services", "reply"),
    ):
        forbidden, useless = difference(names(of), allowed(profile, kind, verb))
        assert not forbidden, f"config/sros2/policy.xml does not allow to {verb}: {forbidden}"
        assert useless <= VISION_MSGS, f"config/sros2/policy.xml allows for no use: {useless}"
    assert not names("client")
    assert not allowed(profile, "services", "request")
