# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files in the safetensors format: what is written is read, damage is refused and runs nothing."""

from __future__ import annotations

import json

import pytest
import torch

from concerto_ros.files.safetensors_file import read_tensors, write_tensors

TENSORS = {
    "weight": torch.arange(6.0).reshape(2, 3).half(),
    "bias": torch.tensor([1.5, -2.0]),
    "empty": torch.zeros(0, 4),
    "count": torch.tensor(7),
}


@pytest.fixture
def path(tmp_path):
    write_tensors(tmp_path / "a.safetensors", TENSORS, {"config": '{"x": 1}'})
    return tmp_path / "a.safetensors"


def header_of(path):
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def with_header(path, text: bytes, data: bytes = b"") -> None:
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def test_what_is_written_is_read(path):
    tensors, metadata = read_tensors(path)
    assert metadata == {"config": '{"x": 1}'} and tensors.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert tensors[name].dtype == value.dtype and torch.equal(tensors[name], value)


def test_the_layout_is_the_published_one(path):
    content = path.read_bytes()
    header, data = header_of(path)
    assert int.from_bytes(content[:8], "little") % 8 == 0 and content[8:9] == b"{"
    entry = header["weight"]
    assert entry["dtype"] == "F16" and entry["shape"] == [2, 3]
    start, end = entry["data_offsets"]
    assert torch.equal(
        torch.frombuffer(bytearray(data[start:end]), dtype=torch.float16), torch.arange(6.0).half()
    )


def test_equal_content_gives_equal_bytes(tmp_path):
    names = [f"name {i}" for i in range(12)]
    for number, order in enumerate([names, names[::-1]] * 4):
        metadata = {name: f"{name} \N{DEGREE SIGN} \x01" for name in order}
        write_tensors(tmp_path / f"{number}", TENSORS, metadata)
        assert read_tensors(tmp_path / f"{number}")[1] == metadata
        assert (tmp_path / f"{number}").read_bytes() == (tmp_path / "0").read_bytes()


def test_a_file_of_version_0_1_is_read(path):
    # Tensors stood in the order of their names, wherever that put their first byte.
    with_header(
        path,
        b'{"__metadata__":{"b":"2","a":"1"},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
        b'"b":{"dtype":"F32","shape":[2],"data_offsets":[1,9]},'
        b'"c":{"dtype":"F32","shape":[0,4],"data_offsets":[9,9]}}',
        bytes([7]) + torch.tensor([1.5, -2.0]).numpy().tobytes(),
    )
    tensors, metadata = read_tensors(path)
    assert metadata == {"a": "1", "b": "2"} and list(tensors) == ["a", "b", "c"]
    assert tensors["a"].tolist() == [7] and tensors["b"].tolist() == [1.5, -2.0]
    assert tensors["c"].shape == (0, 4) and tensors["b"].data_ptr() % 4 == 0


def test_what_was_read_stays_when_the_file_changes(path):
    tensors, _ = read_tensors(path)
    path.write_bytes(bytes(path.stat().st_size))
    assert torch.equal(tensors["weight"], TENSORS["weight"])


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"{broken",
        b'{"a": 3}',
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4000]}}',
        b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "PYTHON", "shape": [1], "data_offsets": [0, 4]}}',
    ],
)
def test_a_damaged_header_is_refused(path, text):
    with_header(path, text, b"\0" * 4)
    with pytest.raises(ValueError):
        read_tensors(path)


def test_a_file_cut_short_is_refused(path):
    content = path.read_bytes()
    for length in (0, 5, 12, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError):
            read_tensors(path)
