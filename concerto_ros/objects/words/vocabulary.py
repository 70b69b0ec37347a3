# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The former place of vocabularies, which points and objects share: ``concerto_ros.words``."""

from concerto_ros.words.vocabulary import Vocabulary, read_vocabulary

__all__ = ["Vocabulary", "read_vocabulary"]
