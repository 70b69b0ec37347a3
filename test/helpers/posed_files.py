# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Posed RGB-D images in files of other programs: COLMAP, TUM, depth models, videos."""

from __future__ import annotations

import struct

import cv2
import numpy as np

#: Names of COLMAP's camera models by their number in binary files.
MODELS = {"PINHOLE": 1, "SIMPLE_RADIAL": 2, "OPENCV": 4, "FOV": 7}


def quaternion(rotation):
    """(x, y, z, w) of a rotation (3, 3), by its largest component."""
    w, x, y, z = (
        np.sqrt(
            np.maximum(
                0,
                1
                + np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) @ np.diag(rotation),
            )
        )
        / 2
    )
    signs = rotation[[2, 0, 1], [1, 2, 0]] - rotation[[1, 2, 0], [2, 0, 1]]
    if w > 0.1:
        return np.array([*(signs / (4 * w)), w])
    axis = int(np.argmax([x, y, z]))
    largest = (x, y, z)[axis]
    value = np.zeros(4)
    for other in range(3):
        value[other] = (rotation[axis, other] + rotation[other, axis]) / (4 * largest)
    value[axis], value[3] = largest, signs[axis] / (4 * largest)
    return value


def write_images(folder, views, name="{:04d}", ending="png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, (image, _) in enumerate(views):
        path = folder / f"{name.format(number)}.{ending}"
        assert cv2.imwrite(str(path), image.color[..., ::-1])
    return folder


def write_depth(folder, views, unit=0.001, name="{:04d}"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, (image, _) in enumerate(views):
        units = np.rint(image.depth / unit).astype(np.uint16)
        cv2.imwrite(str(folder / f"{name.format(number)}.png"), units)
    return folder


def write_npz(path, views, camera, *, scale=1.0, layout="da3", images=False, **other):
    """What Depth Anything 3 (``da3``), VGGT (``vggt``) or MapAnything (``map``) writes."""
    depth = np.array([image.depth for image, _ in views], np.float32) / scale
    poses = np.array([pose for _, pose in views], np.float64)
    poses[:, :3, 3] /= scale
    intrinsics = np.tile(camera.matrix, (len(views), 1, 1))
    colors = np.array([image.color for image, _ in views])
    to_camera = np.linalg.inv(poses)[:, :3]
    confidence = np.ones_like(depth)
    if layout == "da3":
        arrays = {"depth": depth, "extrinsics": to_camera, "intrinsics": intrinsics}
        arrays |= {"conf": confidence} | ({"image": colors} if images else {})
    elif layout == "vggt":
        arrays = {"depth": depth[..., None], "extrinsic": to_camera, "intrinsic": intrinsics}
        arrays |= {"depth_conf": confidence, "images": colors.transpose(0, 3, 1, 2) / 255.0}
    else:
        arrays = {"depth_z": depth[..., None], "camera_poses": poses, "intrinsics": intrinsics}
    np.savez(path, **{**arrays, **other})
    return path


def write_video(path, views, fps=30):
    height, width = views[0][0].color.shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), fps, (width, height))
    for image, _ in views:
        writer.write(np.ascontiguousarray(image.color[..., ::-1]))
    writer.release()
    return path


def write_tum(folder, views, unit=1 / 5000, start=1305031453.0, depth_later=0.012):
    """``rgb``, ``depth`` and ``groundtruth.txt``; depth a little later than colour, as a Kinect's.

    The poses are those of the depth images, between two lines of the trajectory that are 0.01 s
    before and after.
    """
    for name in ("rgb", "depth"):
        (folder / name).mkdir(parents=True)
    lines = ["# ground truth trajectory", "# timestamp tx ty tz qx qy qz qw"]
    for number, (image, pose) in enumerate(views):
        color, depth = start + 0.1 * number, start + 0.1 * number + depth_later
        cv2.imwrite(str(folder / "rgb" / f"{color:.6f}.png"), image.color[..., ::-1])
        units = np.rint(image.depth / unit).astype(np.uint16)
        cv2.imwrite(str(folder / "depth" / f"{depth:.6f}.png"), units)
        for time in (depth - 0.01, depth + 0.01):
            numbers = [*pose[:3, 3], *quaternion(pose[:3, :3])]
            lines.append(f"{time:.6f} " + " ".join(f"{number:.9f}" for number in numbers))
    (folder / "groundtruth.txt").write_text("\n".join(lines) + "\n")
    return folder


