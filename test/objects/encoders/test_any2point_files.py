# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of Any2Point: fine-tuned ones, those of the source models, and those refused."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from any2point_sources import GOLDEN, SHAPE, mapping_of, source_state, write_source
from torch import nn

from concerto_ros.objects.encoders.any2point.encoder import Any2Point, from_source
from concerto_ros.objects.encoders.any2point.files import own_name
from concerto_ros.objects.encoders.any2point.variants import VARIANTS
from concerto_ros.objects.encoders.loading import load_object_encoder
from concerto_ros.objects.encoders.shared.torchscript import is_torchscript, read_torchscript
from concerto_ros.ptv3.checkpoint import CheckpointError

OPTIONS = dict(heads=2, neighbours=4)


def write_fine_tuned(folder: Path, variant: str, **extra: torch.Tensor) -> tuple[Path, Any2Point]:
    """A file in the published form and the model it is of."""
    torch.manual_seed(3)
    model = Any2Point(VARIANTS[variant], **SHAPE).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    names = json.loads((GOLDEN / f"{variant}_small_keys.json").read_text())
    published = {own_name(name): name for name in names if "blocks.1." not in name}
    state = {}
    for name, value in model.state_dict().items():
        if name != "position_table":
            first = ".".join(["blocks.0", *name.split(".")[2:]]) if "blocks." in name else name
            block = ".".join(name.split(".")[:2])[len("blocks") :]
            state[published[first].replace("blocks.0", f"blocks{block}")] = value
    if VARIANTS[variant].benchmark.name == "ModelNet40":
        state = {f"module.{name}": value for name, value in state.items()}
        content = {
            "base_model": state | extra,
            "optimizer": {},
            "epoch": 1,
            "metrics": {"acc": 1.0},
        }
    else:
        content = {"model": state | extra, "optimizer": {}, "epoch": 1, "best_val": 91.9}
    path = folder / f"{variant}.pth"
    torch.save(content, path)
    return path, model


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_source_file_gives_the_transformer_and_the_position_table(variant, tmp_path):
    state, source = source_state(variant, 12), VARIANTS[variant].source
    torch.save(state, tmp_path / "source.pth")
    model = from_source(variant, tmp_path / "source.pth", **SHAPE | {"depth": 12})
    own = model.state_dict()
    expected = {own_name(new): old for old, new in mapping_of(variant, 12).items() if new}
    assert {"norm.weight", "blocks.0.attn.qkv.weight", "blocks.11.mlp.fc2.bias"} <= {*expected}
    for new, old in expected.items():
        assert torch.equal(own[new], state[old]), new
    assert torch.equal(own["position_table"], state[source.table].reshape(source.rows, -1))
    frozen = {name for name, _ in model.named_parameters()} - {*model.trainable_parameters()}
    assert frozen <= {*expected}
    assert ("cls_token" in expected) == (source.name[:4] != "CLIP")


@pytest.mark.parametrize(("variant", "xavier"), [("ib_scan", True), ("dino_mn", False)])
def test_what_is_new_beside_the_source_starts_as_published(variant, xavier, tmp_path):
    model = from_source(variant, write_source(tmp_path, variant), **SHAPE)
    adapters = [block.adapter.ln1.weight for block in model.blocks]
    values = torch.cat([layer.qkv.weight.flatten() for layer in model.attn1])
    bound = (6 / (24 + 36)) ** 0.5 if xavier else 0.12
    assert values.abs().max() < bound
    assert values.std().item() == pytest.approx(bound / 3**0.5 if xavier else 0.02, rel=0.1)
    assert all(weight.abs().max() > 0 for weight in adapters)
    assert not any(block.adapter.ln2.bias.any() for block in model.blocks)
    head = model.head[8].weight.std().item()
    assert head == pytest.approx((1 / (3 * 256)) ** 0.5 if xavier else 0.02, rel=0.1)


