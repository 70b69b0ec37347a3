# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of all tests, and of those that talk over DDS: every test in a domain of its own."""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Iterator

import fault_records
import pytest
from fault_records import fault, nightly  # noqa: F401  fixtures
from hypothesis import settings
from models_once import bundled_models_once  # noqa: F401  fixture
from paths import REPOSITORY

import concerto_ros  # noqa: F401  before PyTorch: it sets how threads wait
from concerto_ros.ptv3.kernels.native.library import library
from concerto_ros.ros.middleware.domain_id import free_domain, is_used

#: A test that has not ended by then hangs, seconds; and one with many cases.
HANGS_AFTER, HANGS_AFTER_NIGHTLY = 900.0, 7200.0

_STDERR = pytest.StashKey[int]()

# How long an example takes says how busy the machine is.
settings.register_profile("tests", deadline=None)
settings.register_profile("nightly", max_examples=10_000, deadline=None, print_blob=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    fault_records.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    # The tests are of the CPU's results; make gpu-check compares a GPU with them.
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    config.stash[_STDERR] = os.dup(2)  # where pytest itself writes while it captures the rest
    settings.load_profile("nightly" if config.getoption("--nightly") else "tests")
    if hasattr(config, "workerinput"):  # of pytest-xdist
        return
    library()  # compiled once, before workers start and before a test waits for it
    if config.getoption("--faults"):
        config.pluginmanager.register(fault_records.Records(config))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    fault_records.mark(items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item):
    """End the run, with the stacks of all threads, where a test hangs, in the middleware too."""
    limit = HANGS_AFTER_NIGHTLY if item.config.getoption("--nightly") else HANGS_AFTER
    faulthandler.dump_traceback_later(limit, exit=True, file=item.config.stash[_STDERR])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    fault_records.keep(item, report)
    return report


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A ROS domain id that no other test on this machine uses meanwhile, set in the environment.

    Discovery stays on this machine, and large clouds travel by the package's transport profile,
    in this process and in the processes it starts.
    """
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.setenv(
        "FASTRTPS_DEFAULT_PROFILES_FILE", str(REPOSITORY / "config" / "fastdds.xml")
    )
    with free_domain() as domain:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
        yield domain
        # Two participants of one process can block each other while one of them ends.
        assert not is_used(domain), "the test left a DDS participant behind"


@pytest.fixture
def ros_context(ros_domain: int) -> Iterator:
    """An initialised ``rclpy.Context`` of its own in ``ros_domain``."""
    rclpy = pytest.importorskip("rclpy")
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain)
    yield context
    context.try_shutdown()


@pytest.fixture
def ros(ros_domain: int) -> Iterator:
    """``rclpy`` with its default context initialised in ``ros_domain``."""
    rclpy = pytest.importorskip("rclpy")
    rclpy.init(domain_id=ros_domain)
    yield rclpy
    rclpy.try_shutdown()


@pytest.fixture
def harness(ros_context, monkeypatch: pytest.MonkeyPatch):
    """Makes harnesses with the real node; all are closed at the end."""
    from node_harness import Harness

    # Tests wait for what the node says of itself.
    monkeypatch.setattr("concerto_ros.ros.node.STATUS_PERIOD", 0.1)
    made = []

    def make(**parameters):
        made.append(Harness(ros_context, **parameters))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def active(harness):
    """An active node with one cloud input, and a robot that listens to the labels."""
    from node_harness import ONE_CLOUD

    one = harness(**ONE_CLOUD)
    one.listen_to_labels()
    one.start()
    return one
