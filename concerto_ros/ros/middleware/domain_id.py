# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A ROS domain id that is unused on this machine."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

#: Domains whose ports lie below the ephemeral ones on every system; 0 is the default of ROS.
DOMAINS = range(1, 101)

#: The process that binds TCP port ``LOCK_PORT + domain`` owns the domain. ROS's own test tools
#: (domain_coordinator) use the same ports, so they do not take the same domain either.
LOCK_PORT = 32768

#: UDP port of a domain's first participant: 7410 + 250 x domain (DDSI-RTPS 2.5, 9.6.2).
FIRST_PORT, DOMAIN_GAIN = 7410, 250


@contextmanager
def free_domain() -> Iterator[int]:
    """Reserve a ROS domain for this process while the context is open.

    Yields:
        A domain id in which no participant was running on this machine.

    Raises:
        RuntimeError: If all domains are in use.
    """
    first = os.getpid() % len(DOMAINS)  # so that processes that start together try different ones
    for domain in (*DOMAINS[first:], *DOMAINS[:first]):
        lock = _bound(socket.SOCK_STREAM, LOCK_PORT + domain)
        if lock is None:
            continue
        with lock:
            if not is_used(domain):
                yield domain
                return
    raise RuntimeError(
        f"all ROS domains from {DOMAINS[0]} to {DOMAINS[-1]} are in use on this machine;"
        " set ROS_DOMAIN_ID"
    )


def is_used(domain: int) -> bool:
    """Whether a DDS participant of ``domain`` is running on this machine."""
    probe = _bound(socket.SOCK_DGRAM, FIRST_PORT + DOMAIN_GAIN * domain)
    if probe is None:
        return True
    probe.close()
    return False


def _bound(socket_type: socket.SocketKind, port: int) -> socket.socket | None:
    """A socket bound to ``port`` on every address; None if the port is in use."""
    bound = socket.socket(socket.AF_INET, socket_type)
    try:
        bound.bind(("", port))
    except OSError as error:
        bound.close()
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        return None
    return bound
