# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Language heads: one matrix from features into the space of a text encoder, and their file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from concerto_ros.files.shared_files import asset_path
from concerto_ros.heads.language_file import (
    ANCHORS,
    CONTRAST,
    TRAINED_WORDS,
    About,
    read_language_file,
    write_language_file,
)
from concerto_ros.heads.scoring import Scoring, Sigmoid, Softmax
from concerto_ros.heads.word_scores import TurnedHead, WordScorer
from concerto_ros.ptv3.bundled import BUNDLED, DEMO
from concerto_ros.ptv3.checkpoint import CheckpointError, log_licence
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.ptv3.joined_levels import joined_levels

#: The preset whose encoder the bundled head is for.
_BUNDLED_PRESET = "indoor"

#: How near another word has to be to be taken for a word (:meth:`LanguageHead.understood`): the
#: temperature of the cosines, and the cosine above which others count more than the word itself.
_NEAR, _ITSELF = 0.04, 0.5

#: A contrast word means the same as a word if the cosine of both is higher than this, or if the
#: word is understood by more than this share as texts that mean the contrast word.
_SAME, _MUCH = 0.7, 0.2
#: The share as which a text is understood that is one of the training.
_KNOWN = 0.5


class Rivals(NamedTuple):
    """The R names that a head knows, and what they are to K texts that are looked for.

    Attributes:
        vectors: (R, D) unit vectors; R is 0 for a head without ``rivals``.
        compete: (K, R) bool, which compete with each text.
        belong: (K, R) bool, which are things of what it names.
    """

    vectors: torch.Tensor
    compete: torch.Tensor
    belong: torch.Tensor


