# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters: defaults in one place, checked, and documented where users look."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from paths import REPOSITORY

from concerto_ros.files.shared_files import share_path
from concerto_ros.ptv3.kernels import backends
from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.parameter_file import read_parameters
from concerto_ros.settings.settings import (
    BACKENDS,
    DEFAULTS,
    NAMED,
    NODE_ONLY,
    Settings,
    about,
    named,
    settings_of,
)

SHIPPED = share_path("config/perception.yaml")


def test_the_shipped_file_lists_every_parameter_with_its_default():
    listed = dict(read_parameters(SHIPPED))
    assert math.isnan(listed["floor_height"]) and math.isnan(DEFAULTS["floor_height"])
    listed["floor_height"] = DEFAULTS["floor_height"]  # a NaN equals itself only
    defaults = {
        name: list(value) or [""] if isinstance(value, tuple) else value
        for name, value in DEFAULTS.items()
    }
    assert listed == defaults | {"autostart": True}


def test_the_backends_are_those_that_the_encoder_has():
    assert BACKENDS == backends.BACKENDS


def test_the_shipped_file_says_live_where_it_is():
    for line in SHIPPED.read_text().splitlines():
        name = re.match(r"    ([\w.]+): .*#", line)
        if name and name[1] in DEFAULTS:
            assert ("(live)" in line) == about(name[1]).live, line


def test_the_page_of_parameters_documents_every_one():
    text = (REPOSITORY / "docs" / "parameters.md").read_text()
    keys = [name for names in NAMED for name in settings_of(names)]
    missing = [name for name in [*DEFAULTS, *keys] if f"`{name}`" not in text]
    assert not missing


def test_a_parameter_file_becomes_settings(tmp_path):
    path = tmp_path / "parameters.yaml"
    path.write_text(
        "/robot/concerto:\n"
        "  ros__parameters:\n"
        "    autostart: false\n"
        "    rate: 2\n"
        "    cloud_names: [front, rear]\n"
        "    clouds.front.topic: /a\n"
        "    qos_overrides: {/a: {subscription: {depth: 3}}}\n"
    )
    settings = Settings.from_config(path)
    assert settings.rate == 2.0 and isinstance(settings.rate, float)
    assert settings.cloud_names == ("front", "rear")
    assert settings == replace(Settings(), rate=2.0, cloud_names=("front", "rear"))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("clouds: [front]", {"cloud_names": ("front",)}),
        ("cameras: [head]", {"camera_names": ("head",)}),
        ("filters: [obstacles]", {"filter_names": ("obstacles",)}),
        ("cameras: [head]\n    camera_names: ['']", {"camera_names": ("head",)}),
        ("cameras: ['']\n    camera_names: [head]", {"camera_names": ("head",)}),
        ("clouds: [old]\n    cloud_names: [new]", {"cloud_names": ("new",)}),
    ],
)
def test_a_file_of_0_1_is_read_with_a_notice(tmp_path, caplog, text, wanted):
    path = tmp_path / "parameters.yaml"
    path.write_text(f"/**:\n  ros__parameters:\n    {text}\n    clouds.front.topic: /a\n")
    assert Settings.from_config(path) == replace(Settings(), **wanted)
    old = text.partition(":")[0]
    if "['']\n" not in text:  # nothing is lost with an old name that lists nothing
        (notice,) = caplog.messages
        assert notice.startswith(f"{old}: got ") and next(iter(wanted)) in notice


def test_names_of_0_1_are_read_from_python_too(caplog):
    assert Settings.from_mapping({"cameras": ["head"]}).camera_names == ("head",)
    assert "camera_names" in caplog.text


def test_no_parameter_is_also_the_prefix_of_another():
    # ros2 param dump nests the names by their dots.
    names = {*DEFAULTS, *NODE_ONLY, *(name for listed in NAMED for name in settings_of(listed))}
    for name in names:
        assert not any(other.startswith(f"{name}.") for other in names), name


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[]", "no mapping"),
        ("concerto: {rate: 1.0}", "ros__parameters"),
        ("/**: {ros__parameters: {raet: 1.0}}", "raet: unknown parameter"),
        ("/**: {ros__parameters: {rate: soon}}", "rate: got 'soon'"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, text, wanted):
    path = tmp_path / "parameters.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=re.escape(wanted)):
        Settings.from_config(path)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 0.0, 101.0, True, "1", None])
def test_a_value_out_of_range_names_parameter_value_and_range(value):
    with pytest.raises(SettingsError) as error:
        Settings(rate=value)
    shown = "no value" if value is None else repr(value)
    assert str(error.value).startswith(f"rate: got {shown}, expected")
    assert "0.01 to 100 Hz" in str(error.value)


def numbers():
    """Every parameter that is a number, those of named inputs and filters included."""
    for name, default in DEFAULTS.items():
        if type(default) in (int, float) and default == default:  # not those that NaN turns off
            yield name, about(name), default
    for names in NAMED:
        for full_name, entry in settings_of(names).items():
            if type(entry.default) in (int, float):
                yield full_name, entry.metadata["setting"], entry.default