@pytest.mark.parametrize(
    ("variant", "random"),
    [("clip_scan", False), ("clip_mn", False), ("dino_scan", True), ("ib_mn", True)],
)
def test_blocks_of_some_variants_are_trained_with_dropout_as_published(variant, random, tmp_path):
    block = from_source(variant, write_source(tmp_path, variant), **SHAPE).blocks[-1]
    tokens = torch.rand(64, 4, 24, generator=torch.Generator().manual_seed(0))

    def twice(training: bool) -> bool:
        block.train(training)
        return torch.equal(*(block._kept(block._attend(tokens, False)) for _ in range(2)))

    torch.manual_seed(0)
    assert twice(False) and twice(True) != random


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_published_file_loads_with_the_table_of_its_source(variant, tmp_path):
    path, model = write_fine_tuned(tmp_path, variant)
    source = write_source(tmp_path, variant)
    loaded = load_object_encoder(path, "any2point", source=source, **OPTIONS)
    assert isinstance(loaded, Any2Point) and loaded.variant is VARIANTS[variant]
    assert not loaded.training
    table = source_state(variant)[VARIANTS[variant].source.table].reshape(-1, 24)
    expected = model.state_dict() | {"position_table": table}
    assert loaded.state_dict().keys() == expected.keys()
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_file_of_our_own_needs_no_source(variant, tmp_path):
    model = from_source(variant, write_source(tmp_path, variant), **SHAPE, classes=7).eval()
    torch.save({"model": model.state_dict()}, tmp_path / "own.pth")
    loaded = load_object_encoder(tmp_path / "own.pth", per_object=True, **OPTIONS)
    assert loaded.variant is VARIANTS[variant] and loaded.classes == 7 and loaded.per_object
    batch = torch.rand(1, 512, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    with torch.inference_mode():
        assert torch.equal(loaded.classify(batch), model.classify(batch))


def test_a_published_file_alone_asks_for_its_source(tmp_path):
    path, _ = write_fine_tuned(tmp_path, "dino_mn")
    with pytest.raises(CheckpointError, match=r"pass source=<file>, the file of DINOv2 ViT-B/14"):
        load_object_encoder(path, **OPTIONS)


def test_another_variant_is_refused_by_name(tmp_path):
    path, _ = write_fine_tuned(tmp_path, "dino_mn")
    with pytest.raises(
        CheckpointError, match="is a checkpoint of dino_mn, expected one of clip_mn"
    ):
        load_object_encoder(path, variant="clip_mn", **OPTIONS)
    with pytest.raises(ValueError, match="variant is 'clip', expected one of clip_scan, clip_mn"):
        load_object_encoder(path, variant="clip", **OPTIONS)
    with pytest.raises(
        CheckpointError, match="is a checkpoint of any2point, expected one of recon"
    ):
        load_object_encoder(path, "recon")


def test_a_file_of_another_model_is_refused_by_its_names(tmp_path):
    torch.save({"model": {"stem.weight": torch.zeros(2, 2)}}, tmp_path / "other.pth")
    with pytest.raises(
        CheckpointError, match=r"of an unknown model.*first parameters are stem\.weight"
    ):
        load_object_encoder(tmp_path / "other.pth", "any2point")


def test_a_fine_tuned_file_that_lacks_or_adds_something_is_refused_by_name(tmp_path):
    source = write_source(tmp_path, "ib_scan")
    path, _ = write_fine_tuned(tmp_path, "ib_scan", **{"encoder.more.weight": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"unexpected: more\.weight"):
        load_object_encoder(path, source=source, **OPTIONS)
    path, _ = write_fine_tuned(tmp_path, "ib_scan")
    content = torch.load(path, weights_only=True)
    del content["model"]["encoder.attn1.3.proj.weight"]
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"missing: attn1\.3\.proj\.weight"):
        load_object_encoder(path, source=source, **OPTIONS)
    del content["model"]["encoder.cls_token"]
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="does not match Any2Point; missing: cls_token"):
        load_object_encoder(path, source=source, **OPTIONS)


def test_the_file_of_another_source_is_refused_by_name(tmp_path):
    other = write_source(tmp_path, "dino_scan")
    with pytest.raises(CheckpointError, match="expected a file of CLIP.*looks like one of DINOv2"):
        from_source("clip_scan", other, **SHAPE)
    with pytest.raises(CheckpointError, match="expected a file of ImageBind.*like one of DINOv2"):
        from_source("ib_mn", other, **SHAPE)
    rows = torch.zeros(1, 257, 24)
    with pytest.raises(CheckpointError, match=r"shape \(1, 257, 24\), expected 1370 rows"):
        from_source("dino_mn", write_source(tmp_path, "dino_mn", pos_embed=rows), **SHAPE)


def test_a_keyword_that_it_does_not_take_is_refused(tmp_path):
    source = write_source(tmp_path, "ib_scan")
    with pytest.raises(ValueError, match="any2point takes no option 'foo', expected one of width"):
        from_source("ib_scan", source, foo=1)
    with pytest.raises(ValueError, match="any2point takes no option 'source'"):
        from_source("ib_scan", source, **{"source": "other"})
    with pytest.raises(ValueError, match="any2point: per_object is 'no', expected bool"):
        from_source("ib_scan", source, per_object="no")


