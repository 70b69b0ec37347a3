# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The training loop: it learns, it can be killed, it says why it ended."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from training_data import COLLATE, INDOOR, SCANS, small_encoder, small_model, trainer_of

from concerto_ros.files.torch_file import read_tensors, write_file
from concerto_ros.heads import LinearHead
from concerto_ros.learning.data.collate import ScanCollate
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.methods.segmenter import Segmenter
from concerto_ros.learning.training.item_order import ShuffledItems
from concerto_ros.learning.training.prefetch import Prefetched
from concerto_ros.learning.training.progress import Progress
from concerto_ros.learning.training.schedule import Schedule
from concerto_ros.learning.training.trainer import Trainer
from concerto_ros.ptv3.checkpoint import randomise
from concerto_ros.sim import RgbdCamera, Room, look_at


class Killed(Exception):
    pass


def killed_after(trainer, steps):
    """Run until this many steps are done, then stop as a kill would: without another word."""
    validate, step = trainer.validate, trainer._train_step

    def counted():
        if trainer.step >= steps:
            raise Killed
        return step()

    trainer._train_step = counted
    with pytest.raises(Killed):
        trainer.run()
    assert trainer.validate == validate


@pytest.mark.parametrize("kind", ["plain", "lora", "muon", "averaged"])
def test_a_run_that_is_killed_twice_ends_with_the_same_weights_bit_for_bit(tmp_path, kind):
    """Killed before its first checkpoint, then after it, then left alone."""
    lora = kind == "lora"
    options = {"validation": SCANS[:1], "validate_every": 4, "accumulate": 2}
    if kind == "muon":
        options["use_muon"] = lambda name, parameter: parameter.ndim > 1
    if kind == "averaged":
        options = {"accumulate": 2, "average": 0.9}
    whole = small_model(lora=lora)
    outcome = trainer_of(whole, tmp_path / "whole", **options).run()

    for steps in (4, 8):
        killed_after(trainer_of(small_model(lora=lora), tmp_path / "parts", **options), steps)
    torch.manual_seed(99)  # what else the process draws must not matter
    parts = small_model(lora=lora)
    again = trainer_of(parts, tmp_path / "parts", **options).run()

    assert again.steps == outcome.steps and again.best_step == outcome.best_step
    assert again.best_miou == outcome.best_miou
    ours, theirs = parts.state_dict(), whole.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    moments = [
        [part["state"] for part in read_tensors(tmp_path / run / "training.pt")["optimizers"]]
        for run in ("whole", "parts")
    ]
    assert len(moments[0]) == len(moments[1]) == (2 if kind == "muon" else 1)
    for ours, theirs in zip(*moments, strict=True):
        name = "momentum_buffer" if "momentum_buffer" in ours[0] else "exp_avg"
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[row][name], theirs[row][name]) for row in ours)


@pytest.mark.parametrize("average", [None, 0.9])
def test_a_finished_run_stays_finished(tmp_path, average):
    first = small_model()
    trainer_of(first, tmp_path, average=average).run()
    second = small_model()
    assert trainer_of(second, tmp_path, average=average).run().steps == 12
    assert torch.equal(first.head.seg_head.weight, second.head.seg_head.weight)


def test_averaged_weights_are_validated_and_kept_and_do_not_change_the_steps():
    plain, averaged = small_model(), small_model()
    trainer_of(plain, steps=1).run()
    start = small_model().head.seg_head.weight
    trainer = trainer_of(averaged, steps=1, average=0.9, validation=SCANS[:1], validate_every=1)
    seen = []
    validate = trainer.validate

    def watched():
        seen.append(averaged.head.seg_head.weight.detach().clone())
        return validate()

    trainer.validate = watched
    trainer.run()
    # After one step the decay is 2 / 11, far below 0.9.
    expected = start.lerp(plain.head.seg_head.weight, 9 / 11)
    assert torch.allclose(seen[0], expected, atol=1e-7)
    assert torch.equal(averaged.head.seg_head.weight, seen[0])

    ends = [small_model() for _ in range(2)]
    kept = [trainer_of(end, steps=4, average=a) for end, a in zip(ends, (None, 0.9), strict=True)]
    steps = [list(losses(trainer)) for trainer in kept]
    assert steps[0] == steps[1]
    assert not torch.equal(ends[0].head.seg_head.weight, ends[1].head.seg_head.weight)


def losses(trainer):
    """Run a training; the loss of each of its steps."""
    seen, step = [], trainer._train_step

    def watched():
        result = step()
        seen.append(float(result[0]))
        return result

    trainer._train_step = watched
    trainer.run()
    return seen


def test_a_decay_that_averages_nothing_is_refused():
    for decay in (0.0, 1.0):
        with pytest.raises(ValueError, match=f"decay of the averaged weights is {decay}"):
            trainer_of(small_model(), average=decay)


def test_training_neither_sees_nor_moves_the_dice_of_others():
    models = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        models.append(small_model(lora=True))
        before = torch.random.get_rng_state()
        trainer_of(models[-1], steps=2).run()
        assert torch.equal(before, torch.random.get_rng_state())
    weights = [model.head.seg_head.weight for model in models]
    assert torch.equal(*weights)