@pytest.mark.parametrize(("name", "setting", "default"), numbers(), ids=str)
def test_numbers_that_are_none_or_below_zero_are_refused_by_name(name, setting, default):
    bad = [-1] if type(default) is int else [math.nan, math.inf, -math.inf, -1.0]
    for value in bad:
        with pytest.raises(SettingsError, match=f"^{re.escape(name)}: got {value!r}, expected "):
            setting.checked(name, value, default)
    assert setting.checked(name, default, default) == default


def test_zero_means_the_presets_value():
    indoor, outdoor = (Settings(preset=name).with_preset() for name in ("indoor", "outdoor"))
    assert indoor.max_range < outdoor.max_range
    kept = Settings(preset="outdoor", max_range=7.0).with_preset()
    assert kept.max_range == 7.0 and kept.min_range == outdoor.min_range


@pytest.mark.parametrize(
    ("voxel_size", "grid_size", "wanted"),
    [(0.1, 0.03, 0.1), (0.0, 0.03, 0.03), (0.0, None, 0.05)],
    ids=["the parameter", "the encoder", "the preset"],
)
def test_the_voxel_size_comes_from_whoever_says_it_first(voxel_size, grid_size, wanted):
    settings = Settings(preset="outdoor", voxel_size=voxel_size)
    assert settings.with_voxel_size(grid_size).voxel_size == wanted


@pytest.mark.parametrize("grid_size", [math.nan, -0.04, 11.0, "0.04"])
def test_a_checkpoint_that_names_no_voxel_size_is_refused(grid_size):
    with pytest.raises(SettingsError, match="voxel_size: got"):
        Settings().with_voxel_size(grid_size)


def test_every_description_says_what_is_accepted():
    for name in DEFAULTS:
        setting = about(name)
        assert len(setting.text) > 10, name
        if setting.low is not None and isinstance(DEFAULTS[name], float):
            assert setting.unit, name
        if setting.low is not None:
            assert setting.wanted in setting.description


def test_parameters_of_objects_have_a_group_of_their_own(tmp_path):
    settings = Settings.from_mapping({"objects.rate": 2, "rate": 3.0})
    assert (settings.objects.rate, settings.rate) == (2.0, 3.0)
    path = tmp_path / "parameters.yaml"
    path.write_text("/**: {ros__parameters: {objects: {rate: 2.0}, rate: 3.0}}")
    assert Settings.from_config(path) == settings
    changed = settings.changed({"objects.min_voxels": 7})
    assert (changed.objects.min_voxels, changed.objects.rate) == (7, 2.0)
    for values in ({"objects.rate": 0.0}, {"objects.classes": "chair"}, {"objects.size": 1}):
        (name,) = values
        with pytest.raises(SettingsError, match=f"{name}: "):
            settings.changed(values)


def test_node_parameters_are_no_settings():
    assert not NODE_ONLY & DEFAULTS.keys()


#: The required parameters of a camera.
CAMERA = {"cameras.head.depth_topic": "/depth", "cameras.head.info_topic": "/info"}


@pytest.mark.parametrize("value", [[10], [1.5, 40.0], (65.535,), [0.0], []])
def test_a_list_of_numbers_is_one(value):
    camera = named("camera_names", "head", CAMERA | {"cameras.head.no_reading": value})
    assert camera.no_reading == tuple(float(number) for number in value)


@pytest.mark.parametrize("value", [10.0, "10", ["10"], [True], [-1.0], [1e4], [float("nan")]])
def test_a_list_of_numbers_outside_of_the_range_is_refused(value):
    with pytest.raises(SettingsError, match=r"cameras.head.no_reading: got .*numbers 0 to 1000 m"):
        named("camera_names", "head", CAMERA | {"cameras.head.no_reading": value})


def test_a_floor_height_is_a_number_or_nan():
    assert Settings.from_mapping({"floor_height": float("nan")}) == Settings()
    assert Settings.from_mapping({"floor_height": -1}).floor_height == -1.0
    for wrong in (math.inf, -math.inf, "low", None):
        with pytest.raises(SettingsError, match=r"floor_height: got .*a number, m, or .nan"):
            Settings.from_mapping({"floor_height": wrong})


@pytest.mark.parametrize(
    "value", [[0.0], [], [-1, -1, 0, 1, 1, 2], (-0.4, -0.3, -0.1, 0.4, 0.3, 0.9)]
)
def test_a_box_of_the_robots_body_is_six_numbers_or_none(value):
    camera = named("camera_names", "head", CAMERA | {"cameras.head.ignore_box": value})
    assert camera.box == ((tuple(value[:3]), tuple(value[3:])) if len(value) == 6 else None)


@pytest.mark.parametrize(
    "value",
    [
        [1.0],
        [0.0, 0.0],
        [0, 0, 0, 1, 1],
        [0, 0, 0, 0, 0, 0],
        [1, 1, 1, -1, -1, -1],
        [-1, -1, 0, 1, 1, 0],
        [-1, 1, -1, 1, -1, 1],
        [math.nan, 0, 0, 1, 1, 1],
        [-math.inf, 0, 0, 1, 1, 1],
        ["a"],
        3.0,
    ],
)
def test_what_is_no_box_of_the_robots_body_is_refused_by_name(value):
    with pytest.raises(SettingsError, match=r"^cameras.head.ignore_box: got .*expected "):
        named("camera_names", "head", CAMERA | {"cameras.head.ignore_box": value})
