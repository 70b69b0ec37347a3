# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A picture of a coloured point cloud, drawn with numpy alone: no window, no graphics driver.

Points are drawn as discs whose size shrinks with distance, the nearest in front, and shaded by the
depth around them (eye-dome lighting, Boucheny 2009), so that shapes are visible even where a class
has a single colour.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Three coordinates.
Vector = Sequence[float] | np.ndarray

BACKGROUNDS = {"white": ((255, 255, 255), (20, 20, 20)), "dark": ((24, 26, 30), (235, 235, 235))}
FIELD_OF_VIEW = np.deg2rad(42.0)  # vertical, where the viewpoint is chosen here
WIDTH, HEIGHT = 1280, 720  # default size, pixels
UP = (0.0, 0.0, 1.0)
SHADING = 0.5  # of eye-dome lighting: how dark a step in depth is drawn
SUPERSAMPLING = 2  # pixels drawn per pixel shown, along each axis
LARGEST_DISC = 24  # pixels shown: a point just in front of the eye does not fill the picture


def render_cloud(
    points: np.ndarray,
    rgb: np.ndarray,
    *,
    width: int = WIDTH,
    height: int = HEIGHT,
    view_from: tuple[Vector, Vector] | None = None,
    up: Vector = UP,
    point_size: float | None = None,
    background: str = "white",
    title: str | None = None,
    legend: Sequence[tuple[str, Sequence[int]]] = (),
) -> np.ndarray:
    """Render the cloud as an image.

    Args:
        points: (N, 3) metres; rows that are not finite are left out. N may be 0.
        rgb: (N, 3) uint8.
        width: of the image, 16 to 8192 pixels.
        height: likewise.
        view_from: (eye, target), the position of the eye and the point it looks at; None: a raised
            corner from which much of the cloud is visible. See also :func:`sensor_view`.
        up: the direction that points upwards, z by default; (0, -1, 0) in optical frames
            (REP-103).
        point_size: diameter of a point in metres; None: the spacing of the points.
        background: ``white`` or ``dark``.
        title: a line above the picture; None: no line.
        legend: (name, (red, green, blue)) of each colour to name, in a strip below.

    Returns:
        (height, width, 3) uint8 RGB.

    Raises:
        ValueError: a shape, size or viewpoint is invalid; the text names it.
    """
    points, rgb = _checked(points, rgb, width, height, background)
    upwards = _direction(up, "up")
    paper, ink = BACKGROUNDS[background]
    image = np.empty((height, width, 3), np.uint8)
    image[:] = paper
    top, bottom = 0, height
    if title or legend:
        top, bottom = _write(image, title or "", legend, ink)
    if len(points) and bottom - top >= 16:
        shape = (bottom - top, width)
        # differences to a point of the cloud: far from the map's origin float32 has no digits left
        centre = np.median(points, axis=0).astype(np.float64)
        local = (points - centre).astype(np.float32)
        if view_from is None:
            eye, target = _raised_corner(local, None, upwards, shape)
        else:
            eye, target = (np.asarray(point, np.float64) - centre for point in view_from)
        size = point_size if point_size is not None else spacing(local)
        image[top:bottom] = _draw(local, rgb, eye, target, upwards, size, shape, np.array(paper))
    return image


def height_colors(points: np.ndarray) -> np.ndarray:
    """Return (N, 3) uint8 colours of ``points`` (N, 3) by their z, blue for low, red for high."""
    height = np.asarray(points, np.float64) @ UP
    if not len(height):
        return np.empty((0, 3), np.uint8)
    low, high = np.percentile(height, [2, 98])
    share = np.clip((height - low) / max(high - low, 1e-6), 0.0, 1.0)
    # A ramp of hues: one triangle of brightness per channel, as in the jet colour map.
    centres = np.array([0.75, 0.5, 0.25])
    ramp = np.clip(1.5 - 4.0 * np.abs(share[:, None] - centres), 0.15, 0.95)
    return (ramp * 255).astype(np.uint8)


