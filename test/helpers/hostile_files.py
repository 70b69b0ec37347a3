# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that are none: programs in disguise, damaged files and rubbish."""

from __future__ import annotations

import os
import pickle
import pickletools
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from concerto_ros.ptv3.bundled import demo_file


class Payload:
    """Makes a file ``touched`` when it is unpickled by a reader that trusts it."""

    def __init__(self, touched: Path, how: str):
        self.touched, self.how = str(touched), how

    def __reduce__(self):
        program = f"open({self.touched!r}, 'w').close()"
        return {
            "exec": (exec, (program,)),
            "eval": (eval, (program,)),
            "system": (os.system, (f"touch {self.touched}",)),
            "process": (subprocess.Popen, (["touch", self.touched],)),
        }[self.how]


def torch_file(content) -> Callable[[Path], None]:
    return lambda path: torch.save(content, path)


def hostile_files(touched: Path) -> dict[str, Callable[[Path], None]]:
    """What writes each file, by its name."""
    good = {"config": {}, "state_dict": {"weight": torch.zeros(3)}}
    files: dict[str, Callable[[Path], None]] = {}
    for how in ("exec", "eval", "system", "process"):
        payload = Payload(touched, how)
        files[f"{how} at the top"] = torch_file(payload)
        files[f"{how} in the config"] = torch_file(good | {"config": {"stride": payload}})
        files[f"{how} among the weights"] = torch_file(good | {"state_dict": {"w": payload}})
    files["exec in torch's old format"] = lambda path: torch.save(
        Payload(touched, "exec"), path, _use_new_zipfile_serialization=False
    )
    files["exec in a bare pickle"] = lambda path: path.write_bytes(
        pickle.dumps(Payload(touched, "exec"))
    )
    files["exec in a short pickle"] = lambda path: path.write_bytes(
        pickletools.optimize(pickle.dumps(Payload(touched, "exec"), protocol=0))
    )
    files["exec in an array of objects"] = lambda path: np.save(
        path.open("wb"), np.array([Payload(touched, "exec")], object), allow_pickle=True
    )
    files["a whole module"] = torch_file(torch.nn.Linear(2, 2))
    files["no dictionary"] = torch_file([1, 2, 3])
    files["an empty dictionary"] = torch_file({})
    files["weights of something else"] = torch_file(good)
    files["a config with no end"] = torch_file(good | {"config": {"enc_channels": [10**9] * 5}})
    files["nothing"] = lambda path: path.write_bytes(b"")
    files["rubbish"] = lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000))
    files["the bundled demo model, cut off"] = lambda path: path.write_bytes(
        demo_file().read_bytes()[:50_000]
    )
    files["a zip of a pickle"] = lambda path: _zipped(
        path, "archive/data.pkl", pickle.dumps(Payload(touched, "exec"))
    )
    files["a small zip that unpacks to much"] = lambda path: _zipped(
        path, "archive/data.pkl", bytes(1 << 26), zipfile.ZIP_DEFLATED
    )
    files["a folder"] = lambda path: path.mkdir()
    return files


def _zipped(path: Path, name: str, content: bytes, how: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", how) as archive:
        archive.writestr(name, content)
        archive.writestr("archive/version", b"3\n")
