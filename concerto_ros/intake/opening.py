# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which input belongs to which parameters."""

from __future__ import annotations

from contextlib import nullcontext

from concerto_ros.intake.inputs import Guard, Input, PointCloudInput, RgbdInput
from concerto_ros.settings.inputs import CameraInput, CloudInput, InputSettings
from concerto_ros.settings.settings import Settings

#: The input class of each class of parameters.
INPUTS: dict[type[InputSettings], type[Input]] = {
    CloudInput: PointCloudInput,
    CameraInput: RgbdInput,
}


def open_input(config: InputSettings, settings: Settings, guard: Guard = nullcontext) -> Input:
    """Make the input of these parameters; see :class:`~concerto_ros.intake.inputs.Input`.

    Raises:
        SettingsError: The depth model of a camera cannot be used.
    """
    if isinstance(config, CameraInput) and config.depth_model:
        # The models bring more libraries than a node with sensors needs.
        from concerto_ros.intake.predicted_depth import PredictedDepthInput

        return PredictedDepthInput(config, settings, guard)
    return INPUTS[type(config)](config, settings, guard)
