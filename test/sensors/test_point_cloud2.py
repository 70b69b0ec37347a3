# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""PointCloud2 messages, well formed and not."""

from __future__ import annotations

import array
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import DATA

from concerto_ros.sensors import point_cloud2
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.message_fields import stamp_ns
from concerto_ros.sensors.point_cloud2 import decode_point_cloud, point_cloud_fields

TYPES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}
POINTS = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
RGB = np.random.default_rng(1).integers(0, 256, (24, 3), dtype=np.uint8)


def header(frame_id: str = "lidar", sec: int = 3, nanosec: int = 5) -> SimpleNamespace:
    return SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec), frame_id=frame_id)


def cloud(columns, *, big=False, lines=1, gap=0, row_gap=0, wrap=bytes, **changes):
    """A PointCloud2 of ``columns``: (name, type, values) in the order of the bytes.

    ``gap`` bytes precede each field, ``row_gap`` bytes follow each of the ``lines`` rows.
    """
    count = len(columns[0][2])
    offsets, at = [], 0
    for _, kind, values in columns:
        at += gap
        offsets.append(at)
        at += np.dtype(kind).itemsize * (np.shape(values)[1] if np.ndim(values) == 2 else 1)
    names = [f"f{i}" for i in range(len(columns))]
    formats = [
        (">" if big else "<") + kind
        if np.ndim(values) == 1
        else ((">" if big else "<") + kind, np.shape(values)[1])
        for _, kind, values in columns
    ]
    points = np.zeros(
        count, {"names": names, "formats": formats, "offsets": offsets, "itemsize": at}
    )
    for name, (_, _, values) in zip(names, columns, strict=True):
        points[name] = values
    width = count // lines
    rows = np.full((lines, width * at + row_gap), 0xAB, np.uint8)
    rows[:, : width * at] = np.frombuffer(points.tobytes(), np.uint8).reshape(lines, -1)
    fields = [
        SimpleNamespace(
            name=name,
            offset=offset,
            datatype=TYPES[kind],
            count=np.shape(values)[1] if np.ndim(values) == 2 else 1,
        )
        for (name, kind, values), offset in zip(columns, offsets, strict=True)
    ]
    message = SimpleNamespace(
        header=header(),
        height=lines,
        width=width,
        fields=fields,
        is_bigendian=big,
        point_step=at,
        row_step=rows.shape[1],
        data=wrap(rows.tobytes()),
        is_dense=False,
    )
    vars(message).update(changes)
    return message


def xyz(points=POINTS, kind="f4"):
    return [(axis, kind, points[:, i]) for i, axis in enumerate("xyz")]


def packed(rgb, kind):
    value = (rgb.astype(np.uint32) << [16, 8, 0]).sum(axis=1).astype(np.uint32) | 0xFE000000
    return value.view(np.dtype(kind)) if kind == "f4" else value


def reason(message, **options) -> str:
    with pytest.raises(InputError) as error:
        decode_point_cloud(message, **options)
    return error.value.reason


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize(("lines", "row_gap"), [(1, 0), (1, 9), (4, 0), (4, 7)])
@pytest.mark.parametrize("gap", [0, 3])
def test_layouts(big, kind, lines, row_gap, gap):
    columns = [("ring", "u2", np.arange(24)), *reversed(xyz(kind=kind))]
    columns += [("intensity", "u1", np.arange(24)), ("rgb", "f4", packed(RGB, "f4"))]
    message = cloud(columns, big=big, lines=lines, gap=gap, row_gap=row_gap)
    frame = decode_point_cloud(message, source="front")
    np.testing.assert_array_equal(frame.points, POINTS)
    assert frame.points.dtype == np.float32 and frame.points.flags.c_contiguous
    np.testing.assert_array_equal(frame.colors, RGB)
    np.testing.assert_array_equal(frame.intensity, np.arange(24, dtype=np.float32))
    assert (frame.stamp, frame.frame_id, frame.source) == (3_000_000_005, "lidar", "front")
    assert frame.normals is None


