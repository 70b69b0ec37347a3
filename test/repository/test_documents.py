# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The documents say what the code does: tables written from it, links that lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from paths import REPOSITORY

PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])

#: [text](target), but for pictures that lie on the internet.
LINK = re.compile(r"\]\(([^)\s]+)\)")

#: What a lifecycle node of rclpy has by itself.
OF_EVERY_NODE = re.compile(
    r"/rosout|/parameter_events|.*/transition_event|.*/(get|set|list|describe)_parameter\w*"
    r"|.*/set_parameters_atomically|.*/(change|get)_(state|available_\w+|transition_graph)"
    r"|.*/get_available_\w+|.*/get_transition_graph|.*/get_type_description"
)


def text_of(page: Path) -> str:
    """Without blocks of code, which may hold anything."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Those that a git forge gives the headings."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_to_a_file_leads_to_it_and_to_a_heading_in_it():
    wrong, count = [], 0
    for page in PAGES:
        for target in LINK.findall(text_of(page)):
            if re.match(r"[a-z]+:", target):
                continue
            count += 1
            name, _, anchor = target.partition("#")
            file = page.parent / name if name else page
            if not file.is_file() or (anchor and anchor not in anchors(file)):
                wrong.append(f"{page.relative_to(REPOSITORY)}: {target}")
    assert count > 50
    assert wrong == []


def test_the_tables_that_are_written_from_the_code_are_up_to_date():
    pytest.importorskip("grimp", reason="grimp reads the imports; it comes with the extra docs")
    command = [sys.executable, REPOSITORY / "tools" / "reference", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_the_floor_plan_has_every_room_on_its_floor():
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["tool"]
    (layers,) = (
        contract["layers"]
        for contract in contracts["importlinter"]["contracts"]
        if contract["type"] == "layers"
    )
    floors = {
        room.strip(): len(layers) - row
        for row, layer in enumerate(layers)
        for room in layer.split("|")
    }
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    plan = page[page.index("| floor | room | what it holds |") :].partition("\n\n")[0]
    rows = re.findall(r"^\| (\d) \| `(\w+)(?:/|\.py)`", plan, flags=re.MULTILINE)
    assert {room: int(floor) for floor, room in rows} == floors


def rows_of(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, the names and links of each bare."""
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    table = re.search(r"^\|.*?\n(?!\|)", text[text.index(heading) :], re.MULTILINE | re.DOTALL)[0]
    bare = re.sub(r"\[?`([^`]*)`(?:\]\([^)]*\))?", r"\1", table)
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in bare.splitlines()[2:]
    ]


def test_topics_and_services_are_those_of_a_node(harness):
    from node_harness import CAMERA, ONE_CLOUD

    one = harness(**{**CAMERA, **ONE_CLOUD, "filter_names": ["name"]})
    one.start()

    def graph(of: str) -> dict[str, str]:
        found = getattr(one.robot, f"get_{of}_names_and_types_by_node")("concerto", "/")
        return {name: kinds[0] for name, kinds in found if not OF_EVERY_NODE.fullmatch(name)}

    def named(name: str) -> str:
        return name.replace("~", "/concerto", 1).replace("<name>", "name")

    one.wait(lambda: "/concerto/filtered/name" in graph("publisher"), "the graph")

    def quality_of(topic: str, end: str) -> str:
        about = f"qos_overrides.{topic}.{end}"
        policies = ("reliability", "durability", "depth")
        return ", ".join(
            str(one.node.get_parameter(f"{about}.{policy}").value) for policy in policies
        )

    inputs = {
        "clouds.<name>.topic": ["/points"],
        "cameras.<name>.color_topic": ["/color"],
        "cameras.<name>.depth_topic": ["/depth"],
        "cameras.<name>.info_topic, .depth_info_topic": ["/info"],
    }
    heard = set()
    for name, _, quality, _ in rows_of("topics.md", "## Subscribed"):
        if name == "/clock":  # subscribed by rclpy, whose QoS of it has no parameters
            continue
        for topic in inputs.get(name, [f"/{name.removeprefix('/')}"]):
            assert quality == quality_of(topic, "subscription"), name
            heard.add(topic)
    assert heard == set(graph("subscriber")) - {"/clock"}

    published, optional = graph("publisher"), set()
    for name, kind, quality, text in rows_of("topics.md", "## Published"):
        topic = named(name)
        if topic not in published:
            assert "where vision_msgs is installed" in text, name
            optional.add(topic)
            continue
        package, _, message = kind.partition("/")
        assert published[topic] == f"{package}/msg/{message}"
        assert quality == quality_of(topic, "publisher"), name
    documented = {named(row[0]) for row in rows_of("topics.md", "## Published")}
    assert documented - optional == set(published)

    services = {named(row[0]): row[1] for row in rows_of("services.md", "| service |")}
    assert services == graph("service")


def test_every_command_has_a_time_on_the_data_of_the_demo_or_a_reason():
    from benchmarks import commands

    names = set(commands.commands())
    timed = {n for n in names for call in commands.CALLS if f"{call} ".startswith(f"{n} ")}
    assert timed | set(commands.WITHOUT_TIME) == names
    assert not timed & set(commands.WITHOUT_TIME)
    assert len(timed) == len(commands.CALLS)
