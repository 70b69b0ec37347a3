# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every encoding and transport that drivers use, against encoders that are written here."""

from __future__ import annotations

import contextlib
import gzip
import struct
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concerto_ros.sensors.images import decode_color, decode_depth
from concerto_ros.sensors.images.encodings import COLOR, DEPTH, image_role
from concerto_ros.sensors.images.rvl import decode_rvl
from concerto_ros.sensors.images.topics import base_topic, is_compressed
from concerto_ros.sensors.input_error import InputError

RNG = np.random.default_rng(7)
HEIGHT, WIDTH = 24, 32

#: Four patches of one colour each: no interpolation, no chroma at half size changes their middle.
PATCHES = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
PATCHES[:12, :16] = 200, 40, 60
PATCHES[:12, 16:] = 50, 180, 70
PATCHES[12:, :16] = 40, 70, 190
PATCHES[12:, 16:] = 128, 128, 128
CENTRES = ([6, 6, 18, 18], [8, 24, 8, 24])

MILLIMETRES = RNG.integers(300, 6000, (HEIGHT, WIDTH)).astype(np.uint16)
MILLIMETRES[RNG.random((HEIGHT, WIDTH)) < 0.2] = 0
METRES = np.where(MILLIMETRES == 0, np.nan, MILLIMETRES / 1000.0)


def image(pixels, encoding, height=HEIGHT, width=WIDTH, **changes):
    pixels = np.ascontiguousarray(pixels)
    message = SimpleNamespace(
        height=height, width=width, encoding=encoding, is_bigendian=0, step=pixels[0].nbytes,
        data=pixels.tobytes(),
    )  # fmt: skip
    vars(message).update(changes)
    return message


def compressed(data, form):
    return SimpleNamespace(format=form, data=np.frombuffer(bytes(data), np.uint8))


def file(kind, pixels) -> bytes:
    return cv2.imencode(f".{kind}", pixels)[1].tobytes()


def reason(decode, message) -> str:
    with pytest.raises(InputError) as error:
        decode(message)
    return error.value.reason


def assert_patches(color, tolerance=0):
    assert color.shape == PATCHES.shape and color.dtype == np.uint8
    wrong = np.abs(color[CENTRES].astype(int) - PATCHES[CENTRES])
    assert wrong.max() <= tolerance, (color[CENTRES], PATCHES[CENTRES])


# Colour


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("encoding", ["rgb16", "bgr16", "rgba16", "bgra16", "16UC3", "16UC4"])
def test_sixteen_bit_colour(encoding, big):
    pixels = PATCHES if encoding.startswith("rgb") else PATCHES[..., ::-1]
    if encoding.endswith(("a16", "4")):
        pixels = np.concatenate([pixels, np.full((HEIGHT, WIDTH, 1), 255, np.uint8)], axis=2)
    pixels = (pixels.astype(np.uint16) * 257).astype(">u2" if big else "<u2")
    assert_patches(decode_color(image(pixels, encoding, is_bigendian=int(big))))


@pytest.mark.parametrize("big", [False, True])
def test_sixteen_bit_grey(big):
    pixels = (PATCHES[..., 0].astype(np.uint16) * 257).astype(">u2" if big else "<u2")
    grey = decode_color(image(pixels, "mono16", is_bigendian=int(big)))
    np.testing.assert_array_equal(grey, PATCHES[..., :1].repeat(3, axis=2))


@pytest.mark.parametrize("scale", [1 / 255, 1.0])
@pytest.mark.parametrize("encoding", ["32FC3", "32FC4", "64FC3"])
def test_colour_in_floats_is_in_fractions_or_up_to_255(encoding, scale):
    pixels = PATCHES[..., ::-1] * scale
    if encoding.endswith("4"):
        pixels = np.concatenate([pixels, np.ones((HEIGHT, WIDTH, 1))], axis=2)
    assert_patches(
        decode_color(image(pixels.astype("f4" if "32" in encoding else "f8"), encoding))
    )


def test_colour_in_floats_that_is_not_finite_is_black():
    pixels = np.full((HEIGHT, WIDTH, 3), 0.5, np.float32)
    pixels[0, :3, 0] = np.nan, np.inf, -np.inf
    color = decode_color(image(pixels, "32FC3"))
    assert (color[0, :3, 2] == 0).all() and (color[1:] == 128).all()


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("big", [False, True])
def test_mosaics(pattern, bits, big):
    mosaic = np.zeros((HEIGHT, WIDTH), np.uint8)
    for i, letter in enumerate(pattern):
        mosaic[i // 2 :: 2, i % 2 :: 2] = PATCHES[i // 2 :: 2, i % 2 :: 2, "rgb".index(letter)]
    pixels = mosaic
    if bits == 16:
        pixels = (mosaic.astype(np.uint16) * 257).astype(">u2" if big else "<u2")
    name = f"bayer_{pattern}{bits}"
    padded = np.pad(pixels, ((0, 0), (0, 5)))
    assert_patches(decode_color(image(padded, name, is_bigendian=int(big))))
    if not big:  # image_transport compresses the mosaic as a grey image
        native = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))
        assert_patches(decode_color(compressed(file("png", native), f"{name}; png compressed ")))
    if bits == 8:
        jpeg = decode_color(compressed(file("jpg", mosaic), f"{name}; jpeg compressed "))
        assert np.abs(jpeg.astype(int) - PATCHES)[CENTRES].max() < 60


