# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros objects evaluate`` and ``embed``."""

from __future__ import annotations

import argparse
from pathlib import Path

from concerto_ros.cli.objects.train import add_data_arguments, keywords_of

PROTOCOLS = {
    "classify": "the answers of the encoder's own head",
    "svm": "a linear SVM on the frozen encoder's features",
    "few-shot": "w-way s-shot on ten folds",
    "zero-shot": "classes by their names, with a file of vectors of a text encoder",
}


def add_evaluate(actions) -> None:
    """One subcommand per protocol."""
    from concerto_ros.learning.objects.data.layouts import FEW_SHOT_LAYOUT

    parser = actions.add_parser("evaluate", help="judge an object encoder by a protocol")
    protocols = parser.add_subparsers(dest="protocol", required=True, metavar="PROTOCOL")
    for name, text in PROTOCOLS.items():
        protocol = protocols.add_parser(name, help=text, description=f"Score {text}.")
        published = (FEW_SHOT_LAYOUT,) if name == "few-shot" else ()
        add_data_arguments(protocol, published)
        protocol.set_defaults(action_run=run_few_shot if published else run_evaluate)
        if name == "few-shot":
            protocol.add_argument("--way", type=int, default=5, help="classes (default 5)")
            protocol.add_argument("--shot", type=int, default=10, help="examples (default 10)")
            protocol.add_argument(
                "--method",
                default="svm",
                choices=("svm", "full", "mlp3", "linear"),
                help="a linear SVM, or fine-tuning as published (default svm)",
            )
            protocol.add_argument("--epochs", type=int, help="default: as published")
        if name == "zero-shot":
            protocol.add_argument(
                "--words", type=Path, help="vectors of the class names (default: by open_clip)"
            )


def add_embed(actions) -> None:
    """Features, and where there is a head the answers, for files of single objects."""
    parser = actions.add_parser(
        "embed",
        help="what objects in files are, and their features",
        description="Each file holds one object, in metres with z up.",
    )
    parser.add_argument("clouds", nargs="+", type=Path, help=".ply, .pcd, .npz, .las or .laz")
    parser.add_argument("--checkpoint", default="demo", help="default: the encoder in the box")
    parser.add_argument("--keyword", action="append", default=[], metavar="NAME=VALUE",
                        help="what the file does not tell, see docs/objects.md")  # fmt: skip
    parser.add_argument("--out", type=Path, help="write the features to this .npz")
    parser.set_defaults(action_run=run_embed)


def run_few_shot(arguments: argparse.Namespace) -> int:
    """Score fold by fold and print."""
    from concerto_ros.learning.objects.data.layouts import FEW_SHOT_LAYOUT, read_objects
    from concerto_ros.learning.objects.protocols import few_shot, published_folds
    from concerto_ros.learning.objects.training.models import load_for, to_fine_tune
    from concerto_ros.learning.objects.training.recipes import recipe_for, svm_recipe
    from concerto_ros.segmentation.model_options import device_named

    layout, where = arguments.layout, {"device": device_named(arguments.device)}
    options, size = keywords_of(arguments), (arguments.way, arguments.shot)
    if layout == FEW_SHOT_LAYOUT:
        chosen = published_folds.published_folds(arguments.data, *size)
        classes = published_folds.CLASSES
    else:
        sets = [read_objects(layout, arguments.data, split) for split in ("train", "test")]
        chosen = few_shot.folds(*sets, *size, seed=arguments.seed)
        classes = len(sets[0].classes)
    if arguments.method == "svm":
        encoder = load_for(arguments.checkpoint, layout, "svm", options)
        recipe = svm_recipe(encoder.name, layout)
        right = str(few_shot.few_shot_svm(encoder, chosen, recipe, **where))
    else:
        encoder = to_fine_tune(
            arguments.checkpoint, layout, arguments.method, classes,
            options=options, seed=arguments.seed,
        )  # fmt: skip
        recipe = recipe_for(
            encoder.name, arguments.method, layout, points=encoder.points, few_shot=True
        )
        if arguments.epochs is not None:
            recipe = recipe.shortened(arguments.epochs)
        tuned = few_shot.few_shot_fine_tuned(
            encoder, chosen, recipe, method=arguments.method, seed=arguments.seed,
            test_every=1, on_fold=_print_fold, **where,
        )  # fmt: skip
        right = (
            f"{tuned.best} after the best epoch of each (published numbers are chosen so),"
            f" {tuned.last} after the last"
        )
    print(f"{arguments.way}-way {arguments.shot}-shot, {few_shot.FOLDS} folds: {right}")
    return 0


def _print_fold(outcome) -> None:
    best, last = (f"{100 * share:.1f} %" for share in (outcome.best, outcome.last))
    print(f"fold: {best} after epoch {outcome.best_epoch}, {last} after the last", flush=True)