class LanguageHead(nn.Module):
    """Vectors of points in the space of a text encoder: ``y = W f + b`` of the joined features.

    As in the Concerto paper: one linear layer on the frozen encoder. A word matches a point as
    well as the cosine of both vectors is high.

    Attributes:
        weight: (D, C), as in ``torch.nn.Linear``; the channels of the finest level come first, as
            ``Pyramid.upcast`` joins them.
        bias: (D,).
        name: the name or path that it was loaded by.
        text_encoder: name of the text encoder whose space it is, e.g. ``minilm``; empty where it
            is not known.
        template: the prompt with ``{name}`` in it that words were put in for the training; empty:
            that of the text encoder.
        normalised: whether :meth:`vectors` have length one.
        scoring: from cosines to probabilities.
        threshold: the probability that a word must have to be the label of a point.
        contrast: words that always take part, so that those asked for can lose.
        trained_words: (T, D) unit vectors of the texts it was trained with, by which
            :meth:`understood` reads others; T is 0 for a head of the whole text space.
        meanings: for each of these texts the contrast word that it is another word for, e.g.
            chair for "something to sit on"; empty: none.
        anchors: (A, D) unit vectors that are no text's, e.g. one for all that is a chair, beside
            that of the word chair for a chair of no other name; A may be 0.
        stands_for: for each of these texts the row, of texts and after them anchors, whose place
            it takes, e.g. that of the name of a thing for its synonyms; empty: each stands for
            itself.
        rivals: row in ``trained_words`` of each name of a thing that competes with a text that is
            looked for, and the rows, as of ``stands_for``, of what it belongs to; see
            :meth:`rivals_of`.
        find_threshold: the probability that a text must have against its rivals to be found; 0:
            not known.
        encoder: digest of the encoder it was trained on; None: not known.
        preset: the preset whose input convention it was trained with; None: not known.
        licence: of the weights; empty where none is named.
    """

    trained_words: torch.Tensor
    anchors: torch.Tensor

    def __init__(self, in_channels: int, width: int, *, name: str = ""):
        """Make an untrained head, with the initial values of ``torch.nn.Linear``.

        Args:
            in_channels: C, feature width, that of ``Pyramid.upcast``.
            width: D, that of the text space.
            name: for messages.
        """
        super().__init__()
        layer = nn.Linear(in_channels, width)
        self.weight, self.bias = layer.weight, layer.bias
        self.name = name
        self.text_encoder = self.template = self.licence = ""
        self.normalised = True
        self.scoring: Scoring = Softmax()
        self.threshold = 0.0
        self.contrast: tuple[str, ...] = CONTRAST
        self.register_buffer("trained_words", torch.zeros(0, width), persistent=False)
        self.register_buffer("anchors", torch.zeros(0, width), persistent=False)
        self.meanings: tuple[str, ...] = ()
        self.stands_for: tuple[int, ...] = ()
        self.rivals: tuple[tuple[int, tuple[int, ...]], ...] = ()
        self.find_threshold = 0.0
        self.encoder: str | None = None
        self.preset: str | None = None

    @classmethod
    def load(
        cls,
        name_or_path: str | os.PathLike,
        encoder: Encoder | None = None,
        *,
        preset: str | None = None,
    ) -> LanguageHead:
        """Load a head in evaluation mode, float32 on the CPU.

        Args:
            name_or_path: path of a file of :func:`save_language_head`, or ``demo`` for the head of
                the bundled model.
            encoder: the encoder that gives the features; None: whether the head fits it is not
                checked.
            preset: that of the bundled model, for ``demo``; None: that of ``encoder``, indoor
                without one.

        Raises:
            CheckpointError: (a ValueError) the file does not exist, is not a language head, or
                holds values that are not finite or not accepted.
            ValueError: the head does not fit the encoder; the text names both widths.
        """
        name = os.fspath(name_or_path)
        path = Path(name).expanduser()
        if name == DEMO:
            path = bundled_head(preset or (encoder and encoder.preset) or _BUNDLED_PRESET)
        tensors, about = read_language_file(path)
        width, in_channels = tensors["weight"].shape
        head = cls(in_channels, width, name=name)
        if TRAINED_WORDS in tensors:
            head.trained_words = nn.functional.normalize(tensors.pop(TRAINED_WORDS), dim=1)
        if ANCHORS in tensors:
            head.anchors = nn.functional.normalize(tensors.pop(ANCHORS), dim=1)
        head.load_state_dict(tensors)
        head.text_encoder, head.template = about.text_encoder, about.template
        head.normalised, head.scoring = about.normalised, Softmax(about.temperature)
        if about.sigmoid_scale is not None and about.sigmoid_bias is not None:
            head.scoring = Sigmoid(about.sigmoid_scale, about.sigmoid_bias)
        head.threshold, head.contrast = about.threshold, about.contrast
        head.meanings = about.meanings
        head.stands_for = about.stands_for
        head.rivals, head.find_threshold = about.rivals, about.find_threshold
        head.licence, head.encoder, head.preset = about.license, about.encoder, about.preset
        log_licence({"license": head.licence}, path)
        if encoder is not None:
            head.concat_levels(encoder)
        return head.eval().requires_grad_(False)

    @property
    def in_channels(self) -> int:
        """Feature width that the head takes, C."""
        return self.weight.shape[1]

    @property
    def width(self) -> int:
        """Width of the text space, D."""
        return self.weight.shape[0]

    def forward(self, feat: torch.Tensor) -> torch.Tensor:
        """Return (N, D) vectors, not normalised, of (N, C) features.

        Raises:
            ValueError: the features have another width.
        """
        if feat.ndim < 1 or feat.shape[-1] != self.in_channels:
            raise ValueError(
                f"feat: got shape {tuple(feat.shape)}, expected (N, {self.in_channels}) features,"
                " as the head was trained on"
            )
        return nn.functional.linear(feat.to(self.weight.dtype), self.weight, self.bias)

    def vectors(self, feat: torch.Tensor) -> torch.Tensor:
        """Return (n, D) vectors in the text space of the (n, C) features of a few points.

        They have length one where the head is ``normalised``.
        """
        vectors = self(feat)
        return nn.functional.normalize(vectors, dim=-1) if self.normalised else vectors

    def concat_levels(self, encoder: Encoder) -> int:
        """Return how many levels ``upcast`` must join to give this head's width.

        Raises:
            ValueError: no number of levels of ``encoder`` has this width; the text names both.
        """
        return joined_levels(self.name, self.in_channels, encoder)

    def turned(self) -> TurnedHead:
        """Return the head as it is now in the form in which words are scored quickly.

        This takes a tenth of a second; whoever scores other words again and again keeps it.
        """
        return TurnedHead.of(self.weight, self.bias)

    def for_words(self, vectors: torch.Tensor) -> WordScorer:
        """Prepare the scores of K words.

        Args:
            vectors: (K, D) of the head's text encoder, of any length above 0.

        Raises:
            ValueError: they have another width than the text space, or are zero or not finite.
        """
        self.check_words(vectors)
        return self.turned().for_words(vectors)

    def understood(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return vectors of words as this head understands them.

        A head that was trained with some hundred words knows the directions of these alone: what
        a word has besides, in the hundreds of other directions of the text space, is noise to it.
        So a word is replaced by those that it lies near to, weighted by a softmax of their
        cosines in which it takes part itself. A word of the training stays what it is, or what it
        ``stands_for``, and one that is near to none stays what it is as well. (Unseen synonyms of
        the twelve classes: 0.94 of the mIoU of the classes' names instead of 0.70.)

        Args:
            vectors: (K, D) of the head's text encoder.

        Returns:
            (K, D); for a head without ``trained_words`` those given.

        Raises:
            ValueError: as :meth:`for_words`.
        """
        self.check_words(vectors)
        if not len(self.trained_words):
            return vectors
        unit, weights = self._read(vectors)
        known = self.trained_words
        if self.stands_for:
            known = torch.cat([known, self.anchors])[list(self.stands_for)]
        mixture = weights[:, :-1] @ known + weights[:, -1:] * unit
        return nn.functional.normalize(mixture, dim=1)

    def same_as(self, vectors: torch.Tensor, contrast: torch.Tensor) -> torch.Tensor:
        """Return which contrast words mean what each word means, (K, X) bool.

        Such a contrast word must not compete with the word. It is known by the cosine of both, and
        by the ``meanings`` of the texts that the word is understood as.

        Args:
            vectors: (K, D) of the words.
            contrast: (X, D) of the words ``contrast``, in this order.

        Raises:
            ValueError: as :meth:`for_words`.
        """
        self.check_words(vectors)
        unit, others = (nn.functional.normalize(each, dim=1) for each in (vectors, contrast))
        same = unit @ others.T > _SAME
        if self.meanings:
            _, weights = self._read(vectors)
            for column, word in enumerate(self.contrast):
                texts = [row for row, meaning in enumerate(self.meanings) if meaning == word]
                same[:, column] |= weights[:, texts].sum(dim=1) > _MUCH
        return same

    def rivals_of(self, vectors: torch.Tensor) -> Rivals:
        """Return the names that compete with texts that are looked for.

        What is looked for is one of hundreds of things that may be there: a voxel of a kettle is
        no cup, though it is nearer to "cup" than to "object", "floor" and "table". So all names
        of the training compete with a text, but the one that it means, and those that belong to
        it: the things of a class, and a school desk to a desk. With a text that the training did
        not have, names that are near to it do not compete either.

        Args:
            vectors: (K, D) of the texts.

        Raises:
            ValueError: as :meth:`for_words`.
        """
        self.check_words(vectors)
        rows = [row for row, _ in self.rivals]
        rivals = self.trained_words[rows]
        belong = torch.zeros(len(vectors), len(rows), dtype=torch.bool)
        if not rows:
            return Rivals(rivals, belong, belong)
        unit, weights = self._read(vectors)
        texts = len(self.trained_words)
        place = torch.tensor(self.stands_for or range(texts))
        share = weights.new_zeros(len(vectors), texts + len(self.anchors))
        share.index_add_(1, place, weights[:, :-1])
        for column, (_, wholes) in enumerate(self.rivals):
            belong[:, column] = (share[:, list(wholes)] > _MUCH).any(dim=1)
        unknown = share.max(dim=1).values < _KNOWN
        near = (unit @ rivals.T > _SAME) & unknown[:, None]
        return Rivals(rivals, ~(near | belong | (share[:, rows] > _MUCH)), belong)

    def _read(self, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return unit vectors (K, D), and how much of each text they are, (K, T + 1).

        The last column is of the word itself.
        """
        unit = nn.functional.normalize(vectors.to(self.trained_words), dim=1)
        itself = torch.full((len(unit), 1), _ITSELF).to(unit)
        cosines = torch.cat([unit @ self.trained_words.T, itself], dim=1)
        return unit, (cosines / _NEAR).softmax(dim=1)

    def check_words(self, vectors: torch.Tensor) -> None:
        """Check that vectors of words are of this text space, by their width, and usable.

        Raises:
            ValueError: as :meth:`for_words`; the text names both widths.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.width or not len(vectors):
            space = f" ({self.text_encoder})" if self.text_encoder else ""
            raise ValueError(
                f"vectors of words have shape {tuple(vectors.shape)}, expected (words,"
                f" {self.width}): the text space of the language head {self.name!r} is"
                f" {self.width} wide{space}; take vectors of the same text encoder"
            )
        bad = (~vectors.isfinite()).any(dim=1) | (vectors == 0).all(dim=1)
        if bad.any():
            rows = ", ".join(map(str, torch.nonzero(bad)[:4, 0].tolist()))
            raise ValueError(
                f"vectors of words are zero or not finite in rows {rows}; expected finite vectors"
                " of a length above 0"
            )


def bundled_head(preset: str = _BUNDLED_PRESET) -> Path:
    """Return the path of the language head of the bundled model of a preset.

    Raises:
        CheckpointError: there is none.
    """
    if preset != _BUNDLED_PRESET:
        raise CheckpointError(
            f"no language head is bundled for the preset {preset!r}; expected the preset"
            f" {_BUNDLED_PRESET}, or the file of a head that was trained for that encoder"
        )
    return asset_path(f"{BUNDLED[preset]}_language.safetensors")


def save_language_head(path: str | os.PathLike, head: LanguageHead) -> None:
    """Write a head in its own precision; :meth:`LanguageHead.load` reads it back.

    The layout is that of :mod:`concerto_ros.heads.language_file`.

    Raises:
        CheckpointError: a value is not finite or not accepted.
        OSError: the file cannot be written.
    """
    scoring = head.scoring
    about = About(
        text_encoder=head.text_encoder,
        template=head.template,
        normalised=head.normalised,
        temperature=scoring.temperature if isinstance(scoring, Softmax) else 1.0,
        sigmoid_scale=scoring.scale if isinstance(scoring, Sigmoid) else None,
        sigmoid_bias=scoring.bias if isinstance(scoring, Sigmoid) else None,
        threshold=head.threshold,
        contrast=head.contrast,
        meanings=head.meanings,
        stands_for=head.stands_for,
        rivals=head.rivals,
        find_threshold=head.find_threshold,
        license=head.licence,
        encoder=head.encoder,
        preset=head.preset,
    )
    tensors = head.state_dict()
    if len(head.trained_words):
        tensors[TRAINED_WORDS] = head.trained_words.to(head.weight.dtype)
    if len(head.anchors):
        tensors[ANCHORS] = head.anchors.to(head.weight.dtype)
    write_language_file(Path(path), tensors, about)
