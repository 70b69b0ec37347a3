# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Colour and depth images, raw and compressed, well formed and not."""

from __future__ import annotations

import array
import struct
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concerto_ros.sensors.images import decode_color, decode_depth
from concerto_ros.sensors.input_error import InputError

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)
SMOOTH = np.repeat(np.arange(0, 240, 5, dtype=np.uint8)[None, :, None], 32, axis=0).repeat(3, 2)
MILLIMETRES = RNG.integers(0, 9000, (6, 8), dtype=np.uint16)
MILLIMETRES[0, 0] = 0
METRES = np.where(MILLIMETRES == 0, np.nan, MILLIMETRES.astype(np.float64) / 1000)


def image(pixels, encoding, *, padding=0, wrap=bytes, **changes):
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(len(pixels), -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xAB)
    message = SimpleNamespace(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=rows.shape[1],
        data=wrap(rows.tobytes()),
    )
    vars(message).update(changes)
    return message


def compressed(data, form):
    return SimpleNamespace(format=form, data=np.frombuffer(bytes(data), np.uint8))


def png(pixels) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def jpeg(pixels) -> bytes:
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def depth_header(a: float = 0.0, b: float = 0.0) -> bytes:
    return struct.pack("<i2f", 0, a, b)


def reason(decode, message) -> str:
    with pytest.raises(InputError) as error:
        decode(message)
    return error.value.reason


ALPHA = np.full((6, 8, 1), 7, np.uint8)


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("rgb8", RGB),
        ("bgr8", RGB[..., ::-1]),
        ("8UC3", RGB[..., ::-1]),
        ("rgba8", np.concatenate([RGB, ALPHA], axis=2)),
        ("bgra8", np.concatenate([RGB[..., ::-1], ALPHA], axis=2)),
        ("8UC4", np.concatenate([RGB[..., ::-1], ALPHA], axis=2)),
    ],
)
def test_colour_encodings(encoding, pixels, padding):
    color = decode_color(image(pixels, encoding, padding=padding))
    np.testing.assert_array_equal(color, RGB)
    assert color.dtype == np.uint8


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_grey_images_have_three_equal_channels(encoding):
    color = decode_color(image(RGB[..., 0], encoding, padding=3))
    np.testing.assert_array_equal(color, RGB[..., :1].repeat(3, axis=2))


def test_rgb8_is_a_view():
    data = bytearray(RGB.tobytes())
    color = decode_color(image(RGB, "rgb8", data=data))
    data[:3] = b"\1\2\3"
    np.testing.assert_array_equal(color[0, 0], [1, 2, 3])


def test_data_as_the_client_library_hands_it_out():
    message = image(RGB, "rgb8", wrap=lambda b: array.array("B", b))
    np.testing.assert_array_equal(decode_color(message), RGB)


@pytest.mark.parametrize("encoding", ["16UC1", "mono16"])
@pytest.mark.parametrize("big", [False, True])
def test_depth_in_millimetres(encoding, big):
    pixels = MILLIMETRES.astype(">u2") if big else MILLIMETRES
    depth = decode_depth(image(pixels, encoding, padding=4, is_bigendian=int(big)))
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, METRES, rtol=1e-6)


@pytest.mark.parametrize("big", [False, True])
def test_depth_in_metres(big):
    pixels = np.array([[1.5, 0.0, -1.0], [np.nan, np.inf, -np.inf]], ">f4" if big else "<f4")
    depth = decode_depth(image(pixels, "32FC1", is_bigendian=int(big)))
    nan = np.nan
    np.testing.assert_array_equal(depth, np.float32([[1.5, nan, nan], [nan, nan, nan]]))


def test_compressed_colour():
    np.testing.assert_array_equal(decode_color(compressed(png(RGB[..., ::-1]), "png")), RGB)
    for form in ("jpeg", "rgb8; jpeg compressed bgr8", "bgr8; jpeg compressed bgr8"):
        orange = np.full((32, 48, 3), (0, 128, 255), np.uint8)
        color = decode_color(compressed(jpeg(orange), form)).astype(int)
        assert np.abs(color - (255, 128, 0)).max() <= 3


def test_compressed_grey():
    color = decode_color(compressed(png(RGB[..., 0]), "mono8; png compressed "))
    np.testing.assert_array_equal(color, RGB[..., :1].repeat(3, axis=2))


