# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages that a broken driver may send: of the right type, with anything in them."""

from __future__ import annotations

from array import array

import numpy as np
from hypothesis import strategies as st
from node_harness import camera_info, color_image, depth_image
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField, RegionOfInterest

from concerto_ros.ros.outputs.messages import make_header

UINT32 = 2**32 - 1
FRAMES = ("odom", "lidar", "", "/odom", "é\n", "a" * 300)

#: Mostly small, as in messages that make sense; sometimes as large as can be.
sizes = st.one_of(st.integers(0, 40), st.integers(0, 40), st.integers(0, UINT32))
floats = st.one_of(st.floats(), st.sampled_from([0.0, 1.0, -1.0, 1e300, -1e-300]))
seeds = st.integers(0, UINT32)
frames = st.one_of(st.just("odom"), st.just("odom"), st.sampled_from(FRAMES), st.text(max_size=8))

names = st.sampled_from(
    ["x", "y", "z", "x", "y", "z", "rgb", "rgba", "r", "g", "b", "intensity"]
    + ["normal_x", "normal_y", "normal_z", "", "ring"]
)
fields = st.builds(
    PointField,
    name=names,
    offset=st.one_of(st.integers(0, 24), sizes),
    datatype=st.one_of(st.integers(1, 8), st.integers(0, 255)),
    count=st.one_of(st.just(1), st.integers(0, 3), sizes),
)


def noise(seed: int, size: int) -> array:
    """Bytes drawn by their number alone: hypothesis takes its time over many of them."""
    return array("B", np.random.default_rng(seed).bytes(size))


content = st.builds(noise, seeds, st.integers(0, 600))


@st.composite
def spoiled(draw, message, attributes: dict[str, st.SearchStrategy]):
    """``message`` with some of its attributes, mostly few, changed to whatever they may be."""
    count = draw(st.sampled_from([0, 1, 1, 2, 3]))
    names = draw(
        st.lists(st.sampled_from(sorted(attributes)), min_size=count, max_size=count, unique=True)
    )
    for name in names:
        setattr(message, name, draw(attributes[name]))
    return message


def points(seed: int, count: int, step: int, kind: str) -> array:
    """Points of ``step`` bytes: numbers in reach of a sensor, some that are none, or noise."""
    if kind == "noise":
        return noise(seed, count * step)
    random = np.random.default_rng(seed)
    numbers = random.uniform(-5, 5, (count, step // 4)).astype("<f4")
    if kind == "odd":
        odd = np.array([np.nan, np.inf, -np.inf, 0.0, 1e30, 1e-40], np.float32)
        numbers = np.where(random.random(numbers.shape) < 0.3, random.choice(odd), numbers)
    return array("B", numbers.astype("<f4").tobytes())


@st.composite
def clouds(draw, stamp: int) -> PointCloud2:
    """A cloud of ``stamp``, or of none: a good one with some of its attributes spoiled."""
    count = draw(st.integers(0, 30))
    step = draw(st.sampled_from([12, 16, 24, 32]))
    kind = draw(st.sampled_from(["sensor", "sensor", "odd", "noise"]))
    good = [PointField(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate("xyz")]
    message = PointCloud2(
        header=make_header(draw(frames), draw(st.sampled_from([stamp, stamp, stamp, 0]))),
        height=1,
        width=count,
        fields=good,
        point_step=step,
        row_step=step * count,
        data=points(draw(seeds), count, step, kind),
    )
    more_fields = st.lists(fields, max_size=5)
    return draw(
        spoiled(
            message,
            {
                "height": sizes,
                "width": sizes,
                "point_step": sizes,
                "row_step": sizes,
                "is_bigendian": st.booleans(),
                "data": content,
                "fields": st.one_of(more_fields.map(lambda more: good + more), more_fields),
            },
        )
    )


@st.composite
def images(draw, good: Image) -> Image:
    """``good`` with some of its attributes spoiled; its stamp stays."""
    encodings = ["rgb8", "bgra8", "mono8", "16UC1", "32FC1", "8UC3", "mono16", "yuv422", ""]
    return draw(
        spoiled(
            good,
            {
                "height": sizes,
                "width": sizes,
                "step": sizes,
                "encoding": st.one_of(st.sampled_from(encodings), st.text(max_size=5)),
                "is_bigendian": st.integers(0, 255),
                "data": content,
            },
        )
    )


@st.composite
def infos(draw) -> CameraInfo:
    """A camera_info for 80 x 60 pixels with some of its attributes spoiled."""
    regions = st.builds(
        RegionOfInterest, x_offset=sizes, y_offset=sizes, width=sizes, height=sizes
    )
    models = ["plumb_bob", "rational_polynomial", "equidistant", "fisheye", "thin_prism", ""]
    return draw(
        spoiled(
            camera_info(80, 60),
            {
                "height": sizes,
                "width": sizes,
                "distortion_model": st.one_of(st.sampled_from(models), st.text(max_size=5)),
                "d": st.lists(floats, max_size=15),
                "k": st.lists(floats, min_size=9, max_size=9),
                "p": st.lists(floats, min_size=12, max_size=12),
                "binning_x": sizes,
                "binning_y": sizes,
                "roi": regions,
            },
        )
    )


@st.composite
def camera_triples(draw, stamp: int) -> tuple[CameraInfo, Image, Image]:
    """camera_info, colour and depth of ``stamp``, at least one of them spoiled at times."""
    color, depth = color_image(80, 60, stamp), depth_image(80, 60, stamp)
    which = draw(st.sampled_from(["info", "color", "depth", "all"]))
    info = draw(infos()) if which in ("info", "all") else camera_info(80, 60)
    if which in ("color", "all"):
        color = draw(images(color))
    if which in ("depth", "all"):
        depth = draw(images(depth))
    return info, color, depth


@st.composite
def damaged(draw, good: bytes) -> bytes:
    """The bytes of a message with some of them changed, cut off or added."""
    raw = bytearray(good)
    for _ in range(draw(st.integers(0, 6))):
        raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
    return bytes(raw[: draw(st.one_of(st.just(len(raw)), st.integers(0, len(raw))))]) + draw(
        st.binary(max_size=8)
    )
