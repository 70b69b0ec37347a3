# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros train`` and ``evaluate``: from a folder of labelled scans to the node's files."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from training_data import CONFIG, box_scan, small_encoder

from concerto_ros.cli import main
from concerto_ros.heads import LinearHead
from concerto_ros.heads.language import LanguageHead
from concerto_ros.heads.linear import save_head
from concerto_ros.labels.confusion import Confusion
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ptv3.checkpoint import save_encoder
from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.settings import Settings
from concerto_ros.words.vocabulary import Vocabulary

NAMES = ["floor", "wall", "box"]


@pytest.fixture
def place(tmp_path):
    """A folder with scans, their label map and an encoder."""
    scans = tmp_path / "scans"
    scans.mkdir()
    for seed in range(4):
        scan = box_scan(seed, 600)
        np.savez(scans / f"{scan.name}.npz", xyz=scan.points, rgb=scan.colors, label=scan.labels)
    colors = [[200, 0, 0], [0, 200, 0], [0, 0, 200]]
    entries = "\n".join(
        f"  - {{id: {i}, source_id: {i}, name: {name}, color: {colors[i]}}}"
        for i, name in enumerate(NAMES)
    )
    (tmp_path / "names.yaml").write_text(f"name: boxes\ntitle: Boxes\nclasses:\n{entries}\n")
    save_encoder(tmp_path / "encoder.pth", small_encoder())
    return tmp_path


def command(place, *arguments):
    names = 2 if arguments[0] == "train" else 1
    given = ["--checkpoint", str(place / "encoder.pth"), "--label-map", str(place / "names.yaml")]
    given += ["--voxel-size", "0.1", "--device", "cpu"]
    return main([*arguments[:names], *given, *arguments[names:]])


def trained(place, method, *options):
    return command(
        place, "train", method, str(place / "scans"), "--out", str(place / "out"),
        "--steps", "20", "--validate-every", "10", *options,
    )  # fmt: skip


def test_a_head_is_trained_reported_and_used(place, capsys):
    assert trained(place, "head", "--steps", "150", "--learning-rate", "0.02") == 0
    out = place / "out"
    said = capsys.readouterr().out
    assert "3 training and 1 validation scans, 3 classes" in said and "| box |" in said

    report = json.loads((out / "report.json").read_text())
    assert [entry["name"] for entry in report["classes"]] == NAMES
    assert report["mIoU"] > 0.6
    assert "| floor |" in (out / "report.md").read_text()
    assert Image.open(out / "confusion.png").size[0] > 200
    assert [entry.name for entry in LabelSet.load(out / "classes.yaml").classes] == NAMES
    assert not (out / "encoder.pth").exists()

    settings = Settings(
        checkpoint=str(place / "encoder.pth"), head=str(out / "head.pth"),
        label_set=str(out / "classes.yaml"), voxel_size=0.1, device="cpu", precision="float32",
    )  # fmt: skip
    scan = box_scan(9, 600)
    prediction = SemanticPipeline.from_settings(settings).segment(scan.points, scan.colors)
    right = (prediction.label == scan.labels)[scan.labelled]
    assert right.mean() > 0.8

    assert command(
        place, "evaluate", str(place / "scans"), "--head", str(out / "head.pth"), "--phases", "2",
        "--out", str(place / "evaluated"),
    ) == 0  # fmt: skip
    again = json.loads((place / "evaluated" / "report.json").read_text())
    assert again["mIoU"] == pytest.approx(report["mIoU"], abs=0.1)
    assert "mIoU" in capsys.readouterr().out


def confusion(place, folder):
    return json.loads((place / folder / "report.json").read_text())["confusion"]


@pytest.mark.parametrize(
    ("method", "grid_size", "other_preset_fits"),
    [("head", None, False), ("head", 0.1, True), ("decoder", None, True), ("lora", 0.1, True)],
)
def test_the_pipeline_labels_as_the_training_did(
    place, capsys, method, grid_size, other_preset_fits
):
    encoder = small_encoder()
    encoder.grid_size = grid_size
    save_encoder(place / "encoder.pth", encoder)
    plain = box_scan(9, 600, normals=False)
    scan = replace(plain, points=plain.points + np.float32(1))  # which the presets see unlike
    (place / "held").mkdir()
    np.savez(place / "held/9.npz", xyz=scan.points, rgb=scan.colors, label=scan.labels)
    assert trained(
        place, method, "--preset", "outdoor", "--augment", "none", "--validation",
        str(place / "held"),
    ) == 0  # fmt: skip
    learned = confusion(place, "out")

    checkpoint = place / ("encoder.pth" if method == "head" else "out/encoder.pth")
    head = place / "out/head.pth"

    def labelled(preset):
        settings = Settings(
            checkpoint=str(checkpoint), head=str(head), label_set=str(place / "out/classes.yaml"),
            preset=preset, voxel_size=0.1, device="cpu", precision="float32",
        )  # fmt: skip
        prediction = SemanticPipeline.from_settings(settings).segment(scan.points, scan.colors)
        score = Confusion(len(NAMES))
        score.add(prediction.label, scan.labels)
        return score.matrix.tolist()

    def evaluated(preset):
        return command(
            place, "evaluate", str(place / "held"), "--split", "all", "--head", str(head),
            "--preset", preset, "--out", str(place / preset), "--checkpoint", str(checkpoint),
        )  # fmt: skip

    assert labelled("outdoor") == learned
    assert evaluated("outdoor") == 0 and confusion(place, "outdoor") == learned
    if other_preset_fits:
        assert labelled("indoor") == learned
        assert evaluated("indoor") == 0 and confusion(place, "indoor") == learned
        return
    with pytest.raises(SettingsError, match="head: .* preset outdoor, .* preset indoor here"):
        labelled("indoor")
    capsys.readouterr()
    assert evaluated("indoor") == 1
    assert "expected the same preset for both" in capsys.readouterr().err