def test_a_source_of_another_size_is_refused_by_name(tmp_path):
    lacking = write_source(tmp_path, "dino_mn", **{"blocks.1.ls2.gamma": None})
    with pytest.raises(CheckpointError, match=r"missing: blocks\.1\.ls2\.gamma"):
        from_source("dino_mn", lacking, **SHAPE)
    with pytest.raises(CheckpointError, match=r"unexpected: blocks\.1\."):
        from_source("dino_mn", write_source(tmp_path, "dino_mn"), **SHAPE | {"depth": 1})
    with pytest.raises(CheckpointError, match="wrong shape: "):
        from_source(
            "dino_mn",
            write_source(tmp_path, "dino_mn"),
            **SHAPE | {"width": 48, "point_width": 6},
        )


def test_widths_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match="heads is 5, expected a divisor of the width 24"):
        Any2Point(VARIANTS["clip_mn"], **SHAPE | {"heads": 5})
    with pytest.raises(ValueError, match="point_width is 4, expected an eighth of the width 24"):
        Any2Point(VARIANTS["clip_mn"], **SHAPE | {"point_width": 4})


class Holder(nn.Module):
    """Any module: tensors and modules by their names."""


def write_archive(path: Path, state: dict[str, torch.Tensor]) -> None:
    """A TorchScript archive with this state dict, as the official files of CLIP are."""
    root = Holder()
    for name, value in state.items():
        *folders, last = name.split(".")
        module = root
        for folder in folders:
            if folder not in dict(module.named_children()):
                module.add_module(folder, Holder())
            module = module.get_submodule(folder)
        module.register_parameter(last, nn.Parameter(value))
    torch.jit.save(torch.jit.script(root), path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_torchscript_archive_of_clip_is_read_as_a_source(tmp_path):
    state = source_state("clip_scan")
    path = tmp_path / "ViT-L-14.pt"
    write_archive(path, {name: value.half() for name, value in state.items()})
    assert is_torchscript(path)
    assert not is_torchscript(write_source(tmp_path, "clip_scan"))
    model = from_source("clip_scan", path, **SHAPE)
    for old, new in mapping_of("clip_scan").items():
        if new:
            assert torch.equal(model.state_dict()[own_name(new)], state[old].half().float()), old
    with pytest.raises(CheckpointError, match="expected a file of DINOv2.*looks like one of CLIP"):
        from_source("dino_scan", path, **SHAPE)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensors_of_an_archive_are_what_its_state_dict_holds(tmp_path):
    state = {
        "table": torch.arange(12.0).reshape(3, 4).T,
        "part.0.fine": torch.rand(2, 2, dtype=torch.float64),
        "part.0.coarse": torch.rand(3).half(),
        "part.1.none": torch.zeros(0, 4),
        "scale": torch.tensor(2.5),
    }
    write_archive(tmp_path / "archive.pt", state)
    read = read_torchscript(tmp_path / "archive.pt", lambda name: name != "scale")
    assert read.keys() == state.keys() - {"scale"}
    for name, value in read.items():
        assert value.dtype == state[name].dtype and torch.equal(value, state[name]), name


class Harmful:
    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_an_archive_that_would_run_something_is_refused(tmp_path):
    harmful = Harmful()
    harmful.folder = str(tmp_path / "made")
    with zipfile.ZipFile(tmp_path / "bad.pt", "w") as archive:
        archive.writestr("bad/data.pkl", pickle.dumps(harmful, protocol=2))
        archive.writestr("bad/constants.pkl", b"")
    with pytest.raises(CheckpointError, match="more than modules and tensors"):
        from_source("clip_mn", tmp_path / "bad.pt", **SHAPE)
    assert not (tmp_path / "made").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_damaged_archive_is_refused(tmp_path):
    write_archive(tmp_path / "whole.pt", source_state("clip_mn"))
    with (
        zipfile.ZipFile(tmp_path / "whole.pt") as whole,
        zipfile.ZipFile(tmp_path / "part.pt", "w") as part,
    ):
        for name in whole.namelist():
            if not name.endswith("/data/0"):
                part.writestr(name, whole.read(name))
    with pytest.raises(CheckpointError, match="damaged, cut short"):
        from_source("clip_mn", tmp_path / "part.pt", **SHAPE)
    with pytest.raises(CheckpointError, match="is not a file"):
        from_source("clip_mn", tmp_path / "none.pt", **SHAPE)
