# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A linear support vector machine on the features of a frozen encoder."""

from __future__ import annotations

import warnings

import numpy as np
import torch

from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.training.embedding import embed_objects
from concerto_ros.learning.objects.training.recipes import SvmRecipe
from concerto_ros.learning.objects.training.scores import Accuracy
from concerto_ros.objects.encoders.shared.base import ObjectEncoder


def fit_svm(features: np.ndarray, labels: np.ndarray, recipe: SvmRecipe):
    """Fit an estimator of scikit-learn to (S, F) features and (S,) labels.

    Raises:
        ImportError: If scikit-learn is not installed.
        ValueError: If all labels are the same.
    """
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.svm import SVC, LinearSVC
    except ImportError as error:
        raise ImportError(
            "a linear SVM needs scikit-learn: pip install 'concerto_ros[objects]'"
        ) from error
    if len(np.unique(labels)) < 2:
        raise ValueError(f"all {len(labels)} objects are of one class, expected at least two")
    if recipe.one_vs_one:
        machine = SVC(C=recipe.c, kernel="linear")
    else:
        machine = LinearSVC(C=recipe.c, random_state=0)
    with warnings.catch_warnings():  # the published protocol stops at 1000 iterations as well
        warnings.simplefilter("ignore", ConvergenceWarning)
        return machine.fit(features, labels)


def linear_svm(
    encoder: ObjectEncoder,
    train: ObjectSet,
    test: ObjectSet,
    recipe: SvmRecipe,
    *,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> Accuracy:
    """Run the published protocol: fit on the features of one split, score on the other.

    ReCon's published loader skips the last training objects, fewer than 128; here all count.

    Args:
        encoder: The frozen encoder.
        train: The training split.
        test: The test split.
        recipe: The SVM.
        device: Where the encoder runs.
        progress: Whether to show progress bars.
    """
    features = [
        embed_objects(encoder, split, first=recipe.first, device=device, progress=progress)
        for split in (train, test)
    ]
    machine = fit_svm(features[0], train.labels, recipe)
    return Accuracy.of(machine.predict(features[1]), test.labels, len(test.classes))