def yuv():
    """Luma and chroma of the patches in the limited range of BT.601."""
    r, g, b = (PATCHES[..., i].astype(float) for i in range(3))
    y = 16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255
    u = 128 + (-37.797 * r - 74.203 * g + 112.0 * b) / 255
    v = 128 + (112.0 * r - 93.786 * g - 18.214 * b) / 255
    return (np.rint(c).astype(np.uint8) for c in (y, u, v))


@pytest.mark.parametrize("padding", [0, 10])
@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "UYVY", "yuv422_yuy2", "yuyv", "YUYV"])
def test_yuv_of_pairs_of_pixels(encoding, padding):
    y, u, v = yuv()
    chroma = np.where(np.arange(WIDTH) % 2, v, u)
    first = encoding.lower() in ("yuv422", "uyvy")
    rows = np.stack([chroma, y] if first else [y, chroma], axis=2).reshape(HEIGHT, -1)
    pixels = np.pad(rows, ((0, 0), (0, padding)))
    assert_patches(decode_color(image(pixels, encoding)), tolerance=3)


@pytest.mark.parametrize("padding", [0, 16])
@pytest.mark.parametrize("encoding", ["nv12", "nv21", "nv24", "NV12"])
def test_yuv_in_planes(encoding, padding):
    y, u, v = yuv()
    if encoding == "nv24":
        chroma = np.stack([u, v], axis=2).reshape(HEIGHT, -1)
        chroma = np.pad(chroma, ((0, 0), (0, 2 * padding)))
    else:
        pair = [u, v] if encoding.lower() == "nv12" else [v, u]
        chroma = np.stack([c[::2, ::2] for c in pair], axis=2).reshape(HEIGHT // 2, -1)
        chroma = np.pad(chroma, ((0, 0), (0, padding)))
    luma = np.pad(y, ((0, 0), (0, padding)))
    data = luma.tobytes() + chroma.tobytes()
    message = image(luma, encoding, data=data)
    assert_patches(decode_color(message), tolerance=3)
    if not padding:  # a step that counts luma and chroma together, as numChannels has it
        message.step = 2 * WIDTH
        assert_patches(decode_color(message), tolerance=3)


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("jpg", "jpeg"),
        ("jpg", "rgb8; jpeg compressed bgr8"),
        ("jpg", ""),
        ("png", "png"),
        ("png", "bgr8; png compressed bgr8"),
        ("webp", "webp"),
        ("tiff", "rgb8; tiff compressed bgr8"),
    ],
)
def test_files_of_colour(kind, form):
    message = compressed(file(kind, PATCHES[..., ::-1]), form)
    assert_patches(decode_color(message), tolerance=12)


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_files_of_sixteen_bit_colour(kind):
    content = file(kind, PATCHES[..., ::-1].astype(np.uint16) * 257)
    assert_patches(decode_color(compressed(content, f"rgb16; {kind} compressed bgr16")), 1)


def zstd(message):
    name = message.encoding.encode()
    head = struct.pack(
        "<IIBII", message.height, message.width, message.is_bigendian, message.step, len(name)
    )
    return compressed(head + name + gzip.compress(message.data), "zstd")


def test_zstd_image_transport():
    assert_patches(decode_color(zstd(image(PATCHES, "rgb8"))))
    depth = decode_depth(zstd(image(MILLIMETRES, "16UC1")))
    np.testing.assert_allclose(depth, METRES, rtol=1e-6)
    bomb = image(PATCHES, "rgb8", height=60_000, width=60_000)
    assert reason(decode_color, zstd(bomb)) == "too_large"
    assert reason(decode_color, compressed(b"1234", "zstd")) == "malformed"
    assert reason(decode_color, zstd(image(PATCHES, "rgb8", data=b""))) == "malformed"


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ("unsupported", image(PATCHES, "h264")),
        ("unsupported", compressed(b"\0\0\0\1gB\0\x1f" * 9, "h264")),
        ("unsupported", compressed(b"\0\0\0\1gB\0\x1f" * 9, "bgr8; hevc")),
        ("unsupported", image(PATCHES[:, :31, :2], "yuv422", width=31)),
        ("unsupported", image(np.zeros((36, 31), np.uint8), "nv12", width=31)),
        ("unsupported", image(np.zeros((35, 32), np.uint8), "nv21", height=23)),
        ("malformed", image(PATCHES[..., 0], "nv12")),
        ("malformed", image(PATCHES[:1, :, 0], "bayer_rggb8", height=1)),
        ("malformed", compressed(file("webp", PATCHES)[:40], "webp")),
        ("malformed", compressed(file("tiff", PATCHES)[:100], "tiff")),
        ("too_large", image(PATCHES, "nv12", height=2**31, width=2**31)),
    ],
)
def test_what_nobody_can_decode_is_refused_with_a_reason(expected, message):
    assert reason(decode_color, message) == expected