def test_a_turned_jpeg_keeps_the_raster_of_its_depth_image():
    """EXIF orientation 6 asks viewers to turn the picture."""
    tag = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 1) + tag + bytes(4)
    file = jpeg(SMOOTH)
    turned = file[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + file[2:]
    assert cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape == (48, 32, 3)
    assert decode_color(compressed(turned, "jpeg")).shape == (32, 48, 3)


@pytest.mark.parametrize("form", ["16UC1; compressedDepth", "16UC1; compressedDepth png"])
def test_compressed_depth_in_millimetres(form):
    depth = decode_depth(compressed(depth_header() + png(MILLIMETRES), form))
    np.testing.assert_allclose(depth, METRES, rtol=1e-6)


@pytest.mark.parametrize("form", ["16UC1; png compressed ", "png"])
def test_depth_as_plain_png(form):
    depth = decode_depth(compressed(png(MILLIMETRES), form))
    np.testing.assert_allclose(depth, METRES, rtol=1e-6)


def test_quantised_inverse_depth():
    """compressed_depth_image_transport: pixel = a / depth + b for 32FC1, depth_quantization 100
    and depth_max 10 m by default."""
    a = 100.0 * 101.0
    b = 1.0 - a / 10.0
    metres = np.linspace(0.5, 10, 48).reshape(6, 8)
    pixels = (a / metres + b).astype(np.uint16)
    pixels[0, 0] = 0
    data = depth_header(a, b) + png(pixels)
    depth = decode_depth(compressed(data, "32FC1; compressedDepth png"))
    assert np.isnan(depth[0, 0])
    wrong = np.abs(depth - metres).ravel()[1:]
    assert (wrong <= metres.ravel()[1:] ** 2 / a * 1.01).all()


BROKEN_PNG = bytearray(png(RGB))
BROKEN_PNG[60] ^= 0xFF


def huge_png() -> bytes:
    head = struct.pack(">2I5B", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks
    )


def huge_jpeg() -> bytes:
    file = bytearray(jpeg(SMOOTH))
    at = file.index(b"\xff\xc0")
    file[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    return bytes(file)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ("unsupported", image(RGB, "yuv411")),
        ("unsupported", image(RGB, "")),
        ("unsupported", image(MILLIMETRES, "16UC1")),
        ("malformed", image(RGB, None)),
        ("malformed", image(RGB, "rgb8", step=23, data=RGB.tobytes() + b"1234")),
        ("malformed", image(RGB, "rgb8", data=RGB.tobytes()[:-1])),
        ("malformed", image(RGB, "rgb8", data=None)),
        ("malformed", image(RGB, "rgb8", width=-8)),
        ("empty", image(RGB, "rgb8", width=0)),
        ("too_large", image(RGB, "rgb8", width=2**31, step=2**32 - 1)),
        ("malformed", SimpleNamespace(encoding="rgb8")),
        ("malformed", SimpleNamespace()),
        ("malformed", compressed(b"", "jpeg")),
        ("malformed", compressed(b"rubbish" * 9, "jpeg")),
        ("malformed", compressed(png(RGB)[:-20], "png")),
        ("malformed", compressed(BROKEN_PNG, "png")),
        ("malformed", compressed(jpeg(SMOOTH)[:-40], "jpeg")),
        ("malformed", compressed(jpeg(SMOOTH)[:200], "jpeg")),
        ("malformed", compressed(png(RGB), None)),
        ("unsupported", compressed(png(RGB), "16UC1; compressedDepth png")),
        ("too_large", compressed(huge_png(), "png")),
        ("too_large", compressed(huge_jpeg(), "jpeg")),
    ],
)
def test_bad_colour_is_refused_with_a_reason(expected, message):
    assert reason(decode_color, message) == expected


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ("unsupported", image(RGB, "rgb8")),
        ("unsupported", image(RGB[..., 0], "8UC1")),
        ("malformed", image(MILLIMETRES, "32FC1")),
        ("malformed", image(MILLIMETRES, "16UC1", data=b"")),
        ("empty", image(MILLIMETRES, "16UC1", height=0)),
        ("empty", compressed(depth_header() + b"\0" * 30, "16UC1; compressedDepth rvl")),
        ("unsupported", compressed(depth_header() + png(MILLIMETRES), "; compressedDepth")),
        ("unsupported", compressed(png(MILLIMETRES), "32FC1; png compressed")),
        ("malformed", compressed(b"", "16UC1; compressedDepth png")),
        ("malformed", compressed(jpeg(SMOOTH), "jpeg")),
        ("malformed", compressed(depth_header() + png(RGB), "16UC1; compressedDepth png")),
        (
            "malformed",
            compressed(depth_header() + png(MILLIMETRES)[:-9], "16UC1; compressedDepth png"),
        ),
    ],
)
def test_bad_depth_is_refused_with_a_reason(expected, message):
    assert reason(decode_depth, message) == expected


junk = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(), st.text(max_size=3),
    st.binary(max_size=300), st.lists(st.integers(0, 3), max_size=3),
)  # fmt: skip
encodings = st.sampled_from(["rgb8", "bgra8", "mono8", "16UC1", "32FC1", "8UC3", "mono16"])


@settings(max_examples=300, deadline=None)
@given(
    changes=st.fixed_dictionaries(
        {},
        optional={
            "width": st.one_of(st.integers(0, 20), junk),
            "height": st.one_of(st.integers(0, 20), junk),
            "step": st.one_of(st.integers(0, 80), junk),
            "encoding": st.one_of(encodings, junk),
            "is_bigendian": junk,
            "data": junk,
        },
    ),
    encoding=encodings,
)
def test_any_image_attributes_give_pixels_or_an_input_error(changes, encoding):
    message = image(RGB, encoding)
    vars(message).update(changes)
    for decode in (decode_color, decode_depth):
        try:
            assert decode(message).size > 0
        except InputError:
            continue


FILES = [png(RGB), jpeg(SMOOTH), depth_header(10100, -1009) + png(MILLIMETRES)]
FORMS = ["jpeg", "png", "16UC1; compressedDepth png", "32FC1; compressedDepth png"]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_damage_to_a_compressed_image_gives_pixels_or_an_input_error(data):
    content = bytearray(data.draw(st.sampled_from(FILES)))
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, 2 * len(content)))]
    message = compressed(content, data.draw(st.one_of(st.sampled_from(FORMS), junk)))
    for decode in (decode_color, decode_depth):
        try:
            assert decode(message).size > 0
        except InputError:
            continue
