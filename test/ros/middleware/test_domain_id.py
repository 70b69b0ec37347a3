# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Domains that demo and tests choose for themselves."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys

import pytest

from concerto_ros.ros.middleware import domain_id as domains
from concerto_ros.ros.middleware.domain_id import LOCK_PORT, free_domain, is_used

HOLD = """
import sys
from concerto_ros.ros.middleware.domain_id import free_domain
with free_domain() as domain:
    print(domain, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def three_domains(monkeypatch):
    """Three domains that are free now, and no others."""
    free = []
    # Far from those that tests in other processes, of numbers like ours, try first.
    for step in range(50, 150):
        domain = domains.DOMAINS[(os.getpid() + step) % len(domains.DOMAINS)]
        with contextlib.suppress(OSError), socket.socket() as lock:
            lock.bind(("", LOCK_PORT + domain))
            if not is_used(domain):
                free.append(domain)
        if len(free) == 3:
            break
    monkeypatch.setattr(domains, "DOMAINS", sorted(free))
    return set(free)


def test_each_taker_gets_another_domain_until_none_is_left(three_domains):
    with contextlib.ExitStack() as stack:
        assert {stack.enter_context(free_domain()) for _ in range(3)} == three_domains
        with pytest.raises(RuntimeError, match="set ROS_DOMAIN_ID"), free_domain():
            pass
    with free_domain() as again:
        assert again in three_domains


def test_an_error_inside_gives_the_domain_back_and_continues(three_domains):
    for _ in range(4):
        with pytest.raises(OSError, match="mine"), free_domain():
            raise OSError("mine")


def test_a_domain_of_another_process_is_taken_until_that_ends(three_domains):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        theirs = int(process.stdout.readline())
        domains.DOMAINS = [theirs]
        with pytest.raises(RuntimeError), free_domain():
            pass
    finally:
        process.kill()
        process.communicate()
    with free_domain() as domain:
        assert domain == theirs


def test_a_domain_in_which_somebody_listens_is_left_alone(three_domains, monkeypatch):
    rclpy = pytest.importorskip("rclpy")
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    busy = min(three_domains)
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=busy)
    try:
        node = rclpy.create_node("somebody", context=context)
        assert is_used(busy)
        with free_domain() as one, free_domain() as other:
            assert {one, other} == three_domains - {busy}
        node.destroy_node()
    finally:
        context.try_shutdown()


def test_the_demo_takes_a_free_domain_unless_one_is_chosen(three_domains, monkeypatch, capsys):
    pytest.importorskip("rclpy")
    from concerto_ros.ros.demo.run import _own_domain

    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    with _own_domain():
        taken = int(os.environ["ROS_DOMAIN_ID"])
        assert taken in three_domains and f"ROS_DOMAIN_ID={taken}" in capsys.readouterr().out
        with free_domain() as other:
            assert other != taken
    assert "ROS_DOMAIN_ID" not in os.environ
    monkeypatch.setenv("ROS_DOMAIN_ID", "42")
    with _own_domain():
        assert os.environ["ROS_DOMAIN_ID"] == "42" and not capsys.readouterr().out