def open_view(points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (eye, target) from which most surfaces show the side that the sensor saw.

    For pictures without the points that face away from the eye: a room with its front walls left
    out, like a doll's house.

    Args:
        points: (N, 3) metres.
        normals: (N, 3) facing the sensor; zeros face everywhere.
    """
    points, normals = np.asarray(points), np.asarray(normals)
    centre = np.median(points, axis=0).astype(np.float64)
    local = (points - centre).astype(np.float32)
    eye, target = _raised_corner(local, normals, np.array(UP), (HEIGHT, WIDTH))
    return eye + centre, target + centre


def sensor_view(
    points: np.ndarray, origin: Vector, up: Vector = UP
) -> tuple[np.ndarray, np.ndarray]:
    """Return (eye, target) for a scan by one sensor: from its side, a little above it.

    From there no surface is seen from behind, where a single scan has no points.

    Args:
        points: (N, 3) metres.
        origin: (3,) position of the sensor, metres.
        up: the direction that points upwards.
    """
    points = np.asarray(points, np.float64).reshape(-1, 3)
    points = points[np.isfinite(points).all(axis=1)]
    sensor, upwards = np.asarray(origin, np.float64), _direction(up, "up")
    if not len(points):
        return sensor, _beside(sensor, upwards)
    back = sensor - np.median(points, axis=0)
    distance = float(np.linalg.norm(back))
    if distance < 1e-6:
        back, distance = _beside(np.zeros(3), upwards), 1.0
    away = back + 0.25 * distance * upwards
    return _framed(_thinned(points), away, upwards, (HEIGHT, WIDTH))


def _checked(
    points: np.ndarray, rgb: np.ndarray, width: int, height: int, background: str
) -> tuple[np.ndarray, np.ndarray]:
    points, rgb = np.asarray(points), np.asarray(rgb)
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"points has the shape {points.shape}, expected (N, 3)")
    if rgb.shape != points.shape or rgb.dtype != np.uint8:
        raise ValueError(
            f"rgb is {rgb.dtype} of the shape {rgb.shape}, expected uint8 {points.shape}"
        )
    if not (16 <= width <= 8192 and 16 <= height <= 8192):
        raise ValueError(f"the size is {width} x {height}, expected 16 to 8192 pixels each way")
    if background not in BACKGROUNDS:
        raise ValueError(f"background is {background!r}, expected one of {list(BACKGROUNDS)}")
    finite = np.isfinite(points).all(axis=1)
    return (points, rgb) if finite.all() else (points[finite], rgb[finite])


def _direction(value: Vector, name: str) -> np.ndarray:
    vector = np.asarray(value, np.float64)
    length = np.linalg.norm(vector)
    if vector.shape != (3,) or not np.isfinite(length) or length == 0.0:
        raise ValueError(f"{name} is {vector.tolist()}, expected three finite numbers, not all 0")
    return vector / length


def _beside(point: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Return a point 1 m from ``point``, not along ``up``."""
    axis = np.eye(3)[np.argmin(np.abs(up))]
    return point + _direction(np.cross(up, axis), "up")


def _camera_axes(eye: np.ndarray, target: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Return right, down and forward as the rows of a (3, 3) matrix, as in an optical frame."""
    if not (np.isfinite(eye).all() and np.isfinite(target).all()) or np.allclose(eye, target):
        raise ValueError(
            f"view_from looks from {eye.tolist()} to {target.tolist()}, relative to the middle of"
            " the cloud; expected two finite points that differ"
        )
    forward = _direction(target - eye, "view_from")
    right = np.cross(forward, up)
    if np.linalg.norm(right) < 1e-6:  # straight up or down: any side may be the right one
        right = np.cross(forward, _beside(np.zeros(3), up))
    right = _direction(right, "view_from")
    return np.stack([right, np.cross(forward, right), forward])


def _thinned(points: np.ndarray) -> np.ndarray:
    return points[:: max(1, len(points) // 20_000)]


def _raised_corner(
    points: np.ndarray, normals: np.ndarray | None, up: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return (eye, target): of some directions around the cloud the one that sees most of it."""
    sample = _thinned(points)
    facing = None if normals is None else _thinned(normals)
    low, high = np.percentile(sample, [2, 98], axis=0)
    extent = max(float(np.max(high - low)), 1e-3)
    cells = np.floor((sample - low) / (extent / 48)).astype(np.int64)
    cell = np.unique(cells @ [1, 1 << 20, 1 << 40], return_inverse=True)[1].reshape(-1)
    side = _beside(np.zeros(3), up)
    front = np.cross(up, side)
    best = (-1.0, points[0], points[0])
    for elevation in np.deg2rad([28.0, 42.0, 58.0]):
        for azimuth in np.deg2rad(np.arange(20.0, 380.0, 45.0)):
            level = np.cos(azimuth) * side + np.sin(azimuth) * front
            away = np.cos(elevation) * level + np.sin(elevation) * up
            eye, target = _framed(sample, away, up, shape)
            # seen from steeper above, a cloud shows more of its floor and less of its shapes
            shown = np.ones(len(sample), bool)
            if facing is not None:
                shown = np.einsum("ij,ij->i", facing, eye - sample) >= 0
            seen = _cells_seen(sample[shown], cell[shown], eye, target, up)
            score = seen * (1.0 - 0.4 * np.sin(elevation))
            if score > best[0]:
                best = (score, eye, target)
    return best[1], best[2]


def _framed(
    points: np.ndarray, away: np.ndarray, up: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return (eye, target): the eye in the direction ``away``, with nearly all points in view."""
    away = _direction(away, "away")
    axes = _camera_axes(away, np.zeros(3), up)
    turned = points @ axes.T
    vertical = np.tan(FIELD_OF_VIEW / 2.0)
    half = vertical * np.array([shape[1] / shape[0], 1.0])
    middle = np.median(turned, axis=0)
    for _ in range(3):  # moving sideways changes how far back the eye must be, a little
        beside = turned - middle
        reach = np.max(np.abs(beside[:, :2]) / half, axis=1) - beside[:, 2]
        distance = max(1.07 * float(np.percentile(reach, 98.5)), 0.1)
        ahead = np.maximum(beside[:, 2:] + distance, 0.05 * distance)
        low, high = np.percentile(beside[:, :2] / ahead, [1.0, 99.0], axis=0)
        middle[:2] += (low + high) / 2.0 * distance
    target = middle @ axes
    return target + distance * away, target


def _cells_seen(
    points: np.ndarray, cell: np.ndarray, eye: np.ndarray, target: np.ndarray, up: np.ndarray
) -> int:
    """Count the cells of the cloud that are visible in a coarse picture."""
    across = 96
    turned = (points - eye) @ _camera_axes(eye, target, up).T
    front = turned[:, 2] > 1e-3
    turned, cell = turned[front], cell[front]
    scale = across / (2.0 * np.tan(FIELD_OF_VIEW / 2.0))
    pixel = np.floor(turned[:, :2] / turned[:, 2:] * scale).astype(np.int64)
    inside = (np.abs(pixel) < across).all(axis=1)
    pixel, depth, cell = pixel[inside], turned[inside, 2], cell[inside]
    pixel_number = (pixel[:, 0] + across) * 2 * across + pixel[:, 1] + across
    order = np.argsort(-depth, kind="stable")
    nearest = np.full(4 * across * across, -1)
    np.maximum.at(nearest, pixel_number[order], np.arange(len(order)))
    return len(np.unique(cell[order][nearest[nearest >= 0]]))


def spacing(points: np.ndarray) -> float:
    """Return the spacing of ``points`` (N, 3), N > 0: the edge of cubes that hold about two."""
    extent = max(float(np.max(np.ptp(points, axis=0))), 1e-3)
    if len(points) < 2:
        return extent / 50
    low, high = np.log(extent * 1e-4), np.log(extent * 0.2)
    shifted = points - points.min(axis=0)
    for _ in range(8):
        middle = (low + high) / 2.0
        cells = (shifted / np.exp(middle)).astype(np.int64) @ [1, 1 << 20, 1 << 40]
        cells.sort()
        occupied = 1 + np.count_nonzero(np.diff(cells))
        low, high = (low, middle) if occupied < 0.5 * len(points) else (middle, high)
    return float(np.exp(low))


def _draw(
    points: np.ndarray,
    rgb: np.ndarray,
    eye: np.ndarray,
    target: np.ndarray,
    up: np.ndarray,
    size: float,
    shape: tuple[int, int],
    paper: np.ndarray,
) -> np.ndarray:
    axes = _camera_axes(eye, target, up)
    turned = (points - eye.astype(np.float32)) @ axes.T.astype(np.float32)
    rows, columns = shape[0] * SUPERSAMPLING, shape[1] * SUPERSAMPLING
    focal = rows / (2.0 * np.tan(FIELD_OF_VIEW / 2.0))
    # Far points first: where discs overlap, the one with the higher number is seen.
    order = np.flatnonzero(turned[:, 2] > 0.02 * np.linalg.norm(target - eye))
    order = order[np.argsort(-turned[order, 2], kind="stable")]
    depth = turned[order, 2]
    column = turned[order, 0] / depth * focal + columns / 2.0
    row = turned[order, 1] / depth * focal + rows / 2.0
    largest = LARGEST_DISC * SUPERSAMPLING
    side = np.clip(np.round(1.4 * size * focal / depth), 2, largest).astype(np.int32)
    inside = (np.abs(column - columns / 2.0) < columns / 2.0 + largest / 2.0) & (
        np.abs(row - rows / 2.0) < rows / 2.0 + largest / 2.0
    )
    drawn = _discs(column[inside], row[inside], side[inside], rows, columns)
    covered = drawn >= 0
    owner = order[inside][drawn[covered]]
    distance = np.full((rows, columns), 1e9, np.float32)
    distance[covered] = turned[owner, 2]
    image = np.empty((rows, columns, 3), np.float32)
    image[:] = paper
    image[covered] = rgb[owner] * _shade(distance)[covered][:, None]
    # the mean of the pixels drawn for each pixel shown
    shown = np.zeros((*shape, 3), np.float32)
    for down in range(SUPERSAMPLING):
        for right in range(SUPERSAMPLING):
            shown += image[down::SUPERSAMPLING, right::SUPERSAMPLING]
    return (shown / SUPERSAMPLING**2 + 0.5).astype(np.uint8)


def _discs(
    column: np.ndarray, row: np.ndarray, side: np.ndarray, rows: int, columns: int
) -> np.ndarray:
    """Return which disc is visible in each pixel, (rows, columns) int32, -1 for none.

    Discs come sorted from far to near, so their sides never decrease, and all discs of one side
    can be drawn at once. The picture has a border so that no disc sticks out of it.
    """
    border = LARGEST_DISC * SUPERSAMPLING + 1
    stride = columns + 2 * border
    drawn = np.full((rows + 2 * border) * stride, -1, np.int32)
    corner_column = np.floor(column - (side - 1) / 2.0).astype(np.int32) + border
    corner_row = np.floor(row - (side - 1) / 2.0).astype(np.int32) + border
    corner = corner_row * stride + corner_column
    for pixels in np.unique(side):
        first, last = np.searchsorted(side, [pixels, pixels + 1])
        across = np.arange(pixels) - (pixels - 1) / 2.0
        down, right = np.nonzero(across[:, None] ** 2 + across**2 <= (pixels / 2.0) ** 2 + 0.3)
        disc = (down * stride + right).astype(np.int32)
        portion = max(1, 4_000_000 // len(disc))  # bounds the memory of the index array
        for start in range(first, last, portion):
            owner = np.arange(start, min(start + portion, last), dtype=np.int32)
            pixel = corner[owner][:, None] + disc
            np.maximum.at(drawn, pixel.ravel(), np.repeat(owner, len(disc)))
    return drawn.reshape(-1, stride)[border:-border, border:-border]


def _shade(distance: np.ndarray) -> np.ndarray:
    """Return the brightness 0..1 of each pixel: dark where pixels around it are nearer."""
    level = np.log2(distance)
    border = 2 * SUPERSAMPLING
    padded = np.pad(level, border, mode="edge")
    rows, columns = level.shape
    step = np.zeros_like(level)
    for reach in (SUPERSAMPLING, 2 * SUPERSAMPLING):
        for down, right in ((0, reach), (reach, 0), (0, -reach), (-reach, 0)):
            around = padded[border + down :, border + right :][:rows, :columns]
            # steps below 1 % of the distance are the noise of depth cameras, not shape
            step += np.clip(level - around - 0.015, 0.0, 0.12)
    return np.exp(-SHADING / 0.24 * step)


def _write(
    image: np.ndarray,
    title: str,
    legend: Sequence[tuple[str, Sequence[int]]],
    ink: tuple[int, int, int],
) -> tuple[int, int]:
    """Write title and legend into the image; returns the rows between them, (first, end)."""
    from PIL import Image, ImageDraw, ImageFont

    height, width, _ = image.shape
    heading, font = ImageFont.load_default(24), ImageFont.load_default(18)
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    top = 0
    if title:
        draw.text((16, 10), title, ink, heading)
        top = 44
    lines: list[list[tuple[int, str, tuple[int, ...]]]] = [[]]
    left = 16
    for name, color in legend:
        need = 28 + int(font.getlength(name)) + 22
        if left + need > width and lines[-1]:
            lines.append([])
            left = 16
        lines[-1].append((left, name, tuple(int(value) for value in color)))
        left += need
    bottom = height - (26 * len(lines) + 10 if legend else 0)
    for number, line in enumerate(lines):
        middle = bottom + 26 * number + 15
        for left, name, color in line:
            draw.rectangle((left, middle - 9, left + 20, middle + 8), color, (120, 120, 120))
            draw.text((left + 28, middle), name, ink, font, anchor="lm")
    image[:] = np.asarray(picture)
    return top, bottom
