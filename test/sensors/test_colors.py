# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One rule for the unit of colours, wherever they come from."""

from __future__ import annotations

import numpy as np
import pytest

from concerto_ros.sensors.colors import rgb_bytes
from concerto_ros.sensors.input_error import InputError

RED_SCENE = np.array([[200, 120, 1], [100, 7, 0], [50, 20, 1]])


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "u4", "i4", "i8", "f2", "f4", "f8"])
def test_8_bit_colours_of_any_type(dtype):
    np.testing.assert_array_equal(rgb_bytes(RED_SCENE.astype(dtype)), RED_SCENE)


@pytest.mark.parametrize("dtype", ["u2", "u4", "i4", "f4", "f8"])
def test_16_bit_colours_of_any_type_are_told_over_all_channels(dtype):
    np.testing.assert_array_equal(rgb_bytes((257 * RED_SCENE).astype(dtype)), RED_SCENE)


@pytest.mark.parametrize("highest", [1.0, 1.0000002, 1.004, 1.05, 1.3])
def test_fractions_stay_fractions_with_a_value_above_one(highest):
    colors = np.full((40, 3), 0.8, np.float32)
    colors[0, 0] = highest
    assert rgb_bytes(colors)[1:].min() == 204 and rgb_bytes(colors)[0, 0] == 255


@pytest.mark.parametrize("highest", [255.0000153, 256.0, 270.0])
def test_8_bit_floats_stay_8_bits_with_a_value_above_255(highest):
    colors = np.full((40, 3), 128.0)
    colors[0, 0] = highest
    assert rgb_bytes(colors)[1:].min() == 128 and rgb_bytes(colors)[0, 0] == 255


def test_whole_numbers_up_to_256_are_8_bits():
    assert rgb_bytes(np.array([[256, 128, 0]], np.uint16)).tolist() == [[255, 128, 0]]


def test_a_dark_scene_in_bytes_stays_dark():
    np.testing.assert_array_equal(rgb_bytes(np.ones((5, 3), np.uint8)), np.ones((5, 3)))
    np.testing.assert_array_equal(rgb_bytes(np.ones((5, 3), np.uint16)), np.ones((5, 3)))
    np.testing.assert_array_equal(rgb_bytes(np.full((5, 3), 2.0)), np.full((5, 3), 2))


def test_signed_bytes_are_bit_patterns():
    assert rgb_bytes(np.array([[-1, 127, -128]], np.int8)).tolist() == [[255, 127, 128]]


def test_channels_of_different_types_have_one_unit():
    channels = [np.array([51400], np.uint16), np.array([30840], np.uint32), np.array([250], "u2")]
    assert rgb_bytes(channels).tolist() == [[200, 120, 1]]


def test_what_is_not_finite_is_black_and_decides_nothing():
    colors = np.array([[0.5, np.nan, np.inf], [-np.inf, 1.0, 0.2]])
    assert rgb_bytes(colors).tolist() == [[128, 0, 0], [0, 255, 51]]


@pytest.mark.parametrize(
    "colors", [[[-1.0, 0.2, 1.0]], [[-2.1, 0.4, 2.6]], [[1e9, 0, 0]], [[16711680, 255, 0]]]
)
def test_unknown_units_are_refused_with_their_range(colors):
    with pytest.raises(InputError, match=r"colors: got values from .* to .*, expected fractions"):
        rgb_bytes(np.array(colors))


def test_a_message_with_some_impossible_values_keeps_the_other_colours():
    colors = np.array([[0.5, 0.5, 1.0], [3e38, -5.0, 0.5]], np.float32)
    assert rgb_bytes(colors, strict=False).tolist() == [[128, 128, 255], [0, 0, 128]]