@pytest.mark.parametrize(
    "wrap", [bytes, bytearray, memoryview, lambda b: array.array("B", b),
             lambda b: np.frombuffer(b, np.uint8)]
)  # fmt: skip
def test_whatever_holds_the_bytes(wrap):
    np.testing.assert_array_equal(decode_point_cloud(cloud(xyz(), wrap=wrap)).points, POINTS)


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4"])
def test_integer_coordinates(kind):
    points = np.arange(24).reshape(8, 3) % 100
    np.testing.assert_array_equal(decode_point_cloud(cloud(xyz(points, kind))).points, points)


@pytest.mark.parametrize("name", ["rgb", "rgba"])
@pytest.mark.parametrize("kind", ["f4", "u4", "i4"])
@pytest.mark.parametrize("big", [False, True])
def test_packed_colours(name, kind, big):
    value = packed(RGB, "f4" if kind == "f4" else "u4")
    frame = decode_point_cloud(cloud([*xyz(), (name, kind, value.view(kind))], big=big))
    np.testing.assert_array_equal(frame.colors, RGB)


@pytest.mark.parametrize(
    ("kind", "values"),
    [("u1", RGB), ("f4", RGB / 255), ("f8", RGB), ("u2", RGB * np.uint16(257)), ("i4", RGB)],
)
@pytest.mark.parametrize("names", ["rgb", ("red", "green", "blue")])
def test_separate_colours(kind, values, names):
    values = np.maximum(values, np.eye(24, 3)) if values.max() <= 1 else values.astype(np.int64)
    columns = [(name, kind, values[:, i]) for i, name in enumerate(names)]
    colors = decode_point_cloud(cloud([*columns, *xyz()])).colors
    expected = RGB.copy()
    if kind == "f4":
        expected[np.eye(24, 3, dtype=bool)] = 255
    np.testing.assert_array_equal(colors, expected)


@pytest.mark.parametrize(
    ("kind", "scale"), [("f4", 1), ("f8", 1), ("u2", 257), ("f4", 1 / 255), ("u2", 1), ("i2", 1)]
)
def test_the_unit_of_colours_is_told_over_all_channels_together(kind, scale):
    red_scene = RGB // [1, 2, 200] + [0, 0, 1]
    red_scene[0, 0] = 255
    columns = [(name, kind, red_scene[:, i] * scale) for i, name in enumerate("rgb")]
    colors = decode_point_cloud(cloud([*columns, *xyz()])).colors
    np.testing.assert_array_equal(colors, red_scene)


def test_fractions_with_a_value_above_one_are_not_black():
    values = np.full(24, 0.8)
    values[3] = 1.0000002
    columns = [(name, "f4", values) for name in ("red", "green", "blue")]
    assert decode_point_cloud(cloud([*columns, *xyz()])).colors.min() == 204


def test_colours_that_are_no_numbers_are_black():
    values = np.array([np.nan, np.inf, -np.inf, -5, 0.5, 1.0])
    columns = [(name, "f4", values) for name in "rgb"]
    colors = decode_point_cloud(cloud([*columns, *xyz(POINTS[:6])])).colors
    np.testing.assert_array_equal(colors, np.repeat([[0, 0, 0, 0, 128, 255]], 3, axis=0).T)


@pytest.mark.parametrize("kind", ["f8", "u2", "u1"])
def test_a_packed_colour_of_another_layout_costs_only_the_colours(kind):
    frame = decode_point_cloud(cloud([*xyz(), ("rgb", kind, np.ones(24))]))
    assert len(frame) == 24 and frame.colors is None
    assert frame.uncolored.startswith("field 'rgb': got ")


def test_separate_colours_replace_a_packed_one_that_cannot_be_read():
    channels = [
        (name, "u1", np.full(24, value)) for name, value in zip("rgb", (9, 8, 7), strict=True)
    ]
    frame = decode_point_cloud(cloud([*xyz(), ("rgb", "f8", np.ones(24)), *channels]))
    assert frame.colors[0].tolist() == [9, 8, 7] and not frame.uncolored


@pytest.mark.parametrize("name", ["intensity", "reflectivity", "i"])
def test_names_of_intensity(name):
    frame = decode_point_cloud(cloud([*xyz(), (name, "u2", np.arange(24) + 60_000)]))
    np.testing.assert_array_equal(frame.intensity, np.arange(24) + 60_000)


