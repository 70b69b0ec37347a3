# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every parameter: name, default, meaning, unit and range."""

from concerto_ros.settings.field import Setting, SettingsError, setting
from concerto_ros.settings.inputs import CameraInput, CloudInput
from concerto_ros.settings.parameter_file import read_parameters
from concerto_ros.settings.presets import PRESETS, Preset
from concerto_ros.settings.settings import DEFAULTS, NAMED, Settings, about, settings_of

__all__ = [
    "DEFAULTS",
    "NAMED",
    "PRESETS",
    "CameraInput",
    "CloudInput",
    "Preset",
    "Setting",
    "Settings",
    "SettingsError",
    "about",
    "read_parameters",
    "setting",
    "settings_of",
]
