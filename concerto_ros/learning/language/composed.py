# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A language head in closed form, of what the training of its encoder learned of words.

That training ends with two linear heads, of classes and of fine names. The vector of a voxel in
the text space is the shortest one whose products with the vectors of the names are the logits of
the one head, and whose products with some anchors, directions in which there is no name, are those
of the other. So words are told apart as well as the encoder can; a head that is fitted to features
of the frozen encoder sees less of it. (On six rooms, with an encoder of that time, what was looked
for was found in 71 % where it was there and not found in 72 % where it was not, against 62 and
71 % after 400 steps of such a fit.)
"""

from __future__ import annotations

import torch
from torch.nn import functional

from concerto_ros.heads.language import LanguageHead
from concerto_ros.heads.linear import LinearHead
from concerto_ros.heads.scoring import Softmax
from concerto_ros.learning.language.model import TextVectors
from concerto_ros.learning.language.train import Vocabularies, meanings_of
from concerto_ros.learning.language.word_list import Word
from concerto_ros.ptv3.bundled import NamesHead

#: By which cosines are divided, the inverse of the usual length of the vectors of voxels; and how
#: much the logits of classes count beside those of names.
TEMPERATURE, CLASS_SHARE = 0.0143, 1.0
#: Keeps names that are hardly apart in the text space from stretching the vectors of voxels.
PENALTY = 1e-2


@torch.no_grad()
def compose_language_head(
    classes: LinearHead, known: NamesHead, words: Vocabularies, vectors: TextVectors
) -> LanguageHead:
    """Make a language head of two linear heads on the features of one encoder.

    A class has an anchor of its own for all of its things, as a chair is an office chair as well;
    its synonyms stand for it, and those of a fine name for the vector of that name.

    Args:
        classes: For the classes ``words.labels``, in this order.
        known: For the fine names, with all of ``words.names`` among its names.
        words: Classes, fine names and contrast words.
        vectors: Gives the vectors of texts, in more directions than there are names and classes.

    Returns:
        The head, in evaluation mode and without a threshold.

    Raises:
        ValueError: ``known`` lacks a name, or the text space has too few directions.
    """
    place = {name: row for row, name in enumerate(known.names)}
    missing = [word.name for word in words.names if word.name not in place]
    if missing:
        raise ValueError(
            f"the model has not learned the fine name {missing[0]!r}, expected all"
            f" {len(words.names)}: train it with them first (concerto-ros train demo)"
        )
    rows = [place[word.name] for word in words.names]
    of_names = functional.normalize(
        vectors.of([word.name for word in words.names]).vectors.double(), dim=1
    )
    count, width = of_names.shape
    if width < count + len(words.labels):
        raise ValueError(
            f"the text space of {vectors.encoder} has {width} directions, expected at least"
            f" {count + len(words.labels)}: one for each fine name and class"
        )
    free = torch.linalg.qr(of_names.T, mode="complete").Q[:, count:]
    anchors = free[:, : len(words.labels)].T
    assert isinstance(known.head, LinearHead)  # as the training of an encoder leaves it
    linear = known.head.seg_head
    weight = torch.cat(
        [_centred(linear.weight[rows]), CLASS_SHARE * _centred(classes.seg_head.weight)]
    )
    bias = torch.cat([_centred(linear.bias[rows]), CLASS_SHARE * _centred(classes.seg_head.bias)])
    directions = torch.cat([of_names, anchors])
    gram = directions @ directions.T + PENALTY * torch.eye(len(directions)).double()
    back = torch.linalg.solve(gram, directions).T

    head = LanguageHead(weight.shape[1], width, name=f"language head of {classes.name}")
    head.load_state_dict({"weight": (back @ weight).float(), "bias": (back @ bias).float()})
    head.text_encoder, head.template = vectors.encoder, vectors.template
    head.scoring = Softmax(TEMPERATURE)
    head.contrast = (*words.contrast, *(word.name for word in words.labels))
    meanings = meanings_of(words)
    texts = list(meanings)
    head.trained_words = functional.normalize(vectors.of(texts).vectors.float(), dim=1)
    head.anchors = anchors.float()
    head.meanings = tuple(meanings.values())
    row = {text: number for number, text in enumerate(texts)}
    anchor = {word.name: len(row) + number for number, word in enumerate(words.labels)}
    head.rivals = tuple(
        (row[word.name], _wholes(word, row, anchor, words)) for word in words.names
    )
    head.stands_for = _stands_for(row, anchor, words)
    return head.eval().requires_grad_(False)


def _centred(values: torch.Tensor) -> torch.Tensor:
    """(K, ...) float64 without what all rows share, which a softmax does not see."""
    return values.double() - values.double().mean(dim=0)


def _wholes(
    word: Word, row: dict[str, int], anchor: dict[str, int], words: Vocabularies
) -> tuple[int, ...]:
    """The rows of what a fine name belongs to: its class, and names that include it."""
    of_class = [anchor[word.class_name]] if word.class_name in anchor else []
    return (*of_class, *(row[o.name] for o in words.names if word.name in o.includes))


def _stands_for(
    row: dict[str, int], anchor: dict[str, int], words: Vocabularies
) -> tuple[int, ...]:
    """For each text the row of its name, or of the anchor of its class after all texts."""
    place: dict[str, int] = {}
    for word in (*words.names, *words.labels):  # the first word that has a text
        for text in word.texts:
            place.setdefault(text, anchor.get(word.name, row[word.name]))
    return tuple(place.get(text, number) for text, number in row.items())
