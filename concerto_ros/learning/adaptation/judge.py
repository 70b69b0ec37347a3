# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether an encoder became better, with labels or without."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from concerto_ros.heads.pca import PcaColors
from concerto_ros.labels.confusion import Confusion
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.adaptation.scene_frames import ImageFrames
from concerto_ros.learning.adaptation.scenes import Scene
from concerto_ros.learning.data.batch import Batch, make_batch
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.methods.ridge import RidgeSums
from concerto_ros.learning.pretraining.augmentation import rotation, turned
from concerto_ros.learning.pretraining.matching import match_views
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.segmentation.convention import Convention

#: Points of a scene that a visit of the judge sees, and voxels whose features are compared.
VISIT_SHARE, COMPARED = 0.5, 2000

#: Pairs of successive images of a scene that are compared, at most.
FRAME_PAIRS = 4

#: How much a measure may fall before the result is worse: mIoU and agreement absolute, rank as a
#: share.
TOLERANCE = 0.01
RANK_SHARE = 0.8


@dataclass(frozen=True)
class Measures:
    """What an encoder's features are worth.

    Attributes:
        agreement: Mean cosine of the features of one place in two visits, less that of two places,
            after the mean feature is subtracted: 0 to 1 for useful ones.
        effective_rank: Of the features (Garrido et al., "RankMe", ICML 2023); 1: collapsed.
        probes: mIoU of a linear probe by the name of its scans.
        between_frames: As ``agreement``, of visits that are the points that two successive images
            see; None: no scene has two images that see the same place.
    """

    agreement: float
    effective_rank: float
    probes: dict[str, float]
    between_frames: float | None = None


def worse(before: Measures, after: Measures) -> list[str]:
    """Why the result must not replace what was there; empty where it may.

    Where there are probes they decide; else the measures that need no labels do.
    """
    if before.probes:
        return [
            f"the probe on {name} fell from {100 * old:.1f} to {100 * after.probes[name]:.1f} mIoU"
            for name, old in before.probes.items()
            if not after.probes[name] >= old - TOLERANCE
        ]
    reasons = []
    if not after.agreement >= before.agreement - TOLERANCE:
        reasons.append(
            f"features of one place agree less: {before.agreement:.3f}, now {after.agreement:.3f}"
        )
    old, new = before.between_frames, after.between_frames
    if old is not None and (new is None or not new >= old - TOLERANCE):
        reasons.append(
            f"features of one place agree less between frames: {old:.3f}, now"
            f" {'not known' if new is None else f'{new:.3f}'}"
        )
    if not after.effective_rank >= RANK_SHARE * before.effective_rank:
        reasons.append(
            f"the effective rank fell from {before.effective_rank:.1f} to"
            f" {after.effective_rank:.1f}: features collapse"
        )
    return reasons