def run_evaluate(arguments: argparse.Namespace) -> int:
    """Score and print."""
    from concerto_ros.learning.objects.data.layouts import read_objects
    from concerto_ros.learning.objects.protocols import linear_svm
    from concerto_ros.learning.objects.training import embedding
    from concerto_ros.learning.objects.training.models import check_classes, load_for
    from concerto_ros.learning.objects.training.recipes import svm_recipe
    from concerto_ros.learning.objects.training.scores import Score, class_table
    from concerto_ros.segmentation.model_options import device_named

    layout, where = arguments.layout, {"device": device_named(arguments.device)}
    test = read_objects(layout, arguments.data, "test")
    options = keywords_of(arguments)
    encoder = load_for(arguments.checkpoint, layout, arguments.protocol, options)
    where["progress"] = True
    if arguments.protocol == "svm":
        train = read_objects(layout, arguments.data, "train")
        recipe = svm_recipe(encoder.name, layout)
        score = linear_svm.linear_svm(encoder, train, test, recipe, **where)
    elif arguments.protocol == "classify":
        check_classes(encoder, test)
        guesses = embedding.classify_objects(encoder, test, **where).argmax(1)
        score = Score.of(guesses, test.labels, len(test.classes))
    else:
        guesses = _by_words(encoder, test, arguments.words, layout, where)
        score = Score.of(guesses, test.labels, len(test.classes))
    print(class_table(score, test.classes))
    print(
        f"{arguments.protocol}, {encoder.name} on {test.name}: {100 * score.accuracy:.2f} % of"
        f" {len(test)} objects, {100 * score.class_mean:.2f} % as the mean of classes"
    )
    return 0


def _by_words(encoder, test, words: Path | None, layout: str, where: dict):
    """(S,) answers by the names of the classes."""
    import torch

    from concerto_ros.learning.objects.training.embedding import embed_words
    from concerto_ros.learning.objects.training.recipes import TEXT_RATIOS
    from concerto_ros.objects.words.text_encoder import load_text_encoder
    from concerto_ros.objects.words.vocabulary import Vocabulary, read_vocabulary
    from concerto_ros.objects.words.zero_shot import SCANOBJECTNN_CLASSES, name_alone, prompts

    recon = encoder.name == "recon"
    ratio = TEXT_RATIOS.get(layout) if recon else None
    embedded = torch.from_numpy(embed_words(encoder, test, text_ratio=ratio, **where))
    if words is not None:
        vocabulary = read_vocabulary(words, test.classes)
    else:
        # ReCon's protocol asks about the misspelt name.
        names = SCANOBJECTNN_CLASSES if recon and len(test.classes) == 15 else test.classes
        encode = load_text_encoder(encoder.name)
        vocabulary = Vocabulary.of_words(names, encode, prompts if recon else name_alone)
    return vocabulary.scores(encoder.cpu(), embedded).argmax(1).numpy()


def run_embed(arguments: argparse.Namespace) -> int:
    """Print what each object is and write the features."""
    import numpy as np
    import torch

    from concerto_ros.objects import load_object_encoder
    from concerto_ros.objects.finding.naming import BATCH

    encoder = load_object_encoder(arguments.checkpoint, **keywords_of(arguments))
    # An encoder whose answers depend on the others of a batch gets a batch of one.
    size, features = BATCH if encoder.per_object else 1, []
    for start in range(0, len(arguments.clouds), size):
        paths = arguments.clouds[start : start + size]
        batch = torch.stack([_object_of(path, encoder) for path in paths])
        with torch.inference_mode():
            features.append(encoder.embed(batch).numpy())
            answers = encoder.classify(batch).softmax(1) if encoder.classes else None
        for place, path in enumerate(paths):
            shown = f"{encoder.feature_channels} features"
            if answers is not None:
                shown = _best_of(answers[place], encoder.class_names)
            print(f"{path}: {shown}")
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        names = np.array([str(path) for path in arguments.clouds])
        np.savez(arguments.out, names=names, features=np.concatenate(features))
        print(f"wrote {arguments.out}")
    return 0


def _object_of(path: Path, encoder):
    """The object in a file as the encoder takes it."""
    from concerto_ros.sensors.cloud_files import read_cloud

    frame = read_cloud(path)
    try:
        return encoder.prepare(frame.points, frame.colors)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _best_of(shares, names: tuple[str, ...]) -> str:
    """The three likeliest answers in words; shares: (classes,)."""
    best = shares.topk(min(3, len(shares)))
    return ", ".join(
        f"{names[label] if names else label} {100 * share:.0f} %"
        for share, label in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    )
