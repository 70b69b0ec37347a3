# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of an input: ``clouds.<name>.<key>`` and ``cameras.<name>.<key>`` in ROS."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, ClassVar

from concerto_ros.settings.field import SettingsError, setting
from concerto_ros.settings.group import SettingsGroup
from concerto_ros.settings.published_models import DEPTH_MODELS

#: Those of :mod:`concerto_ros.sensors.no_reading`, which this package does not import.
CAMERA_NO_READING = (6.5535, 10.0, 16.38375, 32.7675, 65.535)
CLOUD_NO_READING = (1000.0,)

#: A list in a parameter file cannot be empty: this one means that there is no box.
NO_BOX = (0.0,)


def _bound(text: str, unit: str) -> Any:
    return setting(0.0, text, unit=unit, low=0.0, high=10_000.0)


def _no_reading(default: tuple[float, ...], text: str) -> Any:
    return setting(default, f"{text}; [0.0]: none", unit="m", low=0.0, high=1000.0)


@dataclass(frozen=True)
class InputSettings:
    """What every input has.

    Attributes:
        name: Name of the input, one of those in ``cloud_names`` or ``camera_names``.
    """

    #: Its parameters are ``<GROUP>.<name>.<key>``.
    GROUP: ClassVar[str]

    name: str
    _: KW_ONLY
    min_rate: float = _bound(
        "WARN in /diagnostics if fewer messages per second arrive; 0: no limit", "Hz"
    )
    max_rate: float = _bound(
        "WARN in /diagnostics if more messages per second arrive; 0: no limit", "Hz"
    )
    max_age: float = _bound(
        "WARN in /diagnostics if messages are older than this on arrival; 0: no limit", "s"
    )
    ignore_box: tuple[float, ...] = setting(
        NO_BOX,
        "the robot's own body, whose points are ignored: smallest x, y, z and largest x, y, z in"
        " robot_frame, or in the frame of the points where that is empty; [0.0]: none",
        unit="m",
        low=-1000.0,
        high=1000.0,
    )
    ignore_radius: float = setting(
        0.0,
        "points nearer to the origin of robot_frame than this are ignored, or of the frame of the"
        " points where that is empty; 0: none",
        unit="m",
        low=0.0,
        high=1000.0,
    )

    def __post_init__(self) -> None:
        box = self.ignore_box
        if box in (NO_BOX, ()):
            return
        if len(box) != 6 or not all(
            low < high for low, high in zip(box[:3], box[3:], strict=True)
        ):
            raise SettingsError(
                f"{self.GROUP}.{self.name}.ignore_box: got {list(box)}, expected six numbers, the"
                " smallest x, y, z and then the largest x, y, z of the box, or [0.0] for none"
            )

    @property
    def box(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Lowest and highest corner of ``ignore_box``, metres; None: there is no box."""
        return (self.ignore_box[:3], self.ignore_box[3:]) if len(self.ignore_box) == 6 else None

    @property
    def topics(self) -> dict[str, str]:
        """The topics it listens to, by the key of the parameter that names each."""
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: topic for name, topic in named if name.endswith("topic") and topic}


@dataclass(frozen=True)
class CloudInput(InputSettings):
    """A PointCloud2 topic."""

    GROUP = "clouds"

    topic: str = setting("", "PointCloud2 topic", required=True, topic=True)
    clears: bool = setting(
        True,
        "remove voxels that this input observes as free (see clear_after); false if the cloud"
        " is not in the frame of its sensor",
    )
    no_reading: tuple[float, ...] = _no_reading(
        CLOUD_NO_READING, "distances at which the driver places points of rays without a return"
    )


@dataclass(frozen=True)
class CameraInput(InputSettings):
    """The topics of an RGB-D camera.

    Those that end in ``/compressed``, ``/compressedDepth`` or ``/zstd`` carry CompressedImage
    messages.
    """

    GROUP = "cameras"

    color_topic: str = setting("", "colour image topic; empty: depth only", topic=True)
    depth_topic: str = setting(
        "",
        "depth image topic (REP-118), preferably aligned to colour; empty only with depth_model",
        topic=True,
    )
    depth_model: str = setting(
        "",
        "a model that predicts the depth of the colour image in metres, for a camera without a"
        " depth sensor: da3metric-large, map-anything-apache and others of docs/video.md, or"
        " NAME=FOLDER; empty: none",
    )
    info_topic: str = setting(
        "",
        "camera_info of the colour image (of the depth image if there is no colour topic)",
        required=True,
        topic=True,
    )
    depth_info_topic: str = setting(
        "",
        "camera_info of the depth image; only needed if depth is not aligned to colour",
        topic=True,
    )
    clears: bool = setting(
        True, "remove voxels that this input observes as free (see clear_after)"
    )
    decimation: int = setting(
        0,
        "one point for each block of so many pixels each way of the depth image; 1: all pixels; 0:"
        " blocks of which two fall on an edge of a voxel 3.75 m away (farther for voxels above"
        " 4 cm), and all pixels with labels.points: input",
        unit="pixels",
        low=0,
        high=16,
    )
    no_reading: tuple[float, ...] = _no_reading(
        CAMERA_NO_READING,
        "depths that mean 'no reading', besides 0, NaN, infinity and all from 1000 m",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        name = f"{self.GROUP}.{self.name}"
        if self.depth_model:
            known = {model.name: model for model in DEPTH_MODELS}
            model = known.get(self.depth_model.partition("=")[0])
            if model is None or not model.metric:
                metric = ", ".join(each.name for each in DEPTH_MODELS if each.metric)
                raise SettingsError(
                    f"{name}.depth_model: got {self.depth_model!r}, expected a model that predicts"
                    f" metres: {metric}, or NAME=FOLDER"
                )
        needed = "color_topic" if self.depth_model else "depth_topic"
        if not getattr(self, needed):
            why = "with depth_model" if self.depth_model else "or a depth_model"
            raise SettingsError(
                f"{name}.{needed}: got '', expected a name such as /image_raw, {why}"
            )
        for other in ("depth_topic", "depth_info_topic") if self.depth_model else ():
            if getattr(self, other):
                raise SettingsError(
                    f"{name}.{other}: got {getattr(self, other)!r} beside depth_model, expected"
                    " one of them: the depth is measured, or predicted"
                )


@dataclass(frozen=True)
class InputNames(SettingsGroup):
    """The parameters that name the inputs.

    None is the prefix of others: ``ros2 param dump`` fails on a parameter that is both a value and
    a prefix.
    """

    cloud_names: tuple[str, ...] = setting((), "names of the PointCloud2 inputs; [''] means none")
    camera_names: tuple[str, ...] = setting((), "names of the RGB-D inputs; [''] means none")


#: The parameters that name inputs, and the class of the parameters of each.
INPUTS: dict[str, type[InputSettings]] = {
    "cloud_names": CloudInput,
    "camera_names": CameraInput,
}