def test_scans_to_test_on_leave_all_others_to_learn_from(place, capsys):
    (place / "held").mkdir()
    for name in ("box0.npz", "box1.npz"):
        (place / "held" / name).write_bytes((place / "scans" / name).read_bytes())
    assert trained(place, "head", "--validation", str(place / "held"), "--holdout", "0.5") == 0
    said = capsys.readouterr().out
    assert "4 training and 2 validation scans, 3 classes" in said


@pytest.mark.parametrize("method", ["decoder", "lora", "full"])
def test_other_methods_write_an_encoder_beside_the_head(place, capsys, method):
    assert trained(place, method, "--steps", "3") == 0
    out = place / "out"
    assert {"head.pth", "encoder.pth", "classes.yaml", "report.md"} <= {
        file.name for file in out.iterdir()
    }
    said = capsys.readouterr().out
    assert f"checkpoint:={out / 'encoder.pth'}" in said and "voxel_size:=0.1" in said
    scan = box_scan(9, 600)
    settings = Settings(
        checkpoint=str(out / "encoder.pth"), head=str(out / "head.pth"),
        label_set=str(out / "classes.yaml"), voxel_size=0.1, device="cpu", precision="float32",
    )  # fmt: skip
    pipeline = SemanticPipeline.from_settings(settings)
    assert set(pipeline.segment(scan.points).label) <= {0, 1, 2}


def test_the_same_command_continues_and_another_is_refused(place, capsys):
    assert trained(place, "head") == 0
    first = (place / "out" / "report.json").read_text()
    assert trained(place, "head") == 0
    second = json.loads((place / "out" / "report.json").read_text())
    assert second["confusion"] == json.loads(first)["confusion"]
    assert trained(place, "head", "--steps", "40") == 1
    said = capsys.readouterr().err
    assert "different steps: 20 there, 40 here" in said
    save_encoder(place / "encoder.pth", small_encoder(seed=1))
    assert trained(place, "head") == 1
    assert "different encoder" in capsys.readouterr().err


def renamed(place):
    path = place / "names.yaml"
    text = path.read_text().replace("floor", "lawn").replace("wall", "floor")
    path.write_text(text.replace("lawn", "wall"))


def relabelled(place):
    path = place / "scans" / "box1.npz"
    with np.load(path) as file:
        arrays = dict(file)
    labels = arrays["label"]
    np.savez(path, **arrays | {"label": np.where(labels == 0, 2, labels).astype(np.uint8)})


def as_it_is(place):
    pass


@pytest.mark.parametrize("method", ["head", "lora"])
@pytest.mark.parametrize(
    ("change", "option", "message"),
    [
        (
            renamed,
            (),
            "different classes: ['floor', 'wall', 'box'] there, ['wall', 'floor', 'box']",
        ),
        (relabelled, (), "different scans or labels"),
        (as_it_is, ("--no-fitted-normals",), "different normals: fitted to voxels of 0.1 m where"),
        (as_it_is, ("--ignore-index", "2", "255"), "different label map"),
    ],
)
def test_a_run_does_not_resume_with_other_data(place, capsys, method, change, option, message):
    assert trained(place, method, "--steps", "1", "--holdout", "0") == 0
    assert trained(place, method, "--steps", "1", "--holdout", "0") == 0
    capsys.readouterr()
    change(place)
    assert trained(place, method, "--steps", "1", "--holdout", "0", *option) == 1
    assert message in capsys.readouterr().err


def test_a_run_does_not_resume_with_other_scans_to_test_on(place, capsys):
    for name, seed in (("one", 8), ("two", 9)):
        scan = box_scan(seed, 600)
        (place / name).mkdir()
        np.savez(place / name / "box.npz", xyz=scan.points, label=scan.labels)
    assert trained(place, "head", "--steps", "1", "--validation", str(place / "one")) == 0
    capsys.readouterr()
    assert trained(place, "head", "--steps", "1", "--validation", str(place / "two")) == 1
    assert "different validation" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "value"), [("alpha", "32.0"), ("dropout", "0.5")])
