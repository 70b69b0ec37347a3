# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Prompts: the sentences about a name that a text encoder reads."""

from __future__ import annotations

#: What ReCon puts before and after the name of a class.
PICTURES = (
    "model",
    "image",
    "3D model",
    "rendering model",
    "point cloud",
    "point cloud model",
    "3D rendering model",
    "rendering image",
    "3D rendering image",
)
PREFIXES = (
    "",
    "A ",
    *(prefix for name in PICTURES for prefix in (f"A {name} of ", f"A {name} of a ")),
)
SUFFIXES = (".", " with white background.", " with black context.")


def prompts(name: str) -> list[str]:
    """Return ReCon's 60 prompts about a class, all prefixes with one suffix after the other."""
    return [f"{prefix}{name}{suffix}" for suffix in SUFFIXES for prefix in PREFIXES]


def name_alone(name: str) -> list[str]:
    """Return nothing but the name, the prompt of OpenShape's released extractor."""
    return [name]


#: What a name takes the place of in a template.
PLACE = "{name}"

#: The template of each kind of text encoder, by what its name begins with. The published heads on
#: CLIP and SigLIP were trained with a sentence; MiniLM has learnt to compare texts of any length.
TEMPLATES = {
    "minilm": PLACE,
    "open_clip:": f"a {PLACE} in a scene",
    "siglip2:": f"a {PLACE} in a scene",
}


def template_of(encoder: str) -> str:
    """Return the template that a text encoder's words are put in unless another one is asked for.

    Args:
        encoder: Name of the text encoder, as of
            :func:`~concerto_ros.words.text_encoder.load_text_encoder`.

    Raises:
        ValueError: If there is no text encoder of such a name.
    """
    for beginning, template in TEMPLATES.items():
        if encoder == beginning or (beginning.endswith(":") and encoder.startswith(beginning)):
            return template
    raise ValueError(
        f"text encoder: got {encoder!r}, expected one whose name begins with one of"
        f" {', '.join(TEMPLATES)}"
    )


def checked_template(template: str) -> str:
    """Return a template as it is.

    Raises:
        ValueError: If the place of the name is not in it once.
    """
    if template.count(PLACE) != 1:
        raise ValueError(
            f"template: got {template!r}, expected a text with {PLACE} once, such as"
            f" 'a {PLACE} in a scene'"
        )
    return template


def prompt(template: str, name: str) -> str:
    """Put a name in a template."""
    return template.replace(PLACE, name)
