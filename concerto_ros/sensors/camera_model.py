# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The camera model of a sensor_msgs/CameraInfo: pixels to rays and points to pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.message_fields import attribute, text, unsigned

#: Newton steps that undistort a pixel, and the largest error left, in pixels.
UNDISTORT_STEPS = 20
UNDISTORT_ERROR = 0.01

#: Largest radius on the normalised image plane: 87 degrees from the axis.
MAX_RADIUS = 20.0

#: Larger than the image of any depth camera; keeps a wrong camera_info from filling the memory.
MAX_PIXELS = 64_000_000

#: Smallest and largest focal length, as a fraction of the longer edge of the image: fields of view
#: of 179 and 0.06 degrees. Beyond them are matrices in other units than pixels.
FOCAL_LENGTHS = (0.005, 1000.0)

BROWN_CONRADY = ("plumb_bob", "rational_polynomial", "thin_prism")
FISHEYE = ("equidistant", "fisheye", "kannala_brandt4")


@dataclass(frozen=True)
class CameraModel:
    """A calibrated camera with its ROI and binning applied.

    Attributes:
        fx: Horizontal focal length in pixels of the image as published.
        fy: Vertical focal length, likewise.
        cx: Column of the principal point, likewise.
        cy: Row of the principal point, likewise.
        width: Columns of the image as published.
        height: Rows of the image as published.
        model: ``pinhole``, ``plumb_bob`` (Brown-Conrady, also its rational form) or
            ``equidistant``.
        distortion: Coefficients in the order of CameraInfo.d: (k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3
            s4) or (k1 k2 k3 k4); empty for ``pinhole``.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    model: str = "pinhole"
    distortion: tuple[float, ...] = ()

    @classmethod
    def from_info(cls, info: Any, *, rectified: bool | None = False) -> CameraModel:
        """Make the camera model of a CameraInfo message.

        ROI and binning apply as in image_geometry: first the offset, in pixels of the full
        resolution, then the division. Where the driver leaves K or P empty, the other is used
        instead only if there is no distortion, so that both mean the same.

        Args:
            info: A CameraInfo of ROS 2 (``k, d, p``) or of ROS 1 (``K, D, P``).
            rectified: Whether the image is rectified: then P alone is used, else K and the
                distortion. The message does not say it, the name of the topic may (see
                :func:`~concerto_ros.sensors.images.topics.is_rectified`). None: it is where the
                camera_info has no distortion, and has a P.

        Raises:
            InputError: ``bad_camera_info``: no usable focal length, size, ROI or distortion.
        """
        bad = "bad_camera_info"
        distorted = any(_numbers(info, "d", None))
        if rectified is None:
            rectified = not distorted
        matrix = "P" if rectified else "K"
        fx, fy, cx, cy = _projection(info, matrix)
        if not distorted and not (fx or fy):
            matrix = "K" if rectified else "P"
            fx, fy, cx, cy = _projection(info, matrix)
        if not (np.isfinite([fx, fy, cx, cy]).all() and fx > 0 and fy > 0):
            got = f"fx {fx}, fy {fy}, cx {cx}, cy {cy}"
            raise InputError(bad, f"{matrix}: got {got}, expected finite, fx > 0, fy > 0")
        model, distortion = ("pinhole", ()) if rectified else _distortion(info)

        width, height = unsigned(info, "width", bad), unsigned(info, "height", bad)
        longer = max(width, height)
        bin_x = unsigned(info, "binning_x", bad) or 1
        bin_y = unsigned(info, "binning_y", bad) or 1
        left, top = unsigned(info, "roi.x_offset", bad), unsigned(info, "roi.y_offset", bad)
        # By the message definition a ROI of no width or height means the full image.
        roi_width = unsigned(info, "roi.width", bad) or width - left
        roi_height = unsigned(info, "roi.height", bad) or height - top
        if left + roi_width > width or top + roi_height > height:
            roi = f"{roi_width}x{roi_height} at ({left}, {top})"
            raise InputError(
                bad, f"roi: got {roi}, expected one inside the image of {width}x{height}"
            )
        width, height = roi_width // bin_x, roi_height // bin_y
        if width <= 0 or height <= 0 or width * height > MAX_PIXELS:
            binned = f"{width}x{height} after ROI and binning"
            raise InputError(bad, f"image size: got {binned}, expected 1 to {MAX_PIXELS} pixels")
        low, high = (fraction * longer for fraction in FOCAL_LENGTHS)
        if not all(low <= focal <= high for focal in (fx, fy)):
            expected = f"{low:g} to {high:g} pixels, as the longer edge of the image has {longer}"
            raise InputError(bad, f"{matrix}: got fx {fx:g}, fy {fy:g}, expected {expected}")
        return cls(
            fx=fx / bin_x,
            fy=fy / bin_y,
            cx=(cx - left) / bin_x,
            cy=(cy - top) / bin_y,
            width=width,
            height=height,
            model=model,
            distortion=distortion,
        )

    def rays(self) -> np.ndarray:
        """Return each pixel's ray in the optical frame (REP-103).

        A point is its ray times the depth. Computed once per camera and cached.

        Returns:
            (height, width, 3) float32, read-only: rays (x, y, 1), NaN where the distortion has no
            inverse (far corners).
        """
        return _rays(self)

    def ray_lengths(self) -> np.ndarray:
        """Return the length of each of :meth:`rays`: a point's distance per metre of its depth.

        Returns:
            (height, width) float32, read-only, at least 1; NaN where the ray is.
        """
        return _ray_lengths(self)

    def project(
        self, x: np.ndarray, y: np.ndarray, z: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Project points into the image.

        Args:
            x: (N,), metres, to the right in the optical frame (REP-103).
            y: (N,), metres, down.
            z: (N,), metres, along the optical axis.

        Returns:
            Columns and rows (N,) in pixels; NaN for points that the lens does not see.
        """
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            scale = 1 / np.where(z > 0, z, np.nan)
            x, y = x * scale, y * scale
            if self.model != "pinhole":
                x = np.where(np.hypot(x, y) < _fold(self), x, np.nan)
            x, y = self.distort(x, y)
            return self.fx * x + self.cx, self.fy * y + self.cy

    def distort(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where the lens puts the rays (x, y, 1) on the normalised image plane."""
        if self.model == "pinhole":
            return x, y
        if self.model == "equidistant":
            k1, k2, k3, k4 = self.distortion
            radius = np.hypot(x, y)
            angle = np.arctan(radius)
            t = angle * angle
            bent = angle * (1 + t * (k1 + t * (k2 + t * (k3 + t * k4))))
            scale = np.where(radius > 1e-9, bent / np.maximum(radius, 1e-9), 1.0)
            return x * scale, y * scale
        k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = self.distortion
        r = x * x + y * y
        radial = 1 + r * (k1 + r * (k2 + r * k3))
        radial = radial / (1 + r * (k4 + r * (k5 + r * k6)))
        return (
            x * radial + 2 * p1 * x * y + p2 * (r + 2 * x * x) + r * (s1 + r * s2),
            y * radial + p1 * (r + 2 * y * y) + 2 * p2 * x * y + r * (s3 + r * s4),
        )


class CameraCache:
    """Camera models of the newest camera_info messages, rebuilt only when these change."""

    #: One for the colour image and one for the depth image.
    SIZE = 2

    def __init__(self) -> None:
        self._cameras: dict[tuple, CameraModel] = {}

    def from_info(self, info: Any, *, rectified: bool | None = False) -> CameraModel:
        """Return :meth:`CameraModel.from_info`, cached by the content of the message."""
        content = _content(info)
        if content is None:
            return CameraModel.from_info(info, rectified=rectified)
        key = (rectified, *content)
        if key not in self._cameras:
            self._cameras[key] = CameraModel.from_info(info, rectified=rectified)
            for oldest in list(self._cameras)[: -self.SIZE]:
                del self._cameras[oldest]
        return self._cameras[key]


def _content(info: Any) -> tuple | None:
    """Return the fields of a ROS 2 CameraInfo that define the model; None for other objects."""
    try:
        roi = info.roi
        content = (
            *(tuple(info.k), tuple(info.d), tuple(info.p), info.distortion_model),
            *(info.width, info.height, info.binning_x, info.binning_y),
            *(roi.x_offset, roi.y_offset, roi.width, roi.height),
        )
        hash(content)
    except (AttributeError, TypeError):
        return None
    return content


def _projection(info: Any, matrix: str) -> tuple[float, float, float, float]:
    """Return fx, fy, cx and cy of the matrix K or P."""
    if matrix == "P":
        p = _numbers(info, "p", 12)
        return p[0], p[5], p[2], p[6]
    k = _numbers(info, "k", 9)
    return k[0], k[4], k[2], k[5]


def _numbers(info: Any, name: str, count: int | None) -> list[float]:
    """Read a float array of CameraInfo under its ROS 2 or ROS 1 name."""
    value = getattr(info, name, None)
    if value is None:
        value = attribute(info, name.upper(), "bad_camera_info")
    try:
        numbers = [float(v) for v in value]
    except (TypeError, ValueError, OverflowError):
        raise InputError("bad_camera_info", f"{name}: got {value!r}, expected numbers") from None
    if count is not None and len(numbers) != count:
        raise InputError(
            "bad_camera_info", f"{name}: got {len(numbers)} numbers, expected {count}"
        )
    return numbers


def _distortion(info: Any) -> tuple[str, tuple[float, ...]]:
    """Return the model and its coefficients, padded with zeros to their full number."""
    coefficients = _numbers(info, "d", None)
    if not any(coefficients):
        return "pinhole", ()
    name = text(info, "distortion_model")
    model, length = None, 0
    if name in BROWN_CONRADY:
        model, length = "plumb_bob", 12
    elif name in FISHEYE:
        model, length = "equidistant", 4
    if model is None:
        known = ", ".join((*BROWN_CONRADY, *FISHEYE))
        raise InputError(
            "bad_camera_info",
            f"distortion_model: got '{name}' with coefficients, expected one of {known}; "
            "subscribe to rectified images instead",
        )
    # Beyond the twelfth come the angles of a tilted sensor, which no driver calibrates.
    if not np.isfinite(coefficients).all() or any(coefficients[length:]):
        got = f"{len(coefficients)} coefficients {coefficients}"
        raise InputError(
            "bad_camera_info", f"d: got {got}, expected at most {length} finite ones for {name}"
        )
    coefficients = coefficients[:length] + [0.0] * (length - len(coefficients))
    return model, tuple(coefficients)


@lru_cache(maxsize=16)
def _rays(camera: CameraModel) -> np.ndarray:
    x = (np.arange(camera.width, dtype=np.float64) - camera.cx) / camera.fx
    y = (np.arange(camera.height, dtype=np.float64) - camera.cy) / camera.fy
    x, y = np.broadcast_arrays(x[None, :], y[:, None])
    x, y = undistort(camera, x, y)
    rays = np.stack([x, y, np.ones_like(x)], axis=2).astype(np.float32)
    rays.setflags(write=False)
    return rays


@lru_cache(maxsize=16)
def _ray_lengths(camera: CameraModel) -> np.ndarray:
    lengths = np.linalg.norm(_rays(camera), axis=2)
    lengths.setflags(write=False)
    return lengths


def undistort(camera: CameraModel, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Invert :meth:`CameraModel.distort` by Newton's method.

    Args:
        camera: The camera.
        x: Horizontal coordinates on the normalised image plane, of any shape.
        y: Vertical coordinates, of the same shape.

    Returns:
        The rays (x, y, 1) that the lens puts there; NaN where there is no inverse.
    """
    if camera.model == "pinhole":
        return x, y
    step = 1e-6
    u, v = np.array(x, np.float64), np.array(y, np.float64)
    if camera.model == "equidistant":
        # The undistorted radius is the tangent of the angle, far from the distorted one.
        radius = np.hypot(u, v)
        scale = np.tan(np.minimum(radius, 1.5)) / np.maximum(radius, 1e-9)
        u, v = np.where(radius > 1e-9, u * scale, u), np.where(radius > 1e-9, v * scale, v)
    with np.errstate(all="ignore"):
        for _ in range(UNDISTORT_STEPS):
            fu, fv = camera.distort(u, v)
            right = camera.distort(u + step, v)
            down = camera.distort(u, v + step)
            a, c = (right[0] - fu) / step, (right[1] - fv) / step
            b, d = (down[0] - fu) / step, (down[1] - fv) / step
            determinant = a * d - b * c
            du, dv = fu - x, fv - y
            change_u = (d * du - b * dv) / determinant
            change_v = (a * dv - c * du) / determinant
            u, v = u - change_u, v - change_v
            if not (np.abs(change_u) + np.abs(change_v) > 1e-10).any():
                break
        fu, fv = camera.distort(u, v)
        error = np.hypot((fu - x) * camera.fx, (fv - y) * camera.fy)
        good = (error < UNDISTORT_ERROR) & (np.hypot(u, v) < _fold(camera))
    return np.where(good, u, np.nan), np.where(good, v, np.nan)


@lru_cache(maxsize=16)
def _fold(camera: CameraModel) -> float:
    """Return the radius up to which the distortion increases monotonically.

    Beyond it the polynomials turn back, and rays that the lens never sees would land in the image.
    """
    radial_only = camera
    if camera.model == "plumb_bob":
        k1, k2, _, _, k3, k4, k5, k6 = camera.distortion[:8]
        radial_only = replace(camera, distortion=(k1, k2, 0, 0, k3, k4, k5, k6, 0, 0, 0, 0))
    radii = np.linspace(0, MAX_RADIUS, 20_001)
    with np.errstate(all="ignore"):
        falling = ~(np.diff(radial_only.distort(radii, np.zeros_like(radii))[0]) > 0)
    return float(radii[np.argmax(falling)]) if falling.any() else MAX_RADIUS
