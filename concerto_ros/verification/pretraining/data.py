# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cases of the data: views, places in images, augmentation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from concerto_ros.learning.pretraining import augmentation as changes
from concerto_ros.learning.pretraining.correspondence import central_crop, patches_of_points
from concerto_ros.learning.pretraining.views import SceneViews, ViewSizes, crop_views
from concerto_ros.verification.cases import Case
from concerto_ros.verification.pretraining.outcome import Outcome, number


class GivenDraws:
    """The choices of a case.

    Args:
        points: In the order in which they are asked for.
        shares: Likewise.

    Attributes:
        allowed: Whether each point was among its candidates.
    """

    def __init__(self, points: Iterator[int], shares: Iterator[float]):
        self._points, self._shares = points, shares
        self.allowed: list[bool] = []

    def point(self, candidates: np.ndarray) -> int:
        """The next point."""
        chosen = next(self._points)
        self.allowed.append(chosen in candidates)
        return chosen

    def share(self, low: float, high: float) -> float:
        """The next share."""
        chosen = next(self._shares)
        self.allowed.append(low <= chosen <= high)
        return chosen


def views(case: Case) -> Outcome:
    """The views of a scene, and the images that see the major one."""
    arrays = case.arrays
    places = arrays.get("correspondence")
    seen = None if places is None else np.all(places >= 0, axis=2)
    points = [int(arrays[name]) for name in POINTS if name in arrays]
    shares = [float(arrays[name]) for name in SHARES if name in arrays]
    points += [int(point) for point in arrays["draw_local_points"]]
    shares += [float(share) for share in arrays["draw_local_scales"]]
    draws = GivenDraws(iter(points), iter(shares))
    sizes = ViewSizes(
        int(arrays["max_size"]),
        major=(0.4, 1.0) if "draw_major_scale" in arrays else None,
        locals=len(arrays["draw_local_points"]),
    )
    found = crop_views(arrays["coord"], seen, sizes, draws)
    values = _by_name(found)
    names = frozenset(name for name in values if name.startswith("index_"))
    if places is not None:
        # In the order of the case's own rows, which are compared as sets.
        rows = np.concatenate([arrays["index_major"], arrays["index_second"]])
        values["global_correspondence_kept"] = places[rows][:, found.images]
        values["kept_images"] = found.images
        values["img_num"] = np.array(len(found.images))
    return Outcome(
        values,
        lambda name: name.startswith("draw_") or name in ("coord", "max_size", "correspondence"),
        names,
        holds={"draws are among the candidates": all(draws.allowed)},
    )


POINTS = ("draw_major_point", "draw_second_point")
SHARES = ("draw_major_scale", "draw_second_scale")


def _by_name(found: SceneViews) -> dict[str, np.ndarray]:
    chosen = {"major": found.major, "second": found.second}
    chosen |= {f"local{number}": view for number, view in enumerate(found.locals)}
    values = {}
    for name, view in chosen.items():
        values[f"index_{name}"], values[f"centre_{name}"] = view.rows, view.centre
    globals_ = [len(found.major.rows), len(found.second.rows)]
    values["global_offset"] = np.cumsum(globals_)
    values["local_offset"] = np.cumsum([len(view.rows) for view in found.locals])
    return values


def correspondence(case: Case) -> Outcome:
    """Where among the patches points are seen."""
    arrays = case.arrays
    files = [
        arrays[f"file_{number}"]
        for number in range(sum(name.startswith("file_") for name in arrays))
    ]
    width, height = (int(size) for size in arrays["image_size"])
    columns, rows = (int(size) // int(arrays["patch"]) for size in arrays["crop"])
    crop = central_crop((width, height), (rows, columns))
    found = patches_of_points(files, int(arrays["n_points"]), [crop] * len(files))
    values = {"correspondence": found, "img_num": np.array([len(files)])}
    return Outcome(values, lambda name: name not in values)


def augmentation(case: Case) -> Outcome:
    """Each augmentation of the same cloud, with given choices."""
    arrays = case.arrays
    coord, normal, color = arrays["coord"], arrays["normal"], arrays["color"]
    flip = np.diag([-1.0, -1.0, 1.0])
    values = {
        "center_shift": changes.centred(coord),
        "flip_both_coord": changes.turned(coord, flip, about_box=False),
        "flip_both_normal": normal @ flip.T,
        "jitter_coord": changes.jittered(coord, arrays["jitter_noise"], 0.005, 0.02),
        "elastic_coord": changes.bent(
            changes.bent(coord, arrays["elastic_noise_0"], 0.2, 0.4),
            arrays["elastic_noise_1"],
            0.8,
            1.6,
        ),
        "shift_color": changes.shifted(color, arrays["shift_draw"]),
    }
    for axis, name in enumerate("xyz"):
        angle = np.pi * number(case, f"rotate_{name}_half_turns")
        matrix = changes.rotation(axis, angle)
        values[f"rotate_{name}_coord"] = changes.turned(coord, matrix, about_box=name != "z")
        values[f"rotate_{name}_normal"] = normal @ matrix.T
    for name in arrays:
        if name.startswith("color_jitter_") and name.endswith("_order"):
            part = name.removesuffix("_order")
            order = [int(change) for change in arrays[name]]
            values[part] = changes.color_jittered(
                color.astype(np.float64), order, list(arrays[f"{part}_factors"])
            )
    return Outcome(values, lambda name: name not in values)
