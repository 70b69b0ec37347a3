# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The models that can be loaded by name: what they take, and under which licence they are.

This is known without PyTorch, so that commands can tell it at once.
"""

from __future__ import annotations

from dataclasses import dataclass

#: The licence under which all three repositories release their weights, and some others.
OFFICIAL_LICENCE = "CC-BY-NC 4.0 (not for commercial use)"

_PARTS = "colour and normals, either may be missing"
_BOTH = "colour and normals"

#: What a checkpoint of a pre-training in Pointcept is good for: the student's encoder is taken.
_PRETRAINED = "the whole state of its pre-training"


@dataclass(frozen=True)
class PublishedModel:
    """A model that has a name.

    Attributes:
        name: as a parameter ``checkpoint`` takes it, or ``head``.
        repository: where it is released on huggingface.co; empty: it is part of the package.
        place: the preset whose scenes it was trained on, ``indoor`` or ``outdoor``, or both.
        inputs: what it takes beside coordinates, as its authors say.
        parameters: millions of them, of its published shape; None: that is not known, or it is
            bundled.
        licence: of the weights.
        good_for: in a few words.
        published: what its paper measured, mIoU on ScanNet's validation scans; empty: nothing.
    """

    name: str
    repository: str
    place: str
    inputs: str
    parameters: float | None
    licence: str
    good_for: str
    published: str = ""


def _official(
    name: str,
    repository: str,
    parameters: float | None,
    good_for: str,
    *,
    place: str = "indoor",
    inputs: str = _PARTS,
    published: str = "",
) -> PublishedModel:
    return PublishedModel(
        name, repository, place, inputs, parameters, OFFICIAL_LICENCE, good_for, published
    )


_CONCERTO, _SONATA, _UTONIA = "Pointcept/Concerto", "facebook/sonata", "Pointcept/Utonia"

#: Encoders by name. ``demo`` is the bundled one of a preset.
ENCODERS = (
    PublishedModel("demo", "", "indoor", _PARTS, None, "Apache-2.0", "robots with a CPU, at once"),
    PublishedModel(
        "demo (preset outdoor)",
        "",
        "outdoor",
        _PARTS,
        None,
        "Apache-2.0",
        "LiDARs on a CPU, at once",
    ),  # fmt: skip
    _official("concerto_tiny", _CONCERTO, 4.86, "CPUs"),
    _official("concerto_small", _CONCERTO, 39, "small GPUs"),
    _official("concerto_base", _CONCERTO, 108, "GPUs; training your own classes"),
    _official(
        "concerto_large",
        _CONCERTO,
        208,
        "the best labels indoors; has a head",
        published="77.3 with a linear head, 80.7 fine-tuned",
    ),  # fmt: skip
    _official(
        "concerto_large_outdoor",
        _CONCERTO,
        208,
        "LiDARs of vehicles",
        place="outdoor",
    ),  # fmt: skip
    _official("concerto_base_siglip", _CONCERTO, None, "words of SigLIP"),
    _official(
        "concerto_base_origin", _CONCERTO, 108, "comparisons with the paper", inputs=_BOTH
    ),  # fmt: skip
    _official(
        "concerto_large_origin", _CONCERTO, 208, "comparisons with the paper", inputs=_BOTH
    ),  # fmt: skip
    _official(
        "pretrain-concerto-v1m1-2-large-video", _CONCERTO, 208, _PRETRAINED, inputs=_BOTH
    ),  # fmt: skip
    _official(
        "sonata",
        _SONATA,
        108,
        "geometry without images in its training; has a head",
        inputs=_BOTH,
        published="72.5 with a linear head",
    ),  # fmt: skip
    _official("sonata_small", _SONATA, 39, "small GPUs", inputs=_BOTH),
    _official("pretrain-sonata-v1m1-0-base", _SONATA, 108, _PRETRAINED, inputs=_BOTH),
    _official(
        "utonia",
        _UTONIA,
        137,
        "one model for rooms, LiDARs and objects; has a head",
        place="indoor, outdoor",
    ),  # fmt: skip
    _official(
        "pretrain-utonia-v1m1-0-base_stagev2",
        _UTONIA,
        137,
        _PRETRAINED,
        place="indoor, outdoor",
    ),  # fmt: skip
)

#: Linear heads by name (ScanNet, 20 classes), and the repository of each.
HEADS = {
    "concerto_large_linear_prob_head_sc": _CONCERTO,
    "sonata_linear_prob_head_sc": _SONATA,
    "utonia_linear_prob_head_sc": _UTONIA,
}


@dataclass(frozen=True)
class PublishedDepthModel:
    """A depth model that has a name.

    Attributes:
        name: As ``--depth-model`` and ``cameras.<name>.depth_model`` take it.
        repository: Where it is released on huggingface.co.
        library: The package that runs it: ``depth_anything_3``, ``mapanything`` or
            ``transformers``.
        licence: Of the weights.
        metric: Whether its depth is in metres.
        predicts_poses: Whether it predicts poses.
    """

    name: str
    repository: str
    library: str
    licence: str
    metric: bool
    predicts_poses: bool


def _depth_model(
    name: str,
    repository: str,
    library: str,
    licence: str,
    *,
    metric: bool = True,
    poses: bool = True,
) -> PublishedDepthModel:
    return PublishedDepthModel(name, repository, library, licence, metric, poses)


_DA3, _MAP = "depth_anything_3", "mapanything"

#: Depth models that have a name; those under Apache-2.0 first.
DEPTH_MODELS = (
    _depth_model("map-anything-apache", "facebook/map-anything-apache", _MAP, "Apache-2.0"),
    _depth_model("da3-base", "depth-anything/DA3-BASE", _DA3, "Apache-2.0", metric=False),
    _depth_model("da3-small", "depth-anything/DA3-SMALL", _DA3, "Apache-2.0", metric=False),
    _depth_model(
        "da3metric-large", "depth-anything/DA3METRIC-LARGE", _DA3, "Apache-2.0", poses=False
    ),
    *(
        _depth_model(
            f"depth-anything-v2-{place.lower()}-small",
            f"depth-anything/Depth-Anything-V2-Metric-{place}-Small-hf",
            "transformers",
            "Apache-2.0",
            poses=False,
        )
        for place in ("Indoor", "Outdoor")
    ),
    _depth_model(
        "da3-large-1.1", "depth-anything/DA3-LARGE-1.1", _DA3, OFFICIAL_LICENCE, metric=False
    ),
    _depth_model(
        "da3nested-giant-large-1.1",
        "depth-anything/DA3NESTED-GIANT-LARGE-1.1",
        _DA3,
        OFFICIAL_LICENCE,
    ),
    _depth_model("map-anything", "facebook/map-anything", _MAP, OFFICIAL_LICENCE),
)