@dataclass(frozen=True)
class Judge:
    """Measures encoders, always on the same scenes with the same random choices.

    Attributes:
        scenes: Held-out scenes without labels.
        probes: Labelled scans by name; a probe is trained on every other one.
        convention: Scale and centre of the encoder's coordinates.
        voxel_size: Metres.
        seed: Random seed of the visits.
    """

    scenes: Sequence[Scene]
    probes: Mapping[str, Sequence[Scan]]
    convention: Convention
    voxel_size: float
    seed: int = 0

    @torch.inference_mode()
    def measure(self, encoder: Encoder) -> Measures:
        """Measure an encoder, in evaluation mode; it is left in it."""
        encoder.eval()
        pairs, features, frames = [], [], []
        for index in range(len(self.scenes)):
            scene = self.scenes[index]
            random = np.random.default_rng((self.seed, 6, index))
            one, other = self._two_visits(encoder, scene.scan, halves(scene.scan, random), random)
            pairs.append((one, other))
            features.append(one)
            for seen in seen_by_successive(scene):
                visits = self._two_visits(encoder, scene.scan, seen, random)
                frames += [visits] if len(visits[0]) > 1 else []
        mean = torch.cat(features).mean(dim=0)
        probes = {name: self._probe(encoder, scans) for name, scans in self.probes.items()}
        return Measures(
            _mean_agreement(pairs, mean),
            effective_rank(torch.cat(features) - mean),
            probes,
            _mean_agreement(frames, mean) if frames else None,
        )

    @torch.inference_mode()
    def colored(self, encoder: Encoder, scan: Scan, colors: PcaColors) -> np.ndarray:
        """Colour the points of a scan by their features, (N, 3) uint8.

        Args:
            encoder: In evaluation mode, in which it is left.
            scan: The scan.
            colors: Axes and ranges; those of the first call are kept, so that a place keeps its
                colour where its features stay as they were.
        """
        encoder.eval()
        batch = make_batch([scan], self.convention, self.voxel_size)
        voxels = colors.colors(self._features(encoder, batch))
        return batch.at_points(voxels, 128)

    def _two_visits(
        self,
        encoder: Encoder,
        scan: Scan,
        visits: Sequence[np.ndarray],
        random: np.random.Generator,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(P, C) features of the same places in two visits, each of some rows, turned."""
        found = []
        for rows in visits:
            matrix = rotation(2, random.uniform(-np.pi, np.pi))
            points = scan.points[rows]
            moved = turned(points, matrix, about_box=False).astype(np.float32)
            normals = None if scan.normals is None else scan.normals[rows] @ matrix.T
            part = Scan(
                scan.name,
                moved,
                np.full(len(rows), UNLABELLED, np.uint8),
                colors=None if scan.colors is None else scan.colors[rows],
                normals=None if normals is None else normals.astype(np.float32),
            )
            batch = make_batch([part], self.convention, self.voxel_size)
            feat = self._features(encoder, batch)
            places = torch.zeros(len(feat), 3)
            inverse = batch.inverse[0]
            seen = np.flatnonzero(inverse >= 0)
            places[inverse[seen]] = torch.from_numpy(points[seen])
            found.append((feat, places))
        (one, here), (other, there) = found
        ends = torch.tensor([len(here)]), torch.tensor([len(there)])
        matched = match_views(here, ends[0], there, ends[1], 1.5 * self.voxel_size)
        if len(matched) > COMPARED:
            rows = np.sort(random.choice(len(matched), COMPARED, replace=False))
            matched = matched[torch.from_numpy(rows)]
        return one[matched[:, 0]], other[matched[:, 1]]

    def _features(self, encoder: Encoder, batch: Batch) -> torch.Tensor:
        device = next(encoder.parameters()).device
        moved = batch.to(device)
        pyramid = encoder(moved.feat, moved.grid_coord, moved.coord, moved.offset)
        return pyramid.upcast(None).float().cpu()

    def _probe(self, encoder: Encoder, scans: Sequence[Scan]) -> float:
        """Score (mIoU) on every other scan of a ridge fitted to the others."""
        classes = 1 + max(
            (int(scan.labels[scan.labelled].max(initial=0)) for scan in scans), default=0
        )
        sums = RidgeSums(sum(encoder.channels), classes)
        for scan in scans[::2]:
            feat, labels = self._labelled(encoder, scan)
            sums.add(feat, functional.one_hot(labels, classes).float())
        weight, bias = sums.solve()
        score = Confusion(classes)
        for scan in scans[1::2]:
            feat, labels = self._labelled(encoder, scan)
            score.add_scores(functional.linear(feat, weight, bias).numpy(), labels.numpy())
        return score.present_mean_iou

    def _labelled(self, encoder: Encoder, scan: Scan) -> tuple[torch.Tensor, torch.Tensor]:
        batch = make_batch([scan], self.convention, self.voxel_size)
        known = batch.labels != UNLABELLED
        return self._features(encoder, batch)[known], batch.labels[known]


def halves(scan: Scan, random: np.random.Generator) -> list[np.ndarray]:
    """The rows of a scan that two visits see, each drawn anew."""
    size = max(1, int(VISIT_SHARE * len(scan)))
    return [np.sort(random.choice(len(scan), size, replace=False)) for _ in range(2)]


def seen_by_successive(scene: Scene) -> Iterator[list[np.ndarray]]:
    """The rows of a scene that two successive images see, of some pairs spread over all images."""
    images = scene.frames
    if not isinstance(images, ImageFrames) or len(images) < 2:
        return
    last = len(images) - 2
    for first in sorted({round(at) for at in np.linspace(0, last, FRAME_PAIRS)}):
        seen = [images.rows(range(at, at + 1)) for at in (first, first + 1)]
        if all(len(rows) for rows in seen):
            yield seen


def effective_rank(features: torch.Tensor) -> float:
    """The exponential of the entropy of the shares of singular values of (N, C) features."""
    values = torch.linalg.svdvals(features.double())
    shares = values / values.sum()
    shares = shares[shares > 0]
    return float(torch.exp(-(shares * shares.log()).sum()))


def _mean_agreement(
    pairs: Sequence[tuple[torch.Tensor, torch.Tensor]], mean: torch.Tensor
) -> float:
    return float(np.mean([_agreement(one - mean, other - mean) for one, other in pairs]))


def _agreement(one: torch.Tensor, other: torch.Tensor) -> float:
    """Mean cosine of matched rows less that of rows that do not belong together."""
    if len(one) < 2:
        return float("nan")
    one, other = functional.normalize(one, dim=1), functional.normalize(other, dim=1)
    same = (one * other).sum(dim=1).mean()
    apart = (one * other.roll(len(other) // 2, dims=0)).sum(dim=1).mean()
    return float(same - apart)
