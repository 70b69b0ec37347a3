# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the name of an image's topic says, by the conventions of image_transport and image_proc."""

from __future__ import annotations

import re

#: The transports that send CompressedImage messages: a jpeg, png or tiff file; a header, then a
#: png or RVL; a header, then the data of the Image in zlib's format.
COMPRESSED = ("compressed", "compressedDepth", "zstd")

#: Words of the names of rectified images, and of those that are as the lens made them.
RECTIFIED = frozenset({"rect", "rectified", "undistorted"})
RAW = frozenset({"raw", "unrect", "unrectified", "distorted"})


def base_topic(topic: str) -> str:
    """Return the name of a topic without the transport at its end."""
    base, _, last = topic.rpartition("/")
    return base if base and last in COMPRESSED else topic


def is_compressed(topic: str) -> bool:
    """Return whether a topic sends CompressedImage messages, by the transport at its end."""
    return base_topic(topic) != topic


def is_rectified(topic: str) -> bool | None:
    """Return whether images are rectified, by the name of their topic.

    The last part of the name that says it counts: ``image_rect_color``, ``image_rect_raw`` (the
    numbers are raw, the image is rectified), ``color/rect/image``, ``image_raw``.

    Args:
        topic: Name of the topic; its transport does not count.

    Returns:
        True or False, or None where the name does not say it.
    """
    for part in reversed(base_topic(topic).split("/")):
        words = {word.lower() for word in re.findall("[A-Z]?[a-z]+|[A-Z]+", part)}
        if words & RECTIFIED:
            return True
        if words & RAW:
            return False
    return None