def test_normals_are_unit_and_face_the_sensor():
    away = 3 * POINTS
    away[5] = np.nan
    away[6] = 0
    columns = [(f"normal_{axis}", "f4", away[:, i]) for i, axis in enumerate("xyz")]
    normals = decode_point_cloud(cloud([*xyz(), *columns])).normals
    expected = -POINTS / np.linalg.norm(POINTS, axis=1, keepdims=True)
    expected[[5, 6]] = 0
    np.testing.assert_allclose(normals, expected, atol=1e-6)


def test_points_not_finite_or_out_of_range_are_dropped_from_every_array():
    points = np.zeros((8, 3))
    points[:, 2] = [0.5, 1, 2, 3, np.nan, np.inf, -2, 1e300]
    columns = [*xyz(points, "f8"), ("rgb", "f4", packed(RGB[:8], "f4"))]
    columns += [("intensity", "f4", np.arange(8))]
    frame = decode_point_cloud(cloud(columns), min_range=1, max_range=2)
    np.testing.assert_array_equal(frame.points[:, 2], [1, 2, -2])
    np.testing.assert_array_equal(frame.colors, RGB[[1, 2, 6]])
    np.testing.assert_array_equal(frame.intensity, [1, 2, 6])
    assert len(decode_point_cloud(cloud(columns))) == 5


def test_one_point():
    frame = decode_point_cloud(cloud(xyz(POINTS[:1])))
    np.testing.assert_array_equal(frame.points, POINTS[:1])


def test_fields_are_views_into_the_message():
    data = bytearray(cloud(xyz(), lines=4, row_gap=5).data)
    views = point_cloud_fields(cloud(xyz(), lines=4, row_gap=5, data=data))
    assert {k: v.shape for k, v in views.items()} == dict.fromkeys("xyz", (4, 6))
    np.testing.assert_array_equal(views["y"].ravel(), POINTS[:, 1])
    data[:] = bytes(len(data))
    assert not views["y"].any()


def test_fields_of_several_elements_doubles_and_unknown_types():
    columns = [*xyz(), ("covariance", "f8", np.ones((24, 9))), ("x", "f4", np.zeros(24))]
    message = cloud([*columns, ("ring", "u2", np.zeros(24))])
    message.fields[-1].datatype = 11
    views = point_cloud_fields(message)
    assert views["covariance"].shape == (1, 24, 9) and "ring" not in views
    # The first of two fields counts; the unknown type is of no interest.
    np.testing.assert_array_equal(decode_point_cloud(message).points, POINTS)


def test_counts_and_row_steps_that_drivers_leave_at_zero():
    message = cloud(xyz(), row_step=0)
    for field in message.fields:
        field.count = 0
    np.testing.assert_array_equal(decode_point_cloud(message).points, POINTS)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    ("lines", "width", "row_step"),
    [
        (1, 24, 24),  # the width, as pcl::concatenatePointCloud wrote it
        (1, 24, 100),  # of one of the clouds that were joined
        (1, 24, 10**6),
        (4, 6, 0),  # velodyne, organised
        (4, 6, 6),
        (4, 6, 24 * 19),  # the whole data: sensor_msgs::PointCloud2Modifier::resize(w, h)
        (4, 6, 2**32 - 1),
        (24, 1, 0),  # height and width exchanged
        (24, 1, 24),
        (24, 1, 24 * 19),
    ],
)
def test_row_steps_that_are_wrong_where_the_data_tells_the_layout(lines, width, row_step, big):
    columns = [
        ("ring", "u2", np.arange(24)),
        *xyz(),
        ("t", "f4", POINTS[:, 0]),
        ("a", "u1", RGB[:, 0]),
    ]
    message = cloud(columns, big=big, lines=lines, row_step=row_step)
    assert (message.point_step, message.width) == (19, width)
    np.testing.assert_array_equal(decode_point_cloud(message).points, POINTS)


def test_rows_with_a_gap_stay_where_row_step_says():
    whole = cloud(xyz(), lines=4, row_gap=7)
    for data in (whole.data, whole.data[:-7], whole.data + bytes(50)):
        whole.data = data  # the last row may lack its gap; more data than needed is left alone
        np.testing.assert_array_equal(decode_point_cloud(whole).points, POINTS)


