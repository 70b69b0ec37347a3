# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Exported encoders: written only where they agree, run in place of the encoder, or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import paths
import pytest
import torch
from ptv3_inputs import CONFIG, batch_of

from concerto_ros.ptv3 import Encoder, load_encoder
from concerto_ros.ptv3.checkpoint import randomise
from concerto_ros.ptv3.export.arrays import hierarchy_arrays, input_specs
from concerto_ros.ptv3.export.comparison import cloud_like_a_room
from concerto_ros.ptv3.export.exported import Exported, ExportError, write_export
from concerto_ros.ptv3.export.program import ArrayProgram
from concerto_ros.ptv3.export.pt2_file import traced_arrays

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

GOLDEN = paths.GOLDEN / "ptv3"
CASES = sorted(path.name for path in GOLDEN.iterdir())


def small_encoder(seed: int = 0, **changes) -> Encoder:
    encoder = Encoder(replace(CONFIG, **changes), name="small")
    randomise(encoder, seed)
    return encoder.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("export") / "small.onnx"
    write_export(small_encoder(), path)
    return path


@pytest.mark.parametrize("name", CASES)
def test_an_exported_encoder_equals_the_reference(name, tmp_path):
    meta = json.loads((GOLDEN / name / "meta.json").read_text())
    arrays = dict(np.load(GOLDEN / name / "case.npz"))
    encoder = load_encoder(GOLDEN / name / "encoder.pth")
    write_export(encoder, tmp_path / "golden.onnx")
    Exported(tmp_path / "golden.onnx").attach(encoder, max_voxels=1)
    given = ("feat", "grid_coord", "coord", "offset")
    pyramid = encoder(*(torch.from_numpy(arrays[name]) for name in given))
    rows = torch.from_numpy(arrays["rows"]).long()
    for output, value in (
        ("out_top_feat", pyramid.top.feat),
        ("out_point_feat", pyramid.upcast(meta["upcast_concat_levels"])[rows]),
        ("out_full_concat", pyramid.upcast(None)[rows]),
    ):
        np.testing.assert_allclose(value, arrays[output], **meta["tolerance"], err_msg=output)


