# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A ROS domain that nobody else on this machine uses."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

#: Domains whose ports lie below the ephemeral ones on every system; 0 is everybody's default.
DOMAINS = range(1, 101)

#: Who holds TCP port ``LOCK_PORT + domain`` has the domain. ROS's own test tools
#: (domain_coordinator) keep to the same ports, so the two do not collide either.
LOCK_PORT = 32768

#: Where the first participant of a domain listens (DDSI-RTPS 2.5, 9.6.2): 7410 + 250 x domain.
FIRST_PORT, DOMAIN_GAIN = 7410, 250


@contextmanager
def free_domain() -> Iterator[int]:
    """A domain that is this process's alone until the context ends, or the process does.

    Domains in which a participant is up already, whoever started it, are left alone. Raises
    RuntimeError where none is free.
    """
    first = os.getpid() % len(DOMAINS)  # processes that start together do not try the same ones
    for domain in (*DOMAINS[first:], *DOMAINS[:first]):
        lock = _bound(socket.SOCK_STREAM, LOCK_PORT + domain)
        if lock is None:
            continue
        with lock:
            if not is_used(domain):
                yield domain
                return
    raise RuntimeError(
        f"each of the ROS domains {DOMAINS[0]} to {DOMAINS[-1]} is in use on this machine;"
        " set ROS_DOMAIN_ID"
    )


def is_used(domain: int) -> bool:
    """Whether a participant of ``domain`` is up on this machine."""
    probe = _bound(socket.SOCK_DGRAM, FIRST_PORT + DOMAIN_GAIN * domain)
    if probe is None:
        return True
    probe.close()
    return False


def _bound(kind: socket.SocketKind, port: int) -> socket.socket | None:
    """A socket that holds ``port`` on every address; None where somebody else does."""
    held = socket.socket(socket.AF_INET, kind)
    try:
        held.bind(("", port))
    except OSError as error:
        held.close()
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        return None
    return held
