# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The image encodings that are decoded, and what an image shows by its encoding.

One list for the node and for the inputs of bags. The names are those of
sensor_msgs/image_encodings.hpp, in small letters; drivers write them in both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from concerto_ros.sensors.images.transports import source_encoding

#: What an image shows. The colours of an ``undecoded`` one cannot be read, and a depth image
#: beside it is used without them; ``other`` is no colour image and holds no distances.
Role = Literal["color", "grey", "depth", "undecoded", "other"]


@dataclass(frozen=True)
class Packed:
    """An encoding whose pixels have their channels side by side.

    Attributes:
        dtype: NumPy type of a channel.
        channels: Number of channels.
        rgb: Indices of red, green and blue among them.
    """

    dtype: str
    channels: int
    rgb: tuple[int, int, int]


_RGB, _BGR, _GREY = (0, 1, 2), (2, 1, 0), (0, 0, 0)

#: OpenCV's own type names (8UC3) do not define the order of the channels; blue first is OpenCV's,
#: and how RViz reads them.
PACKED = {
    "rgb8": Packed("u1", 3, _RGB),
    "bgr8": Packed("u1", 3, _BGR),
    "rgba8": Packed("u1", 4, _RGB),
    "bgra8": Packed("u1", 4, _BGR),
    "mono8": Packed("u1", 1, _GREY),
    "8uc1": Packed("u1", 1, _GREY),
    "8uc3": Packed("u1", 3, _BGR),
    "8uc4": Packed("u1", 4, _BGR),
    "rgb16": Packed("u2", 3, _RGB),
    "bgr16": Packed("u2", 3, _BGR),
    "rgba16": Packed("u2", 4, _RGB),
    "bgra16": Packed("u2", 4, _BGR),
    "mono16": Packed("u2", 1, _GREY),
    "16uc3": Packed("u2", 3, _BGR),
    "16uc4": Packed("u2", 4, _BGR),
    "32fc3": Packed("f4", 3, _BGR),
    "32fc4": Packed("f4", 4, _BGR),
    "64fc3": Packed("f8", 3, _BGR),
    "64fc4": Packed("f8", 4, _BGR),
}

#: Mosaics of a sensor with one colour per pixel: the colours of the first 2 x 2 pixels, by rows,
#: and the NumPy type.
BAYER = {
    f"bayer_{pattern}{bits}": (pattern, dtype)
    for pattern in ("rggb", "bggr", "gbrg", "grbg")
    for bits, dtype in ((8, "u1"), (16, "u2"))
}

#: Two bytes per pixel; each pair of pixels has its chroma in common. By the order of the bytes.
YUV_422 = {"uyvy": "uyvy", "yuv422": "uyvy", "yuyv": "yuyv", "yuv422_yuy2": "yuyv"}

#: A plane of luma, and one of chroma of half the size (nv12, nv21) or of the same (nv24).
YUV_PLANES = ("nv12", "nv21", "nv24")

#: Every encoding of a colour image.
COLOR = (*PACKED, *BAYER, *YUV_422, *YUV_PLANES)

#: Depth encodings and their NumPy types: integers are millimetres, floats metres (REP-118). Some
#: OpenNI drivers call millimetres mono16.
DEPTH = {"16uc1": "u2", "mono16": "u2", "32fc1": "f4", "64fc1": "f8"}

#: Parts of the names of topics that have an encoding of depth and hold no distances.
NO_DISTANCES = frozenset(
    {"ir", "infra", "infrared", "amplitude", "confidence", "disparity", "intensity", "noise"}
)


def image_role(topic: str, message: Any) -> tuple[Role, str]:
    """Return what an image shows, by its encoding and, where that is ambiguous, its topic.

    Args:
        topic: Name of the topic.
        message: An Image or a CompressedImage.

    Returns:
        The role, and the encoding that it follows from.

    Raises:
        InputError: ``malformed``: the message has no encoding and no format.
    """
    encoding = source_encoding(message)
    name = encoding.lower()
    if name == "mono16":
        return ("depth" if "depth" in topic.lower() else "grey"), encoding
    if name in DEPTH:
        no_distances = NO_DISTANCES & set(re.split(r"[^a-z]+", topic.lower()))
        return ("other" if no_distances and "depth" not in topic.lower() else "depth"), encoding
    if name in COLOR:
        return ("grey" if name in ("mono8", "8uc1") else "color"), encoding
    return "undecoded", encoding
