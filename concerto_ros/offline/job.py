# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelling of one bag into a new bag, resumable."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from concerto_ros.bags.input_plan import InputPlan, plan_for
from concerto_ros.bags.messages import classes_message
from concerto_ros.bags.reader import Bag, BagError, open_bag
from concerto_ros.bags.writer import CLASSES, TYPES, write_copy, writing_outputs
from concerto_ros.files.digest import digest, weights_digest
from concerto_ros.files.listing import visible
from concerto_ros.files.torch_file import write_file
from concerto_ros.offline.bag_labeller import BagLabeller
from concerto_ros.offline.counts import Counts
from concerto_ros.offline.unfinished_bag import COUNTS, MEMORY, OUTPUTS, Work, read_summary
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.settings.inputs import INPUTS
from concerto_ros.settings.settings import Settings


@dataclass(frozen=True)
class Job:
    """Label the bag ``source`` into the new bag ``out``.

    Attributes:
        source: The bag to label.
        out: The new bag.
        config: A ROS parameter file that names the inputs; None: they are detected in the bag.
        overrides: Settings by parameter name that have precedence.
        every: Label the map once per this many seconds of the bag; 0: after every frame; None: at
            the parameter ``rate``.
        part_seconds: Length of a resumable segment, seconds; 0: the default of
            :class:`~concerto_ros.offline.bag_labeller.BagLabeller`.
        prefix: Prefix of the added topics, with its last slash.
    """

    source: Path
    out: Path
    config: Path | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    every: float | None = None
    part_seconds: float = 0.0
    prefix: str = "/concerto/"


def run_job(job: Job, *, show: bool = False) -> dict[str, Any]:
    """Label one bag.

    Resumes where an earlier run was killed. A bag that exists already, made by the same job, is
    left as it is.

    Args:
        job: What to label, and how.
        show: Whether to show progress bars.

    Returns:
        The summary that is written beside the bag.

    Raises:
        BagError: A bag cannot be used, or ``out`` belongs to another run.
        SettingsError: A setting is not accepted.
        ValueError: A model cannot be loaded.
    """
    with open_bag(job.source) as bag:
        plan = plan_for(bag, job.config, job.overrides)
        pipeline = _pipeline(_without_inputs(plan.settings))
        every = 1 / plan.settings.rate if job.every is None else job.every
        run = _description(job, bag, plan, pipeline, every)
        work = Work(job.out, run)
        if job.out.exists():
            return _finished(job, work)
        _check_topics(job, bag)
        labeller = BagLabeller(bag, plan, pipeline, every=every, part_seconds=job.part_seconds)
        with work.held():
            counts = _label(job, bag, plan, pipeline, labeller, work, show)
            summary = {"run": run, "inputs_found": list(plan.why), **counts.as_json()}
            parts = [part.number for part in labeller.parts()]
            filled = [n for n in parts if n == 0 or work.counts(n).labelled]
            with work.publishing(summary) as path, _bar(bag.message_count, "copy", show) as bar:
                outputs = [work.outputs(number) for number in filled]
                write_copy(bag, outputs, path, job.prefix, bar.update)
                summary["damage"] = [each._asdict() for each in bag.damage]
    return summary


def _label(
    job: Job,
    bag: Bag,
    plan: InputPlan,
    pipeline: SemanticPipeline,
    labeller: BagLabeller,
    work: Work,
    show: bool,
) -> Counts:
    """Label the segments that do not exist yet; return the counts of all."""
    total = Counts.of(source.name for source in plan.inputs)
    memory: dict[str, torch.Tensor] = {}
    with _bar(labeller.message_count, job.source.name, show) as bar:
        for part in labeller.parts():
            if work.has(part.number):
                memory = work.memory(part.number)
                bar.update(work.counts(part.number).seen)
            else:
                with work.adding(part.number) as folder:
                    with writing_outputs(folder / OUTPUTS) as write:
                        if part.number == 0:
                            frame = plan.settings.fixed_frame
                            classes = classes_message(
                                pipeline.labels, pipeline.model, frame, part.begin
                            )
                            write(CLASSES, part.begin, classes)
                        counts, memory = labeller.label(part, memory, write, bar.update)
                    write_file(folder / MEMORY, memory)
                    counts.write(folder / COUNTS)
            total.add(work.counts(part.number))
    return total


@lru_cache(maxsize=1)
def _pipeline(settings: Settings) -> SemanticPipeline:
    """Make the pipeline, cached so that a folder of bags loads its model once."""
    return SemanticPipeline.from_settings(settings)


def _without_inputs(settings: Settings) -> Settings:
    """Reset the settings that differ between bags and do not matter to the pipeline."""
    return replace(settings, cloud_names=(), camera_names=(), fixed_frame=Settings.fixed_frame)


def _description(
    job: Job, bag: Bag, plan: InputPlan, pipeline: SemanticPipeline, every: float
) -> dict[str, Any]:
    """Describe what the result depends on; only segments of the same description are resumed."""
    settings = asdict(plan.settings)
    del settings["device"]  # a run may be resumed on another one
    if math.isnan(settings["floor_height"]):  # JSON has no NaN, and NaN equals nothing
        settings["floor_height"] = None
    files = [job.source] if job.source.is_file() else visible(job.source.iterdir(), job.source)
    description = {
        "bag": {
            "name": job.source.name,
            "bytes": sum(file.stat().st_size for file in files),
            "messages": bag.message_count,
            "start_ns": bag.start_ns,
            "end_ns": bag.end_ns,
        },
        "model": pipeline.model,
        **_identity(pipeline),
        "settings": settings,
        **{
            input_type.GROUP: [
                asdict(source) for source in plan.inputs if type(source) is input_type
            ]
            for input_type in INPUTS.values()
        },
        "every": every,
        "part_seconds": job.part_seconds,
        "prefix": job.prefix,
        "outputs": sorted(TYPES),
    }
    return json.loads(json.dumps(description))  # as it is read back from a file


@lru_cache(maxsize=1)
def _identity(pipeline: SemanticPipeline) -> dict[str, str | None]:
    """Hash the model, which may differ under the same name, e.g. after another training."""
    encoder, head = pipeline.encoder, pipeline.head
    # precision=auto differs between devices; rounded to bfloat16 the weights are the same.
    return {
        "encoder": weights_digest(
            encoder, (encoder.config, encoder.grid_size, pipeline.convention), torch.bfloat16
        ),
        "head": None if head is None else weights_digest(head, head.num_classes),
        "classes": digest([json.dumps(pipeline.labels.content)]),
        **({"words": _identity_of_words(pipeline)} if pipeline.labels_are_words else {}),
    }


def _identity_of_words(pipeline: SemanticPipeline) -> str:
    table = pipeline.settings.words.table
    rows = [np.fromfile(Path(table).expanduser(), np.uint8)] if table else []
    return digest([weights_digest(pipeline.words.head, ""), *rows])


def _check_topics(job: Job, bag: Bag) -> None:
    existing = [job.prefix + name for name in TYPES if job.prefix + name in bag.topics]
    if existing:
        raise BagError(
            f"{job.source} has the topics {', '.join(existing)} already; choose another --prefix"
        )


def _finished(job: Job, work: Work) -> dict[str, Any]:
    """Return the summary of a bag that exists already."""
    summary = read_summary(job.out)
    if summary is None or not work.is_of(summary.get("run")):
        raise BagError(
            f"{job.out} exists already, and is not the result of this run; choose another path, or"
            " remove it"
        )
    work.remove()
    return summary


def _bar(total: int, name: str, show: bool) -> tqdm:
    return tqdm(total=total, unit="msg", desc=name, disable=None if show else True)
