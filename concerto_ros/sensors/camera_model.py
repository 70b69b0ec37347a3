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

#: Radius on the normalised image plane of the widest ray: 87 degrees from the axis.
WIDEST = 20.0

#: Larger than the image of any depth camera; keeps a wrong camera_info from filling the memory.
MAX_PIXELS = 64_000_000

BROWN_CONRADY = ("plumb_bob", "rational_polynomial", "thin_prism")
FISHEYE = ("equidistant", "fisheye", "kannala_brandt4")


@dataclass(frozen=True)
class CameraModel:
    """A calibrated camera with its ROI and binning applied.

    Attributes
    ----------
    fx, fy, cx, cy: focal lengths and principal point, in pixels of the image as published.
    width, height: pixels of the image as published.
    model: ``pinhole``, ``plumb_bob`` (Brown-Conrady, also its rational form) or ``equidistant``.
    distortion: coefficients in the order of CameraInfo.d: (k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4) or
        (k1 k2 k3 k4); empty for ``pinhole``.
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
    def from_info(cls, info: Any, *, rectified: bool = False) -> CameraModel:
        """The camera of a CameraInfo of ROS 2 (``k, d, p``) or of ROS 1 (``K, D, P``).

        An image does not say whether it is rectified; who subscribes knows (by convention
        ``image_rect*`` is). A raw image uses K and the distortion, a ``rectified`` one P alone.
        ROI and binning apply as in image_geometry: first the offset, in pixels of the full
        resolution, then the division. The reading is of what the driver states: where it leaves
        K or P empty there is no fallback to the other.

        Raises
        ------
        InputError("bad_camera_info"): no usable focal length, size, ROI or distortion.
        """
        bad = "bad_camera_info"
        if rectified:
            p = _numbers(info, "p", 12)
            fx, fy, cx, cy = p[0], p[5], p[2], p[6]
        else:
            k = _numbers(info, "k", 9)
            fx, fy, cx, cy = k[0], k[4], k[2], k[5]
        matrix = "P" if rectified else "K"
        if not (np.isfinite([fx, fy, cx, cy]).all() and fx > 0 and fy > 0):
            got = f"fx {fx}, fy {fy}, cx {cx}, cy {cy}"
            raise InputError(bad, f"{matrix} has {got}; finite values and fx, fy > 0 are wanted")
        model, distortion = ("pinhole", ()) if rectified else _distortion(info)

        width, height = unsigned(info, "width", bad), unsigned(info, "height", bad)
        bin_x = unsigned(info, "binning_x", bad) or 1
        bin_y = unsigned(info, "binning_y", bad) or 1
        left, top = unsigned(info, "roi.x_offset", bad), unsigned(info, "roi.y_offset", bad)
        # By the message definition a ROI of no width or height means the full image.
        roi_width = unsigned(info, "roi.width", bad) or width - left
        roi_height = unsigned(info, "roi.height", bad) or height - top
        if left + roi_width > width or top + roi_height > height:
            roi = f"{roi_width}x{roi_height} at ({left}, {top})"
            raise InputError(bad, f"ROI {roi} exceeds the image of {width}x{height}")
        width, height = roi_width // bin_x, roi_height // bin_y
        if width <= 0 or height <= 0 or width * height > MAX_PIXELS:
            binned = f"{width}x{height} after ROI and binning"
            raise InputError(bad, f"the image is {binned}; 1 to {MAX_PIXELS} pixels are wanted")
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
        """(height, width, 3) float32: each pixel's ray (x, y, 1) in the optical frame (REP-103).

        A point is ray x depth. NaN where the distortion has no inverse (far corners). Computed
        once per camera and kept; read-only.
        """
        return _rays(self)

    def project(
        self, x: np.ndarray, y: np.ndarray, z: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Pixel (column, row) of points in the optical frame; NaN where the lens sees none."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            scale = 1 / np.where(z > 0, z, np.nan)
            x, y = x * scale, y * scale
            if self.model != "pinhole":
                x = np.where(np.hypot(x, y) < _fold(self), x, np.nan)
            x, y = self.distort(x, y)
            return self.fx * x + self.cx, self.fy * y + self.cy

    def distort(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the lens puts the ray (x, y, 1) on the normalised image plane."""
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
    """Cameras of the newest camera_info messages, built again only where these change."""

    #: That of the colour image and that of the depth image.
    SIZE = 2

    def __init__(self) -> None:
        self._cameras: dict[tuple, CameraModel] = {}

    def from_info(self, info: Any, *, rectified: bool = False) -> CameraModel:
        """As :meth:`CameraModel.from_info`."""
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
    """What of a ROS 2 CameraInfo makes a camera; None for any other object."""
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


def _numbers(info: Any, name: str, count: int | None) -> list[float]:
    """A float array of CameraInfo under its ROS 2 or ROS 1 name."""
    value = getattr(info, name, None)
    if value is None:
        value = attribute(info, name.upper(), "bad_camera_info")
    try:
        numbers = [float(v) for v in value]
    except (TypeError, ValueError, OverflowError):
        raise InputError("bad_camera_info", f"{name} is {value!r}, numbers are wanted") from None
    if count is not None and len(numbers) != count:
        wanted = f"{count} are wanted"
        raise InputError("bad_camera_info", f"{name} has {len(numbers)} numbers, {wanted}")
    return numbers


def _distortion(info: Any) -> tuple[str, tuple[float, ...]]:
    """Model and coefficients, padded to the full number of the model."""
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
            f"distortion_model is '{name}' with coefficients; known are {known}. "
            "Subscribe to rectified images instead",
        )
    # Beyond the twelfth come the angles of a tilted sensor, which no driver calibrates.
    if not np.isfinite(coefficients).all() or any(coefficients[length:]):
        got = f"{len(coefficients)} coefficients {coefficients}"
        raise InputError(
            "bad_camera_info", f"{name} has {got}; at most {length} finite are wanted"
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


def undistort(camera: CameraModel, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The inverse of :meth:`CameraModel.distort` by Newton's method; NaN where there is none."""
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
    """The radius up to which the lens maps larger radii to larger ones.

    Beyond it the polynomials turn back, and rays that the lens never sees would land in the image.
    """
    radial = camera
    if camera.model == "plumb_bob":
        k1, k2, _, _, k3, k4, k5, k6 = camera.distortion[:8]
        radial = replace(camera, distortion=(k1, k2, 0, 0, k3, k4, k5, k6, 0, 0, 0, 0))
    radii = np.linspace(0, WIDEST, 20_001)
    with np.errstate(all="ignore"):
        falling = ~(np.diff(radial.distort(radii, np.zeros_like(radii))[0]) > 0)
    return float(radii[np.argmax(falling)]) if falling.any() else WIDEST