def test_adapters_do_not_resume_in_another_shape(place, capsys, option, value):
    assert trained(place, "lora", "--steps", "1") == 0
    capsys.readouterr()
    assert trained(place, "lora", "--steps", "1", f"--{option}", value) == 1
    said = capsys.readouterr().err
    assert "different adapters: rank 8, alpha 16.0, dropout 0.1 there" in said
    assert f"{option} {value}" in said


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "mps"])
@pytest.mark.parametrize("subcommand", [("train", "head"), ("evaluate",)])
def test_a_device_that_is_not_there_is_named(place, capsys, subcommand, device):
    assert command(place, *subcommand, str(place / "scans"), "--device", device) == 1
    assert f"device: got {device!r}" in capsys.readouterr().err


def test_a_head_that_does_not_fit_is_refused_with_both_widths(place, capsys):
    save_head(place / "head.pth", LinearHead(77, 3))
    assert command(
        place, "evaluate", str(place / "scans"), "--head", str(place / "head.pth")
    ) == 1  # fmt: skip
    said = capsys.readouterr().err
    assert "77 channels" in said and str(sum(CONFIG.enc_channels)) in said


def test_a_head_of_other_classes_is_refused_with_both_counts(place, capsys):
    save_head(place / "head.pth", LinearHead(sum(CONFIG.enc_channels), 7))
    assert command(
        place, "evaluate", str(place / "scans"), "--head", str(place / "head.pth")
    ) == 1  # fmt: skip
    said = capsys.readouterr().err
    assert "with 7 classes, expected the 3 of" in said


def test_an_encoder_without_a_head_wants_one(place, capsys):
    assert command(place, "evaluate", str(place / "scans")) == 1
    assert "--head" in capsys.readouterr().err


def test_missing_data_is_named(place, capsys):
    assert command(place, "train", "head", str(place / "nowhere")) == 1
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["head", "decoder", "lora", "full", "demo"])
def test_every_method_explains_itself(capsys, method):
    with pytest.raises(SystemExit) as stop:
        main(["train", method, "--help"])
    assert stop.value.code == 0 and "--minutes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("--report --steps 5", "--steps: expected none of them with --report"),
        ("--minutes 1 --rooms 2 --report", "--rooms, --minutes: expected none of them with --re"),
        ("--report --write model.pth", "--write: expected none of them with --report"),
        ("--report --device cuda", "--device: expected none of them with --report"),
        ("--confidence --steps 0", "--steps: expected none of them with --confidence"),
        ("--confidence --minutes 1", "--minutes: expected none of them with --confidence"),
        ("--report --confidence", "--confidence: expected none of them with --report"),
        ("--language --confidence", "--confidence: expected none of them with --language"),
        ("--language --report --rooms 2", "--rooms: expected none of them with --language"),
    ],
)
def test_options_of_the_bundled_model_that_have_no_effect_are_refused(
    tmp_path, monkeypatch, capsys, given, named
):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "demo", *given.split()]) == 1
    assert named in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_head_from_one_scan_says_what_it_has_seen(tmp_path, capsys):
    scan = box_scan(0, 600)
    value = np.full(256, 255)  # not labelled
    value[[0, 2]] = 0, 20
    np.savez(tmp_path / "sweep.npz", points=scan.points, labels=value[scan.labels])
    (tmp_path / "label_map.yaml").write_text(
        "classes: [ground, kerb, box]\nmap: {0: ground, 10: kerb, 20: box}\n"
    )
    save_encoder(tmp_path / "encoder.pth", small_encoder())
    arguments = ["--checkpoint", str(tmp_path / "encoder.pth"), "--voxel-size", "0.1"]
    arguments += ["--device", "cpu", "--steps", "20", "--out", str(tmp_path / "out")]
    assert main(["train", "head", str(tmp_path / "sweep.npz"), *arguments]) == 0
    said = capsys.readouterr().out
    ground, box = (np.count_nonzero(scan.labels == label) for label in (0, 2))
    assert f"labelled points: ground {ground}, box {box}; none, so never found: kerb\n" in said
    assert "no score: there is no scan to validate on" in said
    classes = LabelSet.load(tmp_path / "out" / "classes.yaml").classes
    assert [each.name for each in classes] == ["ground", "kerb", "box"]


def test_a_language_head_is_trained_on_the_words_of_a_label_set_and_measured(place, capsys):
    table = place / "words.npz"
    random = np.random.default_rng(0)
    texts = [text for name in NAMES for text in (name, f"{name} surface")] + ["object", "thing"]
    vectors = random.normal(size=(len(texts), 384)).astype(np.float32)
    Vocabulary(tuple(texts), torch.from_numpy(vectors)).save(table)
    entries = [f"- {{name: {name}, synonyms: [{name} surface]}}" for name in NAMES]
    (place / "words.yaml").write_text("\n".join(entries))
    status = trained(
        place, "language", "--table", str(table), "--words", str(place / "words.yaml"),
        "--solver", "ridge", "--augment", "none",
    )  # fmt: skip
    assert status == 0
    shown = capsys.readouterr().out
    assert "3 classes with 6 words" in shown and "mIoU" in shown
    head = LanguageHead.load(place / "out" / "language.safetensors", small_encoder())
    assert head.width == 384 and head.text_encoder == "minilm"
    report = json.loads((place / "out" / "report.json").read_text())
    assert report["facts"]["solver"] == "ridge"
