# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The fields of LitePT's ``config``: those of Point Transformer V3, and what each stage has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from concerto_ros.ptv3.config import ConfigError, PTv3Config, is_number

#: Pointcept's name of the model, its field ``type``.
TYPE = "LitePT"


@dataclass(frozen=True)
class LitePTConfig(PTv3Config):
    """Shape of a LitePT; names, meanings and defaults are those of the published configs.

    Of the fields of Point Transformer V3, ``layer_scale``, ``rope_base`` and ``rotary`` have no
    meaning: attention always has a rotary embedding, of voxel indices.

    Attributes:
        enc_conv: whether the blocks of each stage begin with a convolution.
        enc_attn: whether they have attention and an MLP.
        enc_rope_freq: base of the frequencies of each stage's rotary embedding.
        dec_conv: as ``enc_conv``, of the decoder's stages, finest first.
        dec_attn: as ``enc_attn``.
        dec_rope_freq: as ``enc_rope_freq``.

    Raises:
        ConfigError: a value is invalid or contradicts another.
    """

    types: ClassVar[tuple[str, ...]] = (TYPE,)
    internal: ClassVar[frozenset[str]] = frozenset({"rotary", "rope_base", "layer_scale"})
    stem_size: ClassVar[int] = 5

    in_channels: int = 4
    order: tuple[str, ...] = ("z", "z-trans", "hilbert", "hilbert-trans")
    enc_depths: tuple[int, ...] = (2, 2, 2, 6, 2)
    enc_channels: tuple[int, ...] = (36, 72, 144, 252, 504)
    enc_num_head: tuple[int, ...] = (2, 4, 8, 14, 28)
    dec_depths: tuple[int, ...] = (0, 0, 0, 0)
    dec_channels: tuple[int, ...] = (72, 72, 144, 252)
    dec_num_head: tuple[int, ...] = (4, 4, 8, 14)
    enc_conv: tuple[bool, ...] = (True, True, True, False, False)
    enc_attn: tuple[bool, ...] = (False, False, False, True, True)
    enc_rope_freq: tuple[float, ...] = (100.0, 100.0, 100.0, 100.0, 100.0)
    dec_conv: tuple[bool, ...] = (False, False, False, False)
    dec_attn: tuple[bool, ...] = (False, False, False, False)
    dec_rope_freq: tuple[float, ...] = (100.0, 100.0, 100.0, 100.0)

    def __post_init__(self) -> None:
        if self.enc_mode is True:
            for name in ("dec_conv", "dec_attn", "dec_rope_freq"):
                object.__setattr__(self, name, ())
        super().__post_init__()
        self._check_parts("enc", len(self.enc_depths))
        self._check_parts("dec", len(self.dec_depths))

    def _check_parts(self, part: str, stages: int) -> None:
        for field in ("conv", "attn", "rope_freq"):
            values = getattr(self, f"{part}_{field}")
            wanted = "numbers above 0" if field == "rope_freq" else "of True or False"
            good = isinstance(values, (tuple, list)) and len(values) == stages
            if not good or not all(_fits(field, value) for value in values):
                raise ConfigError(
                    f"config field {part}_{field}={values!r}: expected {stages} {wanted}"
                )
            object.__setattr__(self, f"{part}_{field}", tuple(values))
        channels, heads = getattr(self, f"{part}_channels"), getattr(self, f"{part}_num_head")
        attends = getattr(self, f"{part}_attn")
        for width, count, attention in zip(channels, heads, attends, strict=True):
            if attention and width // count % 6:
                raise ConfigError(
                    f"config field {part}_num_head={heads!r}: rotary embedding needs head widths"
                    f" that are a multiple of 6, got {width} / {count} = {width // count}"
                )

    def patches_of_level(self, level: int) -> tuple[tuple[str, int], ...]:
        """Return every distinct (curve, patch size) that a block of this level attends in."""
        patches: list[tuple[str, int]] = []
        for part, depths in (("enc", self.enc_depths), ("dec", self.dec_depths)):
            if level < len(depths) and getattr(self, f"{part}_attn")[level]:
                size = getattr(self, f"{part}_patch_size")[level]
                patches += [(self.curve_of_block(block), size) for block in range(depths[level])]
        return tuple(dict.fromkeys(patches))

    def to_official(self) -> dict[str, Any]:
        """Return the fields as files store them, with the ``type`` by which they are told."""
        return {"type": TYPE, **super().to_official()}

    def with_decoder(self, **fields: Any) -> LitePTConfig:
        """Return the config with a decoder whose stages have the parts of the encoder's."""
        parts = {
            f"dec_{field}": getattr(self, f"enc_{field}")[:-1]
            for field in ("conv", "attn", "rope_freq")
        }
        return super().with_decoder(**parts, **fields)


def _fits(field: str, value: Any) -> bool:
    if field == "rope_freq":
        return is_number(value) and value > 0
    return isinstance(value, bool)