# Depth


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("name", ["16UC1", "mono16"])
def test_files_of_depth(kind, name):
    for form in (f"{name}; {kind} compressed ", f"{name}; {kind} compressed mono16", kind):
        depth = decode_depth(compressed(file(kind, MILLIMETRES), form))
        np.testing.assert_allclose(depth, METRES, rtol=1e-6)


def test_files_of_depth_in_metres():
    content = file("tiff", METRES.astype(np.float32))
    for form in ("32FC1; tiff compressed ", "tiff"):
        np.testing.assert_allclose(decode_depth(compressed(content, form)), METRES, rtol=1e-6)


def rvl(pixels) -> bytes:
    """Encode an image, following the paper."""
    groups: list[int] = []

    def write(number):
        while True:
            group, number = number & 7, number >> 3
            groups.append(group | 8 if number else group)
            if not number:
                return

    flat, at, before = pixels.reshape(-1).tolist(), 0, 0
    while at < len(flat):
        zeros = at
        while zeros < len(flat) and flat[zeros] == 0:
            zeros += 1
        others = zeros
        while others < len(flat) and flat[others] != 0:
            others += 1
        write(zeros - at)
        write(others - zeros)
        for value in flat[zeros:others]:
            change = value - before
            write(2 * change if change >= 0 else -2 * change - 1)
            before = value
        at = others
    groups += [0] * (-len(groups) % 8)
    words = [sum(g << 28 - 4 * i for i, g in enumerate(groups[w : w + 8]))
             for w in range(0, len(groups), 8)]  # fmt: skip
    return struct.pack(f"<2I{len(words)}I", *pixels.shape[::-1], *words)


HEAD = struct.pack("<i2f", 0, 0, 0)


def test_rvl():
    depth = decode_depth(compressed(HEAD + rvl(MILLIMETRES), "16UC1; compressedDepth rvl"))
    np.testing.assert_allclose(depth, METRES, rtol=1e-6)


def test_rvl_of_quantised_depth():
    a, b = 10100.0, -1009.0
    pixels = np.where(MILLIMETRES == 0, 0, a / np.nan_to_num(METRES, nan=1) + b).astype(np.uint16)
    data = struct.pack("<i2f", 0, a, b) + rvl(pixels)
    depth = decode_depth(compressed(data, "32FC1; compressedDepth rvl"))
    np.testing.assert_array_equal(np.isnan(depth), pixels == 0)
    assert np.nanmax(np.abs(depth - METRES)) < 6.0**2 / a * 1.01


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((3, 5)), np.ones((3, 5)), np.full((1, 1), 65535), np.eye(9) * 4000,
        np.tile([0, 65535, 1, 0], (4, 4)),
    ],
)  # fmt: skip
def test_rvl_of_simple_images(pixels):
    pixels = pixels.astype(np.uint16)
    np.testing.assert_array_equal(decode_rvl(np.frombuffer(rvl(pixels), np.uint8)), pixels)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_damage_to_rvl_gives_an_image_or_an_input_error(data):
    content = bytearray(rvl(MILLIMETRES))
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    with contextlib.suppress(InputError):
        assert decode_rvl(np.frombuffer(bytes(content), np.uint8)).size > 0


def test_rvl_is_fast_enough_for_a_camera():
    rows, columns = np.mgrid[:480, :640]
    pixels = (1000 + 3 * columns + 2 * rows + RNG.integers(-9, 9, (480, 640))).astype(np.uint16)
    pixels[RNG.random((480, 640)) < 0.05] = 0
    data = np.frombuffer(rvl(pixels), np.uint8)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        decoded = decode_rvl(data)
        times.append(time.perf_counter() - start)
    np.testing.assert_array_equal(decoded, pixels)
    assert min(times) < 0.2  # 35 ms on one idle core


# What a topic shows


@pytest.mark.parametrize("encoding", [*COLOR, "RGB8", "8UC3", "BAYER_RGGB8"])
def test_every_colour_encoding_has_the_role_of_colour(encoding):
    grey = encoding in ("mono8", "8uc1", "mono16")
    role, _ = image_role("/camera/image_raw", SimpleNamespace(encoding=encoding))
    assert role == ("grey" if grey else "color")