@pytest.mark.parametrize("sizes", [(1,), (2,), (16,), (17,), (400,), (5, 200), (1, 1, 33)])
def test_one_file_takes_batches_of_any_size(sizes, written):
    encoder = small_encoder()
    grid_coord, coord, offset = batch_of(*sizes, seed=sum(sizes))
    feat = torch.randn(len(coord), 9, generator=torch.Generator().manual_seed(1))
    expected = encoder(feat, grid_coord, coord, offset).feats
    Exported(written).attach(encoder, max_voxels=1000)
    for ours, theirs in zip(encoder(feat, grid_coord, coord, offset).feats, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"order": ("hilbert",), "stride": (1, 4)},
        {"qkv_bias": False, "qk_scale": 0.3},
        {"pre_norm": False, "layer_scale": 0.5},
        {"enc_depths": (0, 1, 0)},
        {
            "stride": (),
            "enc_depths": (2,),
            "enc_channels": (8,),
            "enc_num_head": (2,),
            "enc_patch_size": (4,),
        },
        {
            "enc_mode": False,
            "dec_depths": (1, 0),
            "dec_channels": (6, 8),
            "dec_num_head": (3, 1),
            "dec_patch_size": (5, 7),
        },
        {"rotary": True, "enc_channels": (6, 12, 24)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_shape_of_encoder_is_exported(changes, tmp_path):
    worst = write_export(small_encoder(3, **changes), tmp_path / "small.onnx").worst
    assert worst < 0.5


def test_half_precision_stays_near_float32(tmp_path):
    written = write_export(small_encoder(), tmp_path / "half.onnx", precision="float16")
    assert 0.001 < written.worst < 1


def test_the_page_beside_a_file_names_every_array_that_it_takes(written):
    page = json.loads(written.with_name("small.onnx.json").read_text())
    encoder = small_encoder()
    hierarchy = encoder.hierarchy(*batch_of(50, 300))
    arrays = hierarchy_arrays(hierarchy, CONFIG, clusters=False)
    assert [entry["name"] for entry in page["inputs"]] == ["feat", *arrays]
    sizes = {"N0": 350}
    for entry in page["inputs"][1:]:
        value = arrays[entry["name"]]
        assert entry["dtype"] == str(value.dtype).removeprefix("torch.")
        for name, size in zip(entry["shape"], value.shape, strict=True):
            assert sizes.setdefault(name, size) == size if isinstance(name, str) else name == size
    assert [entry["name"] for entry in page["outputs"]] == [f"level{i}_feat" for i in range(3)]
    assert 0 < page["verified"]["worst_deviation"] < 1


def test_a_file_that_does_not_agree_is_never_left_behind(tmp_path, monkeypatch):
    from concerto_ros.ptv3.export import onnx_graph

    monkeypatch.setattr(onnx_graph, "CENTRE", 12)
    with pytest.raises(ExportError, match="deviates from the encoder by .* expected at most 1"):
        write_export(small_encoder(), tmp_path / "wrong.onnx")
    assert not list(tmp_path.iterdir())


def test_an_older_file_stays_where_a_new_one_does_not_agree(tmp_path, written, monkeypatch):
    from concerto_ros.ptv3.export import onnx_graph

    path = tmp_path / "kept.onnx"
    path.write_bytes(written.read_bytes())
    monkeypatch.setattr(onnx_graph, "_NOT_A_KEY", 1.0)  # wrong for patches that are filled up
    with pytest.raises(ExportError, match="deviates"):
        write_export(small_encoder(), path)
    assert path.read_bytes() == written.read_bytes()


def test_scores_of_a_head_are_those_of_the_head(tmp_path):
    from concerto_ros.heads import LinearHead
    from concerto_ros.ptv3.export.head_matrix import HeadMatrix

    encoder = small_encoder()
    for width, joined in ((16, 0), (32, 1), (40, 2)):
        head = LinearHead(width, 3, name="three")
        randomise(head, width)
        matrix = HeadMatrix(
            "three", ("a", "b", "c"), 1.0, head.seg_head.weight.data, head.seg_head.bias.data
        )
        path = tmp_path / f"{width}.onnx"
        write_export(encoder, path, head=matrix)
        feat, *voxels = cloud_like_a_room((30, 120), 9, 5)
        hierarchy = encoder.hierarchy(*voxels)
        scores = Exported(path).with_scores(feat, hierarchy)[-1]
        expected = head.scores(encoder.forward_features(feat, hierarchy), joined)
        torch.testing.assert_close(scores, expected.detach(), rtol=2e-3, atol=2e-4)


def refused(path: Path, encoder: Encoder, max_voxels: int = 100) -> str:
    with pytest.raises(ExportError) as caught:
        Exported(path).attach(encoder, max_voxels=max_voxels)
    return str(caught.value)


def test_files_that_are_no_exports_are_refused_by_name(tmp_path, written):
    import onnx

    encoder = small_encoder()
    assert "missing.onnx is not there" in refused(tmp_path / "missing.onnx", encoder)
    text = tmp_path / "text.onnx"
    text.write_text("not a model")
    assert "text.onnx cannot be loaded by ONNX Runtime" in refused(text, encoder)
    truncated = tmp_path / "truncated.onnx"
    truncated.write_bytes(written.read_bytes()[:-2000])
    assert "truncated.onnx cannot be loaded by ONNX Runtime" in refused(truncated, encoder)
    other = tmp_path / "other.pth"
    other.write_bytes(written.read_bytes())
    assert "ends with '.pth', expected .onnx or .pt2" in refused(other, encoder)

    model = onnx.load(str(written))
    model.opset_import[0].version = 9999
    onnx.save(model, str(tmp_path / "opset.onnx"))
    assert "9999" in refused(tmp_path / "opset.onnx", encoder)
    model = onnx.load(str(written))
    del model.metadata_props[:]
    onnx.save(model, str(tmp_path / "bare.onnx"))
    assert "bare.onnx carries no description" in refused(tmp_path / "bare.onnx", encoder)


def test_files_of_another_version_or_with_other_arrays_are_refused(tmp_path, written):
    import onnx

    def changed(**changes) -> Path:
        model = onnx.load(str(written))
        content = json.loads(model.metadata_props[0].value)
        model.metadata_props[0].value = json.dumps({**content, **changes})
        onnx.save(model, str(tmp_path / "changed.onnx"))
        return tmp_path / "changed.onnx"

    encoder = small_encoder()
    assert "of version 2, expected 1" in refused(changed(version=2), encoder)
    assert "missing or unknown: colour" in refused(changed(colour=1), encoder)
    assert "precision 'int8', max_voxels None" in refused(changed(precision="int8"), encoder)
    assert "max_voxels '9'; expected" in refused(changed(max_voxels="9"), encoder)
    assert "damaged description" in refused(changed(head={"name": "odd"}), encoder)
    config = json.loads(onnx.load(str(written)).metadata_props[0].value)["config"]
    config["in_channels"] = 6
    assert "takes feat (None, 9), expected (None, 6)" in refused(changed(config=config), encoder)


def test_exports_of_another_model_are_refused_with_what_differs(tmp_path, written):
    other = small_encoder(in_channels=6)
    assert "in_channels 9, expected 6 as in the checkpoint 'small'" in refused(written, other)
    other = small_encoder()
    other.digest = "0123"
    assert "weights of no file, expected 0123 as in the checkpoint" in refused(written, other)
    assert "computes other features than the checkpoint" in refused(written, small_encoder(1))


def test_a_limit_of_voxels_holds_when_a_file_is_loaded_and_when_it_runs(tmp_path):
    path = tmp_path / "few.onnx"
    write_export(small_encoder(), path, max_voxels=40)
    encoder = small_encoder()
    assert "takes at most 40 voxels, expected at least the 41" in refused(path, encoder, 41)
    Exported(path).attach(encoder, max_voxels=40)
    encoder(torch.zeros(40, 9), *batch_of(40))
    with pytest.raises(ExportError, match="takes at most 40 voxels, got 41"):
        encoder(torch.zeros(41, 9), *batch_of(41))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"format": "aoti"}, "format is 'aoti', expected one of onnx, pt2"),
        ({"format": "pt2"}, "ends with '.onnx', expected .pt2"),
        ({"precision": "int8"}, "precision is 'int8', expected one of float32"),
        ({"precision": "bfloat16"}, "expected float32 or float16 for the format onnx"),
        ({"max_voxels": 0}, "max_voxels is 0, expected at least 1"),
    ],
)
def test_arguments_that_are_not_accepted_are_named(arguments, message, tmp_path):
    with pytest.raises(ExportError, match=message):
        write_export(small_encoder(), tmp_path / "small.onnx", **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", CASES)
def test_the_program_that_is_traced_computes_what_the_encoder_does(name):
    arrays = dict(np.load(GOLDEN / name / "case.npz"))
    encoder = load_encoder(GOLDEN / name / "encoder.pth")
    given = ("feat", "grid_coord", "coord", "offset")
    feat, *voxels = (torch.from_numpy(arrays[name]) for name in given)
    hierarchy = encoder.hierarchy(*voxels)
    expected = encoder.forward_features(feat, hierarchy).feats
    geometry = hierarchy_arrays(hierarchy, encoder.config, clusters=not encoder.config.enc_mode)
    with torch.no_grad():
        computed = ArrayProgram(encoder, None)({"feat": feat, **geometry})
    for ours, theirs in zip(computed, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=2e-4)


def test_a_program_of_pytorch_is_traced_once_and_verified_on_batches_of_other_sizes(tmp_path):
    shape = {"stride": (), "enc_depths": (1,), "enc_channels": (8,), "enc_num_head": (2,)}
    encoder = small_encoder(**shape, enc_patch_size=(16,))
    path = tmp_path / "small.pt2"
    written = write_export(encoder, path, max_voxels=300)
    assert written.batches == [(1,), (300,), (5, 37)] and written.worst < 0.5
    assert written.runtime.startswith("PyTorch")
    path.write_bytes(path.read_bytes()[:-1000])
    assert "small.pt2 cannot be loaded by PyTorch" in refused(path, encoder)


@pytest.mark.parametrize("name", ["demo", "small", *CASES])
def test_no_size_that_varies_is_traced_as_one(name):
    """PyTorch would take it for a constant, and refuse to trace or to run other clouds."""
    if name == "small":
        shape = {"stride": (), "enc_depths": (1,), "enc_channels": (8,), "enc_num_head": (2,)}
        encoder = small_encoder(**shape, enc_patch_size=(16,))
    else:
        encoder = load_encoder("demo" if name == "demo" else GOLDEN / name / "encoder.pth")
    arrays = traced_arrays(encoder, clusters=True)
    for spec in input_specs(encoder.config, clusters=True):
        for axis, size in enumerate(spec.shape):
            assert not isinstance(size, str) or arrays[spec.name].shape[axis] > 1, spec.name


def test_what_pytorch_cannot_trace_names_the_other_format(tmp_path, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("a symbol of its own")

    monkeypatch.setattr(torch.export, "export", fails)
    with pytest.raises(ExportError, match=r"trace the encoder: a symbol of its own; an .onnx"):
        write_export(small_encoder(), tmp_path / "small.pt2")
    assert not list(tmp_path.iterdir())


def test_the_bundled_model_is_written_as_a_program_of_pytorch(tmp_path, nightly):
    if not nightly:
        pytest.skip("traces for about a minute; run by pytest --nightly")
    encoder = load_encoder("demo")
    assert write_export(encoder, tmp_path / "demo.pt2").worst < 0.1
    Exported(tmp_path / "demo.pt2").attach(encoder, max_voxels=200_000)


def test_encoders_of_another_architecture_are_refused_by_name(tmp_path):
    class Other(Encoder):
        pass

    with pytest.raises(ExportError, match="is a Other, expected a Point Transformer V3"):
        write_export(Other(CONFIG), tmp_path / "other.onnx")


def test_inputs_are_named_once():
    names = [spec.name for spec in input_specs(CONFIG, clusters=True)]
    assert len(set(names)) == len(names)