def colmap_content(views, camera, *, scale=1.0, model="PINHOLE", points=0, name="{:04d}.png"):
    """(camera numbers, images, points) of a model whose unit is ``scale`` metres.

    ``points`` of each image lie on its depth readings.
    """
    focal, (cx, cy) = camera.focal, camera.center
    numbers = [focal, focal, cx + 0.5, cy + 0.5]
    if model == "SIMPLE_RADIAL":
        numbers = [focal, cx + 0.5, cy + 0.5, 0.0]
    if model == "FOV":
        numbers.append(0.9)
    images, cloud = [], []
    rng = np.random.default_rng(0)
    for number, (image, pose) in enumerate(views):
        seen = []
        rows, columns = np.nonzero(image.depth > 0)
        for at in rng.choice(len(rows), min(points, len(rows)), replace=False):
            row, column = rows[at], columns[at]
            ray = np.linalg.inv(camera.matrix) @ [column, row, 1.0]
            world = pose[:3, :3] @ (ray * image.depth[row, column]) + pose[:3, 3]
            seen.append((column + 0.5, row + 0.5, len(cloud) + 1))
            cloud.append(world / scale)
        seen.append((1.5, 1.5, -1))  # a feature without a point
        to_camera = np.linalg.inv(pose)
        x, y, z, w = quaternion(to_camera[:3, :3])
        images.append(((w, x, y, z), to_camera[:3, 3] / scale, name.format(number), seen))
    return (model, camera.width, camera.height, numbers), images, cloud


def write_colmap_text(folder, content):
    (model, width, height, numbers), images, cloud = content
    folder.mkdir(parents=True, exist_ok=True)
    words = " ".join(str(number) for number in numbers)
    (folder / "cameras.txt").write_text(f"# cameras\n1 {model} {width} {height} {words}\n")
    lines = ["# images", "# two lines each"]
    for number, (rotation, translation, name, seen) in enumerate(images, 1):
        pose = " ".join(f"{value:.12f}" for value in (*rotation, *translation))
        lines += [f"{number} {pose} 1 {name}", " ".join(f"{x} {y} {p}" for x, y, p in seen)]
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    (folder / "points3D.txt").write_text(
        "".join(f"{n} {x} {y} {z} 9 9 9 0.5 1 0\n" for n, (x, y, z) in enumerate(cloud, 1))
    )
    return folder


def write_colmap_binary(folder, content):
    (model, width, height, numbers), images, cloud = content
    folder.mkdir(parents=True, exist_ok=True)
    camera = struct.pack("<QiiQQ", 1, 1, MODELS[model], width, height)
    (folder / "cameras.bin").write_bytes(camera + struct.pack(f"<{len(numbers)}d", *numbers))
    parts = [struct.pack("<Q", len(images))]
    for number, (rotation, translation, name, seen) in enumerate(images, 1):
        parts.append(struct.pack("<I7dI", number, *rotation, *translation, 1))
        parts += [name.encode() + b"\0", struct.pack("<Q", len(seen))]
        parts += [struct.pack("<ddq", *point) for point in seen]
    (folder / "images.bin").write_bytes(b"".join(parts))
    parts = [struct.pack("<Q", len(cloud))]
    for number, (x, y, z) in enumerate(cloud, 1):
        parts.append(struct.pack("<Q3d3BdQ", number, x, y, z, 9, 9, 9, 0.5, 1))
        parts.append(struct.pack("<II", 1, 0))
    (folder / "points3D.bin").write_bytes(b"".join(parts))
    return folder


def write_colmap_depth(folder, views, *, scale=1.0, name="{:04d}.png", kind="geometric"):
    """COLMAP's dense depth maps, in the unit of its poses."""
    folder.mkdir(parents=True)
    for number, (image, _) in enumerate(views):
        height, width = image.depth.shape
        path = folder / f"{name.format(number)}.{kind}.bin"
        body = (image.depth / scale).astype("<f4").tobytes()
        path.write_bytes(f"{width}&{height}&1&".encode() + body)
    return folder


def write_colmap_scene(folder, views, camera, *, binary, depth="images", points=40, **content):
    """A model in ``sparse/0``, ``images``, and depth: images in millimetres or COLMAP's ``depth``.

    ``content``: as for :func:`colmap_content`; the names of the images stay.
    """
    model = colmap_content(views, camera, points=points, **content)
    write = write_colmap_binary if binary else write_colmap_text
    write(folder / "sparse" / "0", model)
    write_images(folder / "images", views)
    if depth == "images":
        write_depth(folder / "depth", views)
    else:
        scale = content.get("scale", 1.0)
        write_colmap_depth(folder / "stereo" / "depth_maps", views, scale=scale, kind=depth)
    return folder
