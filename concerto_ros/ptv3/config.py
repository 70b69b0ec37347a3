# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The fields of an official checkpoint's ``config``: used, without effect here, or refused."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

from concerto_ros.ptv3.kernels.curves import CURVES

#: Fields that act on training only, or only choose a kernel, so their value is not read. But one
#: does more in the reference: ``shuffle_orders`` gives blocks their curves at random, at inference
#: as well (and at every pooling whatever it says), so that its outputs differ from run to run.
#: Here curves keep their order, so that the same cloud always gives the same output.
WITHOUT_EFFECT = frozenset(
    {
        "attn_drop",
        "proj_drop",
        "drop_path",
        "shuffle_orders",
        "shift_coords",
        "jitter_coords",
        "rescale_coords",
        "freeze_encoder",
        "mask_token",
        "traceable",
        "enable_flash",
        "upcast_attention",
        "upcast_softmax",
    }
)


class ConfigError(ValueError):
    """A config field that is not supported; the text names the field and the value got."""


@dataclass(frozen=True)
class PTv3Config:
    """Shape of a Point Transformer V3 (Wu et al., CVPR 2024) as Sonata, Concerto, Utonia use it.

    Names, meanings and defaults are those of the official checkpoints. Per-stage tuples run from
    the finest level to the coarsest. ``rotary`` is not in the official config: it is detected from
    the state dict (:mod:`concerto_ros.ptv3.checkpoint`).

    Raises:
        ConfigError: a value is invalid or contradicts another.
    """

    #: Pointcept's names of the model, its field ``type``: those that this encoder is.
    types: ClassVar[tuple[str, ...]] = ("PT-v3m2", "PT-v3m3")
    #: Fields that no official config has.
    internal: ClassVar[frozenset[str]] = frozenset({"rotary"})
    #: Voxels along an edge of the window that the stem sees.
    stem_size: ClassVar[int] = 1

    in_channels: int = 6
    order: tuple[str, ...] = ("z", "z-trans")
    stride: tuple[int, ...] = (2, 2, 2, 2)
    enc_depths: tuple[int, ...] = (3, 3, 3, 12, 3)
    enc_channels: tuple[int, ...] = (48, 96, 192, 384, 512)
    enc_num_head: tuple[int, ...] = (3, 6, 12, 24, 32)
    enc_patch_size: tuple[int, ...] = (1024, 1024, 1024, 1024, 1024)
    dec_depths: tuple[int, ...] = (3, 3, 3, 3)
    dec_channels: tuple[int, ...] = (96, 96, 192, 384)
    dec_num_head: tuple[int, ...] = (6, 6, 12, 32)
    dec_patch_size: tuple[int, ...] = (1024, 1024, 1024, 1024)
    mlp_ratio: float = 4.0
    qkv_bias: bool = True
    qk_scale: float | None = None
    layer_scale: float | None = None
    pre_norm: bool = True
    enc_mode: bool = False
    rope_base: float = 10.0
    rotary: bool = False

    @classmethod
    def from_official(cls, config: dict[str, Any], *, rotary: bool = False) -> Self:
        """Read the ``config`` of an official file.

        Args:
            config: the fields by name.
            rotary: whether the model has rotary embeddings (Utonia).

        Raises:
            ConfigError: a field is not known, or would change the result and is not implemented
                (``enable_rpe=True``).
        """
        if not isinstance(config, dict):
            raise ConfigError(f"config is a {type(config).__name__}, expected a dict of fields")
        if config.get("enable_rpe"):
            raise ConfigError(
                f"config field enable_rpe={config['enable_rpe']!r} (learned relative position "
                "bias) is not implemented; expected False, as in every official checkpoint"
            )
        if config.get("type", cls.types[0]) not in cls.types:
            raise ConfigError(
                f"config field type={config['type']!r}: expected {' or '.join(cls.types)}, as in"
                " model.backbone of a config of Pointcept"
            )
        known = {field.name for field in fields(cls)} - cls.internal
        chosen = {}
        for name, value in config.items():
            if name in known:
                chosen[name] = value
            elif name not in WITHOUT_EFFECT and name not in ("enable_rpe", "type"):
                raise ConfigError(f"config field {name}={value!r} is not known to this encoder")
        return cls(rotary=rotary, **chosen)

    def to_official(self) -> dict[str, Any]:
        """Return the fields as files store them, for :meth:`from_official`."""
        names = [field.name for field in fields(self) if field.name not in self.internal]
        if not self.rotary and "rope_base" in names:
            names.remove("rope_base")  # only models with rotary embedding have one
        stored = {name: getattr(self, name) for name in names}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in stored.items()
        }

    def __post_init__(self) -> None:
        if isinstance(self.order, str):
            object.__setattr__(self, "order", (self.order,))
        if self.enc_mode is True:
            # Without a decoder its fields have no meaning, whatever a file holds there.
            for name in ("dec_depths", "dec_channels", "dec_num_head", "dec_patch_size"):
                object.__setattr__(self, name, ())
        for name in _TUPLES:
            value = getattr(self, name)
            if not isinstance(value, (tuple, list)):
                raise ConfigError(f"config field {name}={value!r}: expected one value per stage")
            object.__setattr__(self, name, tuple(value))
        self._check_scalars()
        self._check_order()
        self._check_stages("enc", max(len(self.enc_depths), 1))
        if len(self.stride) != len(self.enc_depths) - 1:
            raise ConfigError(
                f"config field stride={self.stride!r}: expected"
                f" {len(self.enc_depths) - 1} values, one less than enc_depths"
            )
        if not self.enc_mode:
            self._check_stages("dec", len(self.enc_depths) - 1)

    def _check_scalars(self) -> None:
        if not _is_count(self.in_channels):
            raise ConfigError(
                f"config field in_channels={self.in_channels!r}: expected a whole number of"
                " at least 1"
            )
        for name in ("mlp_ratio", "rope_base"):
            if not is_number(getattr(self, name)) or getattr(self, name) <= 0:
                raise ConfigError(
                    f"config field {name}={getattr(self, name)!r}: expected a number above 0"
                )
        for name in ("qk_scale", "layer_scale"):
            if getattr(self, name) is not None and not is_number(getattr(self, name)):
                raise ConfigError(
                    f"config field {name}={getattr(self, name)!r}: expected a number or None"
                )
        for name in ("qkv_bias", "pre_norm", "enc_mode"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(
                    f"config field {name}={getattr(self, name)!r}: expected True or False"
                )

    def _check_order(self) -> None:
        unknown = [order for order in self.order if order not in CURVES]
        if unknown or not self.order:
            raise ConfigError(
                f"config field order={self.order!r}: expected one or more of {', '.join(CURVES)}"
            )

    def _check_stages(self, part: str, stages: int) -> None:
        for field, minimum in (("depths", 0), ("channels", 1), ("num_head", 1), ("patch_size", 1)):
            values = getattr(self, f"{part}_{field}")
            good = all(_is_count(value, minimum) for value in values)
            if len(values) != stages or not good:
                raise ConfigError(
                    f"config field {part}_{field}={values!r}: expected {stages} whole numbers of"
                    f" at least {minimum}"
                )
        if not all(_is_count(stride) for stride in self.stride):
            raise ConfigError(
                f"config field stride={self.stride!r}: expected whole numbers above 0"
            )
        channels, heads = getattr(self, f"{part}_channels"), getattr(self, f"{part}_num_head")
        for width, count in zip(channels, heads, strict=True):
            if width % count:
                raise ConfigError(
                    f"config field {part}_num_head={heads!r}: {width} channels do not divide into "
                    f"{count} heads"
                )
            if self.rotary and width // count % 6:
                raise ConfigError(
                    f"config field {part}_num_head={heads!r}: rotary embedding needs head widths "
                    f"that are a multiple of 6, got {width} / {count} = {width // count}"
                )

    @property
    def channels(self) -> tuple[int, ...]:
        """Feature width of each level of the pyramid that the model returns, finest first."""
        return self.enc_channels if self.enc_mode else (self._output_channels,)

    @property
    def _output_channels(self) -> int:
        return self.dec_channels[0] if self.dec_channels else self.enc_channels[0]

    def with_decoder(self, **decoder: Any) -> Self:
        """Return the config with a decoder of these fields, whose names begin with ``dec_``."""
        return replace(self, enc_mode=False, **decoder)

    def curve_of_block(self, block: int) -> str:
        """Return the space-filling curve that orders the patches of the ``block``-th block."""
        return self.order[block % len(self.order)]

    def patches_of_level(self, level: int) -> tuple[tuple[str, int], ...]:
        """Return every distinct (curve, patch size) that a block of this level attends in."""
        patches = [
            (self.curve_of_block(block), self.enc_patch_size[level])
            for block in range(self.enc_depths[level])
        ]
        if not self.enc_mode and level < len(self.dec_depths):
            patches += [
                (self.curve_of_block(block), self.dec_patch_size[level])
                for block in range(self.dec_depths[level])
            ]
        return tuple(dict.fromkeys(patches))


_TUPLES = ("order", "stride") + tuple(
    f"{part}_{field}"
    for part in ("enc", "dec")
    for field in ("depths", "channels", "num_head", "patch_size")
)


def _is_count(value: Any, minimum: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= minimum


def is_number(value: Any) -> bool:
    """Return whether a field's value is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
