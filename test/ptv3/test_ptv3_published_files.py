# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every file of the three repositories of Concerto, Sonata and Utonia loads by its name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from official_config import SMALL

from concerto_ros.heads import LinearHead
from concerto_ros.ptv3 import Encoder, PTv3Config, load_encoder
from concerto_ros.ptv3.checkpoint import untrained_encoder
from concerto_ros.ptv3.official_files import OFFICIAL_ENCODERS, OFFICIAL_HEADS
from concerto_ros.settings.published_models import ENCODERS

CURVES = ("z", "z-trans", "hilbert", "hilbert-trans")

#: The stems of the ``.pth`` files of each repository.
ENCODER_FILES = {
    "Pointcept/Concerto": {
        "concerto_tiny", "concerto_small", "concerto_base", "concerto_large",
        "concerto_large_outdoor", "concerto_base_siglip", "concerto_base_origin",
        "concerto_large_origin", "pretrain-concerto-v1m1-2-large-video",
    },
    "facebook/sonata": {"sonata", "sonata_small", "pretrain-sonata-v1m1-0-base"},
    "Pointcept/Utonia": {"utonia", "pretrain-utonia-v1m1-0-base_stagev2"},
}  # fmt: skip

#: Depths, channels and heads of the released shapes.
TINY = ((1, 1, 1, 3, 1), (16, 32, 64, 128, 256), (1, 2, 4, 8, 16))
SMALLER = ((2, 2, 2, 6, 2), (32, 64, 128, 256, 512), (2, 4, 8, 16, 32))
BASE = ((3, 3, 3, 12, 3), (48, 96, 192, 384, 512), (3, 6, 12, 24, 32))
LARGE = ((3, 3, 3, 12, 3), (64, 128, 256, 512, 768), (4, 8, 16, 32, 48))
ROTARY = ((3, 3, 3, 12, 3), (54, 108, 216, 432, 576), (3, 6, 12, 24, 32))

SHAPES = {
    "concerto_tiny": TINY,
    "concerto_small": SMALLER,
    "concerto_base": BASE,
    "concerto_base_origin": BASE,
    "concerto_large": LARGE,
    "concerto_large_origin": LARGE,
    "concerto_large_outdoor": LARGE,
    "sonata": BASE,
    "sonata_small": SMALLER,
    "utonia": ROTARY,
}


def released_config(depths, channels, heads):
    return {
        "in_channels": 9,
        "order": CURVES,
        "stride": (2,) * (len(depths) - 1),
        "enc_depths": depths,
        "enc_channels": channels,
        "enc_num_head": heads,
        "enc_patch_size": (1024,) * len(depths),
        "mlp_ratio": 4,
        "drop_path": 0.3,
        "shuffle_orders": True,
        "enable_flash": True,
        "enc_mode": True,
        "mask_token": True,
    }


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """The folder where files are found by their names."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "concerto_ros"
    folder.mkdir()
    return folder


def weights_of(config, *, rotary=False, seed=3):
    encoder = untrained_encoder(PTv3Config.from_official(config, rotary=rotary), name="")
    state = encoder.state_dict()
    generator = torch.Generator().manual_seed(seed)
    drawn = {name: torch.randn(value.shape, generator=generator) for name, value in state.items()}
    return drawn | {"embedding.mask_token": torch.zeros(1, config["enc_channels"][0])}


def assert_loaded(encoder, weights):
    own = encoder.state_dict()
    assert own.keys() == weights.keys() - {"embedding.mask_token"}
    assert all(torch.equal(value, weights[name]) for name, value in own.items())


def test_every_file_of_the_repositories_has_a_name():
    assert {
        repository: {name for name, where in OFFICIAL_ENCODERS.items() if where == repository}
        for repository in ENCODER_FILES
    } == ENCODER_FILES
    assert len(OFFICIAL_ENCODERS) == sum(map(len, ENCODER_FILES.values()))


@pytest.mark.parametrize("name", OFFICIAL_ENCODERS)
def test_a_file_in_the_published_layout_loads_by_name(name, cache, caplog):
    rotary = "utonia" in name
    if not name.startswith("pretrain-"):
        weights = weights_of(SMALL, rotary=rotary)
        torch.save({"config": SMALL, "state_dict": weights}, cache / f"{name}.pth")
        encoder = load_encoder(name, download=False)
        shape = PTv3Config.from_official(SMALL, rotary=rotary)
    else:  # a checkpoint of Pointcept's training: no config, but a teacher and an optimizer
        widths = (18, 36) if rotary else (16, 32)
        config = released_config((1, 2), widths, (1, 2))
        weights = weights_of(config, rotary=rotary)
        state = {f"module.student.backbone.{key}": value for key, value in weights.items()}
        state |= {f"module.teacher.backbone.{key}": value + 1 for key, value in weights.items()}
        state["module.student.mask_head.0.weight"] = torch.ones(3, 3)
        content = {
            "epoch": 100,
            "state_dict": state,
            "optimizer": {"state": {0: {"step": torch.ones(())}}, "param_groups": [{"lr": 0.1}]},
            "scheduler": {"last_epoch": 3},
            "scaler": None,
            "best_metric_value": np.float64(0.5),
        }
        torch.save(content, cache / f"{name}.pth")
        encoder = load_encoder(name, download=False)
        assert "no config in the file" in caplog.text
        shape = PTv3Config.from_official(config, rotary=rotary)
    assert_loaded(encoder, weights)
    assert encoder.config == shape and encoder.name == name
    assert "CC-BY-NC" in encoder.licence


def test_the_tiny_model_loads_and_runs_in_its_released_shape(cache):
    config = released_config(*TINY)
    weights = untrained_encoder(PTv3Config.from_official(config), name="", seed=1).state_dict()
    weights["embedding.mask_token"] = torch.zeros(1, 16)
    torch.save({"config": config, "state_dict": weights}, cache / "concerto_tiny.pth")
    encoder = load_encoder("concerto_tiny", download=False)
    assert_loaded(encoder, weights)
    generator = torch.Generator().manual_seed(0)
    grid_coord = torch.unique(torch.randint(0, 30, (300, 3), generator=generator), dim=0)
    feat = torch.rand(len(grid_coord), 9, generator=generator)
    offset = torch.tensor([len(grid_coord)])
    pyramid = encoder(feat, grid_coord, grid_coord * 0.02, offset)
    assert pyramid.upcast(None).shape == (len(grid_coord), 16 + 32 + 64 + 128 + 256)
    assert pyramid.upcast(None).isfinite().all()


@pytest.mark.parametrize("name", SHAPES)
def test_the_numbers_of_parameters_are_those_of_the_released_shapes(name):
    config = PTv3Config.from_official(released_config(*SHAPES[name]))
    with torch.device("meta"):
        encoder = Encoder(config)
    count = sum(parameter.numel() for parameter in encoder.parameters())
    (stated,) = (model.parameters for model in ENCODERS if model.name == name)
    assert count / 1e6 == pytest.approx(stated, rel=0.01)


@pytest.mark.parametrize("name", OFFICIAL_HEADS)
def test_a_head_loads_by_name(name, cache):
    state = {"seg_head.weight": torch.rand(20, 18), "seg_head.bias": torch.rand(20)}
    config = {"backbone_out_channels": 18, "num_classes": 20}
    torch.save({"config": config, "state_dict": state}, cache / f"{name}.pth")
    head = LinearHead.load(name, download=False)
    assert torch.equal(head.seg_head.weight, state["seg_head.weight"])
