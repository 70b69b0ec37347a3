# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The encoders that can be loaded by name: what they take, and under which licence they are.

This is known without PyTorch, so that commands can tell it at once.
"""

from __future__ import annotations

from dataclasses import dataclass

#: The licence under which all three repositories release their weights.
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
