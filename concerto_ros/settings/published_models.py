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


@dataclass(frozen=True)
class PublishedModel:
    """A model that has a name.

    Attributes:
        name: as a parameter ``checkpoint`` takes it, or ``head``.
        repository: where it is released on huggingface.co; empty: it is part of the package.
        place: the preset whose scenes it was trained on, ``indoor`` or ``outdoor``, or both.
        inputs: what it takes beside coordinates, as its authors say.
        parameters: millions of them, as its authors say; None: they do not, or it is bundled.
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
        None,
        "LiDARs of vehicles",
        place="outdoor",
    ),  # fmt: skip
    _official("concerto_base_siglip", _CONCERTO, None, "words of SigLIP"),
    _official(
        "sonata",
        _SONATA,
        None,
        "geometry without images in its training; has a head",
        inputs="colour and normals",
        published="72.5 with a linear head",
    ),  # fmt: skip
    _official("sonata_small", _SONATA, None, "small GPUs", inputs="colour and normals"),
    _official(
        "utonia",
        _UTONIA,
        None,
        "one model for rooms, LiDARs and objects; has a head",
        place="indoor, outdoor",
    ),  # fmt: skip
)

#: Linear heads by name (ScanNet, 20 classes), and the repository of each.
HEADS = {
    "concerto_large_linear_prob_head_sc": _CONCERTO,
    "sonata_linear_prob_head_sc": _SONATA,
    "utonia_linear_prob_head_sc": _UTONIA,
}
