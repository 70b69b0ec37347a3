# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The real node when memory runs out or its own parts fail: less, later, and never dead."""

from __future__ import annotations

import itertools

import pytest
import torch
from diagnostic_msgs.msg import DiagnosticStatus
from node_harness import ONE_CLOUD, SECOND, START, cloud_message, room

from concerto_ros.ros.outputs.messages import make_header
from concerto_ros.ros.stages import stage as worker

#: More voxels than a part of a cloud may be small.
MANY = 4000

ERRORS = (RuntimeError, MemoryError, ValueError, KeyError, OSError)


def send_many(one, stamp: int) -> None:
    one.send(cloud_message(make_header("odom", stamp), room(size=MANY)))


def out_of_memory(*_, **__):
    raise torch.cuda.OutOfMemoryError("CUDA out of memory")


def model_says(one, text: str):
    return one.wait(
        lambda: (d := one.diagnosis("model")()) and text in d.message and d, "diagnostics"
    )


def test_a_device_without_memory_for_the_whole_map_computes_parts(active, monkeypatch, fault):
    forward = active.node._configured.pipeline.encoder.forward_features

    def forward_with_little_memory(feat, hierarchy):
        return forward(feat, hierarchy) if len(feat) <= 1500 else out_of_memory()

    monkeypatch.setattr(
        active.node._configured.pipeline.encoder, "forward_features", forward_with_little_memory
    )
    send_many(active, START)
    assert len(active.labels(START)["x"]) > 1500
    assert model_says(active, "chunks of at most").level == DiagnosticStatus.WARN
    assert active.status.inferences_failed == 0
    fault(
        "the device's memory is too small for the map",
        cases=1,
        did="the map is computed in chunks that fit into the memory; the diagnostics report"
        " a WARN",
        lost="accuracy at the cuts between chunks",
    )


def test_a_device_without_memory_gives_way_to_the_cpu_where_that_is_allowed(
    harness, monkeypatch, fault
):
    one = harness(**ONE_CLOUD, cpu_fallback=True)
    one.listen_to_labels()
    one.start()
    encoder = one.node._configured.pipeline._feature_encoder
    encode = encoder._pyramid

    def encode_on_a_full_device(*given, **named):
        if "the models run on the CPU" in encoder.degraded_reason:
            return encode(*given, **named)
        encoder.device = torch.device("cuda")
        return out_of_memory()

    monkeypatch.setattr(encoder, "_pyramid", encode_on_a_full_device)
    send_many(one, START)
    one.labels(START)
    assert model_says(one, "the models run on the CPU").level == DiagnosticStatus.WARN
    one.wait(lambda: one.status.inferences, "the status")
    assert (one.status.device, one.status.inferences_failed) == ("cpu", 0)
    fault(
        "the device's memory is too small even for small chunks, cpu_fallback is true",
        cases=1,
        did="the models are moved to the CPU and label the same map there; the diagnostics"
        " report a WARN",
        lost="speed",
    )


def test_a_device_without_memory_fails_with_an_error_and_works_once_there_is_some(
    active, monkeypatch, fault
):
    failures = 5
    with monkeypatch.context() as patch:
        patch.setattr(active.node._configured.pipeline._feature_encoder, "_pyramid", out_of_memory)
        for i in range(failures):
            send_many(active, START + i * SECOND)
            active.wait(lambda i=i: active.status.inferences_failed > i, "a failure")
        diagnosis = active.wait(
            lambda: (d := active.diagnosis("inference")()) and "out of memory" in d.message and d,
            "diagnostics",
        )
        assert diagnosis.level == DiagnosticStatus.ERROR
    send_many(active, last := START + failures * SECOND)
    active.labels(last)
    assert active.node._configured.pipeline.degraded_reason == ""
    fault(
        "the device's memory is too small even for small chunks, cpu_fallback is false",
        cases=failures,
        did="the diagnostics report an ERROR; the whole map is tried again with the next"
        " frame, and labelled as soon as there is enough memory",
        lost="the labels of those maps; their frames are in the map",
    )


@pytest.mark.parametrize("stage", ["insert", "snapshot", "infer"])
def test_an_error_in_any_stage_is_reported_and_the_next_frame_works(
    active, monkeypatch, fault, stage
):
    stamps = itertools.count(START, SECOND)
    for count, error in enumerate(ERRORS, start=1):

        def fail(*_, error=error, **__):
            raise error("out of luck")

        def counted(count=count):
            internal = active.drops().get("internal", 0)
            failed = internal if stage == "insert" else active.status.inferences_failed
            return failed >= count

        with monkeypatch.context() as patch:
            patch.setattr(active.node._configured.pipeline, stage, fail)
            active.send_room(next(stamps))
            active.wait(counted, f"{error.__name__} to be counted")
        active.send_room(last := next(stamps))
        active.labels(last)
    fault(
        "intake or inference raises any error",
        cases=len(ERRORS),
        did="the frame is dropped as internal, or the inference is counted as failed; the"
        " diagnostics report an ERROR; the next frame is labelled",
        lost="that frame, or the labels of that map",
    )


def failing_once(work):
    """``work``, which raises when it is called first."""
    calls = itertools.count()

    def call(*given):
        if next(calls) == 0:
            raise RuntimeError("out of luck")
        return work(*given)

    return call


def test_an_error_outside_every_stage_does_not_end_a_worker(active, monkeypatch, fault):
    monkeypatch.setattr(worker, "PAUSE", 0.05)
    intake = active.node._activation.node.intake
    places = [(intake, "_time_to_next"), (active.node._configured.outputs, "due")]
    for place, name in places:
        monkeypatch.setattr(place, name, failing_once(getattr(place, name)))
    for i in range(2):
        active.send_room(START + i * SECOND)
        active.labels(START + i * SECOND)
    fault(
        "an error in a thread outside of intake and inference",
        cases=len(places),
        did="the thread continues after a second",
        lost="nothing",
    )