def test_another_run_in_the_same_folder_is_refused(tmp_path):
    trainer_of(small_model(), tmp_path, steps=1).run()
    with pytest.raises(ValueError, match="different steps: 1 there, 2 here"):
        trainer_of(small_model(), tmp_path, steps=2).run()
    with pytest.raises(ValueError, match="different parameters"):
        trainer_of(small_model(lora=True), tmp_path, steps=1).run()


def test_a_broken_checkpoint_is_named(tmp_path):
    (tmp_path / "training.pt").write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=r"training\.pt cannot be read"):
        trainer_of(small_model(), tmp_path).run()


def test_the_best_weights_are_kept():
    model = small_model()
    trainer = trainer_of(model, validation=SCANS[:1], validate_every=2, steps=8)
    scores = iter([0.3, 0.9, 0.2, 0.1])
    weights = []

    class Score:
        all_accuracy = 0.0

        def __init__(self):
            self.mean_iou = next(scores)
            weights.append(model.head.seg_head.weight.detach().clone())

    trainer.validate = Score
    outcome = trainer.run()
    assert (outcome.best_step, outcome.best_miou) == (4, 0.9)
    assert torch.equal(model.head.seg_head.weight, weights[1])


def test_it_stops_early_when_it_gets_no_better():
    trainer = trainer_of(
        small_model(), validation=SCANS[:1], validate_every=1, patience=3, steps=50,
        schedule=Schedule(learning_rate=0.0),
    )  # fmt: skip
    outcome = trainer.run()
    assert outcome.steps == 4 and outcome.best_step == 1
    assert "no better mIoU in 3 validations" in outcome.stopped


def test_it_ends_when_its_time_is_over():
    outcome = trainer_of(small_model(), steps=10**6, minutes=0.5 / 60).run()
    assert 0 < outcome.steps < 10**6 and "time limit" in outcome.stopped


def test_the_time_spent_before_a_kill_counts(tmp_path):
    killed_after(trainer_of(small_model(), tmp_path), 6)
    state = read_tensors(tmp_path / "training.pt")
    assert state["step"] == 5 and state["seconds"] > 0
    write_file(tmp_path / "training.pt", state | {"seconds": 120.0})
    outcome = trainer_of(small_model(), tmp_path, minutes=2).run()
    assert outcome.steps == 5 and outcome.seconds >= 120
    assert outcome.stopped == "the time limit of 2 minutes is over"


def test_a_slow_run_goes_through_its_schedule_by_time():
    """Steps that take ten times as long as planned are fewer, and end at the same rates."""
    slow = Progress(steps=1000, minutes=10, step=30, seconds=300)
    assert slow.share == 0.5 and not slow.end
    fast = Progress(steps=1000, minutes=10, step=900, seconds=300)
    assert fast.share == 0.9
    assert Progress(steps=1000, minutes=10, step=60, seconds=601).end
    assert Progress(steps=1000, step=1000).end == "all steps done"


def test_the_last_step_in_time_learns_at_the_rate_of_the_end():
    seen = []

    class Watched(Schedule):
        def rate(self, progress):
            seen.append(progress)
            return super().rate(progress)

    trainer_of(small_model(), steps=10**6, minutes=1e-9, schedule=Watched()).run()
    assert seen == [1.0]


def test_another_collate_finishes_the_run():
    asked = []

    def collates(name):
        def collate(items, generator):
            asked.append((name, generator is None))
            return COLLATE(items, generator)

        return collate

    options = {"validation": SCANS[:1], "validate_every": 5, "final_from": 0.6}
    trainer = trainer_of(small_model(), steps=5, final_collate=collates("last"), **options)
    trainer.collate = collates("first")
    trainer.run()
    assert asked == [("first", False)] * 3 + [("last", False)] * 2 + [("first", True)]


def test_batches_that_a_thread_makes_ahead_change_nothing(tmp_path):
    """As on a GPU; not even where the collate changes, which was not known ahead."""
    options = {"validation": SCANS[:1], "validate_every": 2, "accumulate": 2, "steps": 4}
    options |= {"final_from": 0.6, "final_collate": ScanCollate(INDOOR, 0.1)}
    states, threads = [], set()
    for ahead in (False, True):
        model = small_model()
        trainer = trainer_of(model, **options)
        collate = trainer.collate

        def noting(items, generator, collate=collate):
            threads.add(threading.current_thread().name)
            return collate(items, generator)

        trainer.collate = noting
        trainer._batches = Prefetched(trainer._batch, ahead=ahead)
        trainer.run()
        states.append(model.state_dict())
        assert any(name.startswith("next batch") for name in threads) == ahead
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_every_scan_is_seen_once_in_an_epoch():
    items = ShuffledItems(list(range(7)), batch_size=3, seed=0)
    seen = [item for ordinal in range(7) for item in items.batch(ordinal)]
    assert [sorted(seen[i : i + 7]) for i in (0, 7, 14)] == [list(range(7))] * 3
    assert seen[:7] != seen[7:14]