@pytest.mark.parametrize("row_step", [0, 24, 24 * 12, 300])
def test_one_row_may_be_followed_by_unused_data(row_step):
    message = cloud(xyz(), data=cloud(xyz()).data + bytes(40), row_step=row_step)
    np.testing.assert_array_equal(decode_point_cloud(message).points, POINTS)


@pytest.mark.parametrize("row_step", [0, 6, 24 * 12, 10**6])
def test_where_rows_begin_is_not_guessed(row_step):
    message = cloud(xyz(), lines=4, row_gap=7, row_step=row_step)
    with pytest.raises(
        InputError, match=f"row_step: got {row_step} in a cloud of 4 rows with 316"
    ):
        decode_point_cloud(message)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"height": 0}, r"width x height: got 24 x 0 with 288 bytes of data"),
        ({"width": 0}, r"width x height: got 0 x 1 with 288 bytes of data"),
        ({"point_step": 0}, r"end of field 'x': got byte 4, expected at most point_step, 0"),
        ({"width": 25}, r"data: got 288 bytes, expected at least .* = 1 x 25 x 12"),
        ({"point_step": 24}, r"data: got 288 bytes, expected at least .* = 1 x 24 x 24"),
    ],
)
def test_a_layout_that_contradicts_the_data_is_malformed(changes, text):
    with pytest.raises(InputError, match=text) as error:
        decode_point_cloud(cloud(xyz(), **changes))
    assert error.value.reason == "malformed"


def field(**changes):
    base = {"name": "x", "offset": 0, "datatype": 7, "count": 1}
    return SimpleNamespace(**(base | changes))


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ("malformed", cloud(xyz(), data=b"")),
        ("malformed", cloud(xyz(), data=cloud(xyz()).data[:-1])),
        ("malformed", cloud(xyz(), data=None)),
        ("malformed", cloud(xyz(), data=[1, 2, 3])),
        ("malformed", cloud(xyz(), data=np.zeros(24, np.float64))),
        ("malformed", cloud(xyz(), point_step=8)),
        ("malformed", cloud(xyz(), fields=None)),
        ("malformed", cloud(xyz(), fields=[field(offset=10)])),
        ("malformed", cloud(xyz(), fields=[field(count=2**32 - 1)])),
        ("malformed", cloud(xyz(), fields=[field(name=None)])),
        ("malformed", cloud(xyz(), width=-1)),
        ("malformed", cloud(xyz(), width=1.5)),
        ("malformed", cloud(xyz(), height="1")),
        ("malformed", cloud(xyz(), header=None)),
        ("malformed", cloud([("x", "f4", POINTS[:, :2]), *xyz()[1:]])),
        ("malformed", SimpleNamespace()),
        ("unsupported", cloud(xyz(), fields=[field(datatype=0)])),
        ("unsupported", cloud(xyz(), fields=[field(datatype=9)])),
        ("no_xyz", cloud(xyz()[:2])),
        ("no_xyz", cloud(xyz(), fields=[])),
        ("malformed", cloud(xyz(), width=0)),
        ("malformed", cloud(xyz(), height=0, width=2**32 - 1)),
        ("empty", cloud(xyz(), width=0, data=b"")),
        ("empty", cloud(xyz(), height=0, width=2**32 - 1, data=b"")),
        ("empty", cloud(xyz(np.full((4, 3), np.nan)))),
        ("malformed", cloud(xyz(), width=10_000_000)),
        ("malformed", cloud(xyz(), width=2**32 - 1, height=2**32 - 1)),
    ],
)
def test_bad_clouds_are_refused_with_a_reason(expected, message):
    assert reason(message) == expected


def test_the_message_of_the_error_names_field_value_and_what_is_wanted():
    with pytest.raises(InputError, match=r"datatype.*'z': got 12, expected 1\.\.8"):
        message = cloud(xyz())
        message.fields[2].datatype = 12
        decode_point_cloud(message)
    assert reason(cloud(xyz()), min_range=100) == "empty"
    assert reason(cloud(xyz()), min_range=100, max_points=5) == "empty"