@pytest.mark.parametrize("encoding", [*DEPTH, "16UC1", "32FC1"])
def test_every_depth_encoding_has_the_role_of_depth(encoding):
    role, _ = image_role("/camera/depth/image_raw", SimpleNamespace(encoding=encoding))
    assert role == "depth"


@pytest.mark.parametrize(
    ("topic", "message", "role"),
    [
        (
            "/c/d/compressed",
            compressed(file("png", MILLIMETRES), "16UC1; png compressed "),
            "depth",
        ),
        ("/c/d/compressed", compressed(file("png", MILLIMETRES), "png"), "depth"),
        ("/c/d/compressed", compressed(file("png", MILLIMETRES), ""), "depth"),
        (
            "/c/d/compressedDepth",
            compressed(bytes(12) + file("png", MILLIMETRES), "compressedDepth png"),
            "depth",
        ),
        ("/c/d/compressedDepth", compressed(b"", "16UC1; compressedDepth"), "depth"),
        ("/c/d/compressedDepth", compressed(b"", "32FC1; compressedDepth rvl"), "depth"),
        ("/c/depth/compressed", compressed(b"", "mono16; png compressed "), "depth"),
        ("/c/depth/zstd", zstd(image(MILLIMETRES, "16UC1")), "depth"),
        ("/c/rgb/zstd", zstd(image(PATCHES, "rgb8")), "color"),
        ("/c/rgb/compressed", compressed(file("png", PATCHES), "png"), "color"),
        ("/c/rgb/compressed", compressed(file("jpg", PATCHES), "jpeg"), "color"),
        ("/c/rgb/compressed", compressed(b"", "rgb8; jpeg compressed bgr8"), "color"),
        ("/c/rgb/compressed", compressed(b"", "yuv422_yuy2; jpeg compressed bgr8"), "color"),
        ("/c/rgb/compressed", compressed(b"", "bayer_rggb8; jpeg compressed "), "color"),
        ("/c/infra1/compressed", compressed(b"", "mono8; jpeg compressed "), "grey"),
        ("/c/rgb/compressed", compressed(b"", "h264"), "undecoded"),
        ("/c/rgb/image", SimpleNamespace(encoding="jpeg2000"), "undecoded"),
        ("/c/image", SimpleNamespace(encoding="mono16"), "grey"),
        ("/kinect2/sd/image_ir_rect", SimpleNamespace(encoding="16UC1"), "other"),
        ("/zed/zed_node/confidence/confidence_map", SimpleNamespace(encoding="32FC1"), "other"),
    ],
)
def test_what_a_topic_shows(topic, message, role):
    assert image_role(topic, message)[0] == role


@pytest.mark.parametrize(
    "message",
    [
        compressed(file("png", MILLIMETRES), ""),
        compressed(file("png", MILLIMETRES), "png"),
        compressed(bytes(12) + file("png", MILLIMETRES), "compressedDepth png"),
    ],
)
def test_depth_that_names_no_encoding_is_told_by_its_png(message):
    np.testing.assert_allclose(decode_depth(message), METRES, atol=1e-6)


@pytest.mark.parametrize("step", [0, 1, WIDTH, 2 * WIDTH + 2, 2 * WIDTH * HEIGHT, 2**32 - 1])
def test_steps_that_are_wrong_where_the_data_tells_the_layout(step):
    np.testing.assert_allclose(
        decode_depth(image(MILLIMETRES, "16UC1", step=step)), METRES, atol=1e-6
    )
    colored = decode_color(image(PATCHES, "rgb8", step=step if step < 3 * WIDTH else 2**31))
    np.testing.assert_array_equal(colored, PATCHES)


def test_the_last_row_may_lack_its_padding():
    padded = np.zeros((HEIGHT, WIDTH + 4), np.uint16)
    padded[:, :WIDTH] = MILLIMETRES
    data = padded.tobytes()[:-8]
    message = image(padded, "16UC1", data=data)
    np.testing.assert_allclose(decode_depth(message), METRES, atol=1e-6)


@pytest.mark.parametrize("step", [0, WIDTH, 2**31])
def test_where_rows_of_pixels_begin_is_not_guessed(step):
    message = image(MILLIMETRES, "16UC1", step=step, data=MILLIMETRES.tobytes() + bytes(6))
    with pytest.raises(InputError, match=f"step: got {step} in an image of {HEIGHT} rows"):
        decode_depth(message)


def test_the_transport_at_the_end_of_a_topic():
    assert base_topic("/c/image_rect/compressedDepth") == "/c/image_rect"
    assert base_topic("/c/image_raw/zstd") == "/c/image_raw"
    assert base_topic("/compressed") == "/compressed" and not is_compressed("/compressed")
    assert is_compressed("/c/image_raw/compressed") and not is_compressed("/c/compressed/image")