@pytest.mark.parametrize("fall", ["cosine", "linear"])
def test_one_cycle_climbs_and_falls(fall):
    schedule = Schedule(learning_rate=2.0, warm_up=0.25, start=0.1, end=0.001, fall=fall)
    rates = [schedule.rate(i / 100) for i in range(101)]
    assert rates[0] == pytest.approx(0.2) and rates[25] == pytest.approx(2.0)
    assert rates[100] == pytest.approx(0.002)
    assert rates[:26] == sorted(rates[:26]) and rates[25:] == sorted(rates[25:], reverse=True)
    # A quarter of the way down: on a line or, later, on half a cosine.
    share = {"linear": 0.75, "cosine": (1 + 0.5**0.5) / 2}[fall]
    assert schedule.rate(0.4375) == pytest.approx(0.002 + share * 1.998)


def test_parameters_may_learn_more_slowly():
    model = small_model()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    trainer_of(
        model, steps=1, schedule=Schedule(weight_decay=0.0),
        rate_factor=lambda name: 0.0 if name.startswith("encoder.enc") else 1.0,
    ).run()  # fmt: skip
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved and not any(name.startswith("encoder.enc") for name in moved)


def test_broken_scans_stop_the_run_at_once():
    broken = replace(SCANS[0], normals=np.full_like(SCANS[0].normals, np.nan))
    trainer = Trainer(small_model(), [broken], COLLATE, num_classes=3, steps=3, progress=False)
    with pytest.raises(ValueError, match="step 0: the loss is nan"):
        trainer.run()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"minutes": 0.0}, "minutes"),
    ],
)
def test_options_that_make_no_run_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        trainer_of(small_model(), **options)


def test_a_model_with_nothing_to_learn_is_refused():
    with pytest.raises(ValueError, match="nothing to train"):
        trainer_of(small_model().requires_grad_(False))


def room_scan(seed=0):
    """One picture of a simulated room as a labelled scan."""
    eye, target = (-1.2, -0.8, 1.4), (2.0, 1.0, 0.6)
    camera, pose = RgbdCamera(width=64, height=48), look_at(eye, target)
    image = camera.render(Room(seed), pose, np.random.default_rng(0))
    seen = np.isfinite(image.depth) & (image.depth > 0)
    rays = np.asarray(camera.rays()).reshape(*image.depth.shape, 3)
    points = (rays[seen] * image.depth[seen][:, None]) @ pose[:3, :3].T + pose[:3, 3]
    return Scan("room", points.astype(np.float32), image.label[seen], image.color[seen])


def test_a_room_is_learnt_by_heart_in_seconds():
    scan = room_scan()
    collate = ScanCollate(INDOOR, 0.12)
    encoder = small_encoder().requires_grad_(True)
    classes = len(Room.classes)
    head = LinearHead(sum(encoder.channels), classes)
    randomise(head, seed=3)
    model = Segmenter(encoder, head)
    trainer = Trainer(
        model, [scan], collate, num_classes=classes, steps=100, batch_size=1,
        schedule=Schedule(learning_rate=1e-2), validation=[scan], progress=False,
    )  # fmt: skip
    trainer.run()
    score = trainer.validate()
    assert score.present.sum() >= 4 and score.present_mean_iou > 0.95


def test_weights_that_the_last_step_ruined_are_neither_returned_nor_saved(tmp_path):
    """The loss that would show it is only computed by the next step."""
    model = small_model()
    trainer = trainer_of(model, tmp_path)
    step = trainer._train_step

    def ruined():
        result = step()
        if trainer.step == trainer.at.steps - 1:
            with torch.no_grad():
                model.head.seg_head.bias[0] = float("inf")
        return result

    trainer._train_step = ruined
    with pytest.raises(ValueError, match=r"step 12: the weights are not finite .*bias \(1 of"):
        trainer.run()


def test_a_run_does_not_resume_from_weights_that_are_not_finite(tmp_path):
    trainer_of(small_model(), tmp_path).run()
    state = read_tensors(tmp_path / "training.pt")
    state["weights"]["head.seg_head.weight"][0, 2] = float("nan")
    write_file(tmp_path / "training.pt", state)
    wanted = r"training.pt holds weights that are not finite .*head.seg_head.weight \(1 of"
    with pytest.raises(ValueError, match=wanted):
        trainer_of(small_model(), tmp_path).run()


def test_a_folder_that_cannot_be_made_stops_a_run_before_its_first_step(tmp_path):
    (tmp_path / "taken").write_text("notes")
    trainer = trainer_of(small_model(), tmp_path / "taken")
    trainer._train_step = None  # not to be called
    with pytest.raises(FileExistsError):
        trainer.run()
    assert (tmp_path / "taken").read_text() == "notes"


def test_a_model_whose_scores_are_not_finite_scores_nothing():
    model = small_model()
    trainer = trainer_of(model, validation=SCANS[:1])
    with torch.no_grad():
        model.head.seg_head.bias[:] = float("nan")
    score = trainer.validate()
    assert score.mean_iou == 0 and score.matrix[:, -1].sum() == score.matrix.sum() > 0