@pytest.mark.parametrize(("lines", "row_gap"), [(1, 0), (4, 7)])
@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_of_too_many_points_the_nearest_are_taken_in_their_order(
    lines, row_gap, chunk, monkeypatch
):
    monkeypatch.setattr(point_cloud2, "CHUNK", chunk)
    points = POINTS.copy()
    points[3], points[4] = np.nan, np.inf
    columns = [*xyz(points), ("rgb", "f4", packed(RGB, "f4")), ("i", "u2", np.arange(24))]
    message = cloud(columns, lines=lines, row_gap=row_gap)
    whole = decode_point_cloud(message, max_points=24, max_range=2.0)
    clipped = decode_point_cloud(message, max_points=7, max_range=2.0)
    distance = np.linalg.norm(whole.points, axis=1)
    nearest = np.sort(np.argsort(distance)[:7])
    np.testing.assert_array_equal(clipped.points, whole.points[nearest])
    np.testing.assert_array_equal(clipped.colors, whole.colors[nearest])
    np.testing.assert_array_equal(clipped.intensity, whole.intensity[nearest])
    assert (len(whole) - 7, whole.clipped) == (clipped.clipped, 0)


def test_stamps():
    assert stamp_ns(SimpleNamespace(header=header(sec=0, nanosec=0))) == 0
    assert stamp_ns(SimpleNamespace(header=header(sec=2**31 - 1, nanosec=999_999_999))) > 2**60


junk = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(), st.text(max_size=3),
    st.binary(max_size=200), st.lists(st.integers(0, 3), max_size=3),
)  # fmt: skip
small = st.integers(0, 40)
likely = st.one_of(small, junk)
names = st.sampled_from(
    ["x", "y", "z", "rgb", "rgba", "r", "g", "b", "i", "normal_x", "normal_y", "normal_z"]
)
wild_field = st.builds(
    field, name=st.one_of(names, names, names, junk), offset=likely,
    datatype=st.one_of(st.integers(0, 9), junk), count=st.one_of(st.integers(0, 4), junk),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(
    changes=st.fixed_dictionaries(
        {},
        optional={
            "width": likely, "height": likely, "point_step": likely, "row_step": likely,
            "is_bigendian": junk, "data": junk, "header": junk,
            "fields": st.one_of(st.lists(wild_field, max_size=8), junk),
        },
    ),
    content=st.binary(min_size=0, max_size=400),
)  # fmt: skip
def test_any_attributes_give_a_frame_or_an_input_error(changes, content):
    message = cloud(xyz(POINTS[:4]), data=content, width=4)
    vars(message).update(changes)
    try:
        frame = decode_point_cloud(message, max_points=1000)
    except InputError:
        return
    assert np.isfinite(frame.points).all() and len(frame) > 0
    assert frame.colors is None or frame.colors.shape == (len(frame), 3)
    assert frame.normals is None or np.isfinite(frame.normals).all()


@settings(max_examples=200, deadline=None)
@given(fields=st.lists(wild_field, min_size=3, max_size=8), content=st.binary(min_size=160))
def test_any_fields_over_good_bytes(fields, content):
    message = cloud(xyz(POINTS[:4]), data=content, width=4, point_step=40, row_step=160)
    for axis, offset in zip("xyz", (0, 4, 8), strict=True):
        fields.insert(0, field(name=axis, offset=offset))
    message.fields = fields
    try:
        frame = decode_point_cloud(message)
    except InputError:
        return
    assert np.isfinite(frame.points).all()
    assert frame.normals is None or (np.linalg.norm(frame.normals, axis=1) < 1.001).all()


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the recordings in ../shared/data")
@pytest.mark.parametrize(
    ("bag", "count", "has_color"), [("rgbd_desk_bag", 9, True), ("lidar_vlp16_bag", 4, False)]
)
def test_recorded_clouds(bag, count, has_color):
    from rosbags.highlevel import AnyReader

    frames = []
    with AnyReader([DATA / bag]) as reader:
        for connection, _, raw in reader.messages():
            if connection.msgtype == "sensor_msgs/msg/PointCloud2":
                message = reader.deserialize(raw, connection.msgtype)
                frames.append((message.width, decode_point_cloud(message, min_range=0.1)))
    assert len(frames) == count
    for width, frame in frames:
        assert len(frame) == width and frame.stamp > 10**18
        assert (frame.colors is not None) == has_color
        assert (frame.intensity is not None) == (not has_color)
