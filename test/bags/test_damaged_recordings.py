# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is whole of a recording that was not closed or is damaged is read, the rest is said."""

from __future__ import annotations

import random
import shutil
import sqlite3
import tempfile

import pytest
import yaml
from backports import zstd
from bag_recordings import START, STORE, note, write
from mcap_writing import mcap
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from concerto_ros.bags.messages import quality
from concerto_ros.bags.reader import BagError, open_bag
from concerto_ros.bags.writer import write_copy

SUFFIX = {StoragePlugin.SQLITE3: "db3", StoragePlugin.MCAP: "mcap"}
RANDOM = random.Random(0)


def long_note(number):
    """A message that neither compresses nor fits into a page of a database."""
    return note(f"{number} " + "".join(map(chr, RANDOM.choices(range(33, 127), k=6000))))


NOTES = [(number, "/notes", long_note(number)) for number in range(60)]


def read(path):
    """The numbers of the messages that are read, and what is said of the rest."""
    with open_bag(path) as bag:
        numbers = [
            int(bag.deserialize(raw, kind).data.split()[0]) for _, kind, _, raw in bag.messages()
        ]
        return numbers, bag.damage


def file_of(folder):
    (file,) = (path for path in folder.iterdir() if path.suffix in (".db3", ".mcap"))
    return file


def splits(folder, storage, parts=3):
    """A recording of several files, as the recorder splits it, with its metadata."""
    folder.mkdir()
    entries, names = [], []
    for part in range(parts):
        each = folder.with_name(f"{folder.name}_part")
        write(each, NOTES[20 * part : 20 * part + 20], storage)
        name = f"{folder.name}_{part}.{SUFFIX[storage]}"
        file_of(each).rename(folder / name)
        content = yaml.safe_load((each / "metadata.yaml").read_text())
        entries.append({**content["rosbag2_bagfile_information"]["files"][0], "path": name})
        names.append(name)
        shutil.rmtree(each)
    information = content["rosbag2_bagfile_information"]
    information |= {"relative_file_paths": names, "files": entries, "message_count": 20 * parts}
    information["topics_with_message_count"][0]["message_count"] = 20 * parts
    (folder / "metadata.yaml").write_text(yaml.safe_dump(content))
    return folder


def edit_metadata(folder, **changes):
    content = yaml.safe_load((folder / "metadata.yaml").read_text())
    content["rosbag2_bagfile_information"] |= changes
    (folder / "metadata.yaml").write_text(yaml.safe_dump(content))


# --- a database whose recorder was killed -------------------------------------------------------


def killed(tmp_path, logged=30):
    """What lies on the disk where the last messages are only in the write-ahead log."""
    source = sqlite3.connect(file_of(write(tmp_path / "source", NOTES)))
    live = sqlite3.connect(tmp_path / "live.db3")
    source.backup(live)
    source.close()
    rows = live.execute("SELECT * FROM messages ORDER BY id").fetchall()[-logged:]
    live.execute("DELETE FROM messages WHERE id >= ?", (rows[0][0],))
    live.commit()
    live.execute("PRAGMA journal_mode=WAL")
    live.execute("PRAGMA wal_autocheckpoint=0")
    for row in rows:
        live.execute("INSERT INTO messages VALUES (?, ?, ?, ?)", row)
        live.commit()
    folder = tmp_path / "killed"
    folder.mkdir()
    for file in tmp_path.glob("live.db3*"):
        shutil.copy(file, folder / file.name)
    live.close()
    return folder


@pytest.mark.parametrize("name", ["", "live.db3"])
@pytest.mark.parametrize("index", ["kept", "lost"])
def test_messages_in_the_log_of_a_database_are_read_and_no_file_is_touched(tmp_path, name, index):
    folder = killed(tmp_path)
    if index == "lost":
        (folder / "live.db3-shm").unlink()
    folder.chmod(0o555)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert read(folder / name) == (list(range(60)), [])
    after = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert after == before
    folder.chmod(0o755)


@pytest.mark.parametrize("lost", [1, 300, 5000, 40_000])
def test_what_a_log_holds_of_a_transaction_that_is_not_whole_is_reported(tmp_path, lost):
    log = killed(tmp_path) / "live.db3-wal"
    log.write_bytes(log.read_bytes()[:-lost])
    numbers, (damage,) = read(log.parent)
    assert 30 <= len(numbers) < 60 and numbers == list(range(len(numbers)))
    assert damage.file == "live.db3-wal" and "bytes are lost" in damage.text


def test_the_messages_of_the_log_are_in_a_copy(tmp_path):
    with open_bag(killed(tmp_path)) as bag:
        write_copy(bag, [], tmp_path / "copy", "/concerto/", lambda: None)
    assert read(tmp_path / "copy") == (list(range(60)), [])


def test_an_empty_log_beside_a_database_is_no_damage(tmp_path):
    folder = write(tmp_path / "bag", NOTES)
    file_of(folder).with_name("bag.db3-wal").touch()
    assert read(folder) == (list(range(60)), [])


# --- files that are cut short -------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["", "zstd", "lz4", None])
def test_an_mcap_file_cut_anywhere_is_read_up_to_the_cut(tmp_path, compression):
    chunk = None if compression is None else 9
    content = mcap(
        [(number, topic, each) for number, topic, each in NOTES],
        chunk=chunk,
        compression=compression or "",
    )
    path = tmp_path / "cut.mcap"
    for end in sorted(RANDOM.sample(range(200_000, len(content) - 100), 25)):
        path.write_bytes(content[:end])
        numbers, (damage,) = read(path)
        assert numbers == list(range(len(numbers)))
        # a compressed chunk that is cut is whole up to its last block, of 128 kB at most
        assert len(numbers) >= 60 * (end - (140_000 if compression else 15_000)) / len(content)
        assert damage.file == "cut.mcap" and "was not closed" in damage.text
        assert f"{len(numbers)} messages were read" in damage.text


@pytest.mark.parametrize("storage", StoragePlugin)
@pytest.mark.parametrize("end", [0.9, 0.5])
def test_a_file_of_rosbags_cut_short_is_read_up_to_the_cut(tmp_path, storage, end):
    folder = write(tmp_path / "bag", NOTES, storage)
    file = file_of(folder)
    file.write_bytes(file.read_bytes()[: int(end * file.stat().st_size)])
    numbers, damage = read(folder)
    assert numbers == list(range(len(numbers))) and len(numbers) > 60 * end - 6
    assert {each.file for each in damage} == {file.name, "metadata.yaml"}
    (counted,) = (each for each in damage if each.file == "metadata.yaml")
    assert counted.messages == 60 - len(numbers)
    assert f"60 messages, but the files contain {len(numbers)}" in counted.text


def test_an_mcap_file_cut_in_its_summary_has_lost_nothing(tmp_path):
    folder = write(tmp_path / "bag", NOTES, StoragePlugin.MCAP)
    file = file_of(folder)
    file.write_bytes(file.read_bytes()[:-50])
    assert read(folder) == (list(range(60)), [])


@pytest.mark.parametrize("filler", [bytes(50_000), None])
def test_an_mcap_file_that_ends_in_what_was_never_written(tmp_path, filler):
    content = mcap(NOTES, chunk=10, closed=False)
    (tmp_path / "bag.mcap").write_bytes(content + (filler or b""))
    numbers, (damage,) = read(tmp_path / "bag.mcap")
    assert numbers == list(range(60))
    assert ("50000 bytes without a complete message" in damage.text) == bool(filler)


@pytest.mark.parametrize("storage", StoragePlugin)
@pytest.mark.parametrize("content", [b"", None, b"\0" * 500], ids=["empty", "cut", "zeros"])
def test_one_bad_file_costs_only_its_own_messages(tmp_path, storage, content):
    folder = splits(tmp_path / "bag", storage)
    bad = folder / f"bag_1.{SUFFIX[storage]}"
    bad.write_bytes(bad.read_bytes()[:60_000] if content is None else content)
    numbers, damage = read(folder)
    inside = numbers[20:-20]
    assert numbers[:20] == list(range(20)) and numbers[-20:] == list(range(40, 60))
    assert inside == list(range(20, 20 + len(inside)))
    assert (len(inside) > 0) == (content is None)
    assert damage[0].file == bad.name or damage[-1].file == bad.name
    assert sum(each.messages or 0 for each in damage) == 20 - len(inside)


def test_a_recording_of_which_nothing_can_be_read_is_refused_with_each_reason(tmp_path):
    (tmp_path / "a_0.db3").touch()
    (tmp_path / "a_1.mcap").write_bytes(b"words")
    with (
        pytest.raises(BagError, match=r"a_0.db3 is empty .*; a_1.mcap is neither"),
        open_bag(tmp_path),
    ):
        pass


# --- files that are damaged inside --------------------------------------------------------------


def test_a_chunk_with_a_wrong_checksum_costs_only_its_own_messages(tmp_path):
    content = bytearray(mcap(NOTES, chunk=10))
    content[len(content) // 2] ^= 1
    (tmp_path / "bag.mcap").write_bytes(content)
    numbers, (damage,) = read(tmp_path / "bag.mcap")
    assert len(numbers) == 50 and "checksum is wrong" in damage.text


def test_a_chunk_that_an_index_knows_is_counted_where_it_is_damaged(tmp_path):
    messages = [(number, "/notes", long_note(number)) for number in range(400)]
    folder = write(tmp_path / "bag", messages, StoragePlugin.MCAP)
    file = file_of(folder)
    content = bytearray(file.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 13_000] = bytes(13_000)
    file.write_bytes(content)
    numbers, damage = read(folder)
    assert damage[0].messages == 400 - len(numbers) > 0


@pytest.mark.parametrize("indexed", [(), ("/notes",), ("/notes", "/more")])
def test_indices_that_are_missing_cost_no_messages(tmp_path, indexed):
    messages = [(number, ("/notes", "/more")[number % 2], each) for number, _, each in NOTES]
    path = tmp_path / "bag.mcap"
    path.write_bytes(mcap(messages, chunk=7, compression="zstd", indexed=indexed))
    assert read(path) == (list(range(60)), [])
    with open_bag(path) as bag:
        assert [bag.topics[topic].count for topic in ("/notes", "/more")] == [30, 30]
        assert len(list(bag.messages(["/more"]))) == 30


def test_messages_outside_chunks_are_read_in_the_order_of_time(tmp_path):
    messages = [(number ^ 1, "/notes", long_note(number ^ 1)) for number in range(40)]
    (tmp_path / "fast.mcap").write_bytes(mcap(messages))
    assert read(tmp_path / "fast.mcap") == (list(range(40)), [])
    with open_bag(tmp_path / "fast.mcap") as bag:
        times = [time for _, _, time, _ in bag.messages(start_ns=START + 5, stop_ns=START + 9)]
    assert times == [START + 5, START + 6, START + 7, START + 8]


@pytest.mark.parametrize("filler", [bytes(4096), None], ids=["zeros", "noise"])
def test_a_malformed_database_is_read_where_it_can_be(tmp_path, filler):
    folder = write(tmp_path / "bag", NOTES)
    file = file_of(folder)
    whole = file.read_bytes()
    for page in range(12, 80, 4):
        noise = filler or RANDOM.randbytes(4096)
        file.write_bytes(whole[: page * 4096] + noise + whole[page * 4096 + 4096 :])
        with open_bag(folder) as bag:
            found = len(list(bag.messages()))
            assert found >= 55
            assert found == 60 or file.name in {each.file for each in bag.damage}


@pytest.mark.parametrize("profile, fault", [("ros1", "of ROS 1"), ("", None)])
def test_the_profile_of_an_mcap_file_matters_only_for_ros_1(tmp_path, profile, fault):
    (tmp_path / "bag.mcap").write_bytes(mcap(NOTES, profile=profile))
    if fault is None:
        assert read(tmp_path / "bag.mcap") == (list(range(60)), [])
    else:
        with pytest.raises(BagError, match=fault), open_bag(tmp_path / "bag.mcap"):
            pass


# --- metadata that does not fit -----------------------------------------------------------------


@pytest.mark.parametrize("storage", StoragePlugin)
@pytest.mark.parametrize(
    "changes",
    [
        {"version": 99},
        {"storage_identifier": ""},
        {"storage_identifier": "other"},
        {"message_count": 3, "files": []},
        {"topics_with_message_count": None},
        {"relative_file_paths": ["old/bag_0.db3", "old/bag_1.db3", "old/bag_2.db3"]},
        {"relative_file_paths": None},
        {"relative_file_paths": ["session_a.db3"]},
        {"starting_time": None, "duration": "long"},
    ],
)
def test_the_files_are_believed_rather_than_metadata(tmp_path, storage, changes):
    folder = splits(tmp_path / "bag", storage)
    edit_metadata(folder, **changes)
    assert read(folder) == (list(range(60)), [])


@pytest.mark.parametrize("text", ["rosbag2_bagfile_information: [", "a: " + "[" * 5000, None])
def test_broken_metadata_is_reported(tmp_path, text):
    folder = splits(tmp_path / "bag", StoragePlugin.MCAP)
    if text is None:
        (folder / "metadata.yaml").unlink()
        (folder / "metadata.yaml").mkdir()
    else:
        (folder / "metadata.yaml").write_text(text)
    numbers, (damage,) = read(folder)
    assert numbers == list(range(60)) and damage.messages == 0
    assert "metadata.yaml cannot be read" in str(damage)


def test_topics_whose_page_is_damaged_cost_their_own_messages(tmp_path):
    folder = write(tmp_path / "bag", [*NOTES[:5], (9, "/other", long_note(9))])
    with sqlite3.connect(file_of(folder)) as database:
        database.execute("UPDATE topics SET name = x'ff00' WHERE name = '/other'")
    numbers, damage = read(folder)
    assert numbers == list(range(5)) and damage[0].messages == 1


def test_more_messages_in_metadata_than_in_the_files_are_reported(tmp_path):
    folder = splits(tmp_path / "bag", StoragePlugin.MCAP)
    edit_metadata(folder, message_count=70)
    numbers, (damage,) = read(folder)
    assert len(numbers) == 60 and damage.messages == 10


def test_a_file_that_is_missing_is_reported_with_its_messages(tmp_path):
    folder = splits(tmp_path / "bag", StoragePlugin.MCAP)
    (folder / "bag_1.mcap").unlink()
    numbers, damage = read(folder)
    assert len(numbers) == 40
    assert damage[0][::2] == ("bag_1.mcap", 20) and "does not exist" in damage[0].text


def test_files_that_were_renamed_are_read(tmp_path):
    folder = splits(tmp_path / "bag", StoragePlugin.SQLITE3)
    for number in range(3):
        (folder / f"bag_{number}.db3").rename(folder / f"drive {number} %20?.db3")
    assert read(folder) == (list(range(60)), [])


def test_files_after_those_that_metadata_names_are_read_others_are_left_out(tmp_path):
    folder = splits(tmp_path / "bag", StoragePlugin.MCAP)
    edit_metadata(folder, relative_file_paths=["bag_0.mcap", "bag_1.mcap"], message_count=40)
    shutil.copy(folder / "bag_0.mcap", folder / "merged.mcap")
    (folder / "._bag_0.mcap").write_bytes(b"Mac OS X")
    numbers, (damage,) = read(folder)
    assert numbers == list(range(60))
    assert damage.file == "merged.mcap" and "is ignored" in damage.text


# --- compression --------------------------------------------------------------------------------


def packed(folder, cut=None):
    """Compress the files as ros2 bag record --compression-mode file does."""
    names = []
    for file in sorted(folder.glob("bag_*")):
        content = zstd.compress(file.read_bytes())
        names.append(f"{file.name}.zstd")
        (folder / names[-1]).write_bytes(content[:cut] if "_1" in file.name else content)
        file.unlink()
    edit_metadata(
        folder,
        relative_file_paths=[f"bag/{name}" for name in names],
        compression_format="ZSTD",
        compression_mode="FILE",
    )
    return folder


@pytest.mark.parametrize("storage", StoragePlugin)
@pytest.mark.parametrize("form", ["with metadata", "without metadata", "unpacked", "both", "file"])
def test_files_compressed_by_the_recorder_are_read(tmp_path, storage, form):
    folder = packed(splits(tmp_path / "bag", storage))
    file = folder / f"bag_1.{SUFFIX[storage]}.zstd"
    if form == "without metadata":
        (folder / "metadata.yaml").unlink()
    if form in ("unpacked", "both"):
        file.with_suffix("").write_bytes(zstd.decompress(file.read_bytes()))
    if form == "unpacked":
        file.unlink()
    if form == "file":
        assert read(file) == (list(range(20, 40)), [])
    else:
        assert read(folder) == (list(range(60)), [])


def test_only_what_has_to_be_decompressed_takes_room_in_the_temporary_folder(
    tmp_path, monkeypatch
):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    folder = splits(tmp_path / "bag", StoragePlugin.MCAP)
    with open_bag(folder):
        assert not list(temporary.iterdir())
    with open_bag(packed(folder)):
        assert len(list(temporary.glob("concerto_ros_bag_*/*"))) == 3
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("storage", StoragePlugin)
def test_a_compressed_file_that_is_cut_short_is_read_as_far_as_it_goes(tmp_path, storage):
    folder = packed(splits(tmp_path / "bag", storage), cut=-100)
    numbers, damage = read(folder)
    assert 40 <= len(numbers) < 60
    assert damage[0].file.startswith("bag_1") and "is cut short" in damage[0].text
    assert sum(each.messages or 0 for each in damage) == 60 - len(numbers)


@pytest.mark.parametrize("storage", StoragePlugin)
@pytest.mark.parametrize("metadata", [True, False])
def test_messages_compressed_by_the_recorder_are_read(tmp_path, storage, metadata):
    folder = tmp_path / "bag"
    writer = Writer(folder, version=9, storage_plugin=storage)
    writer.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/notes", "std_msgs/msg/String", typestore=STORE)
        for number, _, message in NOTES:
            raw = STORE.serialize_cdr(message, "std_msgs/msg/String")
            writer.write(connection, START + number, raw)
    if not metadata:
        (folder / "metadata.yaml").unlink()
    assert read(folder) == (list(range(60)), [])


def test_another_compression_is_refused_with_a_reason(tmp_path):
    folder = splits(tmp_path / "bag", StoragePlugin.MCAP)
    edit_metadata(folder, compression_format="bz2", compression_mode="message")
    with (
        pytest.raises(BagError, match="compression_format: got bz2, expected zstd"),
        open_bag(folder),
    ):
        pass


# --- quality of service -------------------------------------------------------------------------

#: As the recorders of Humble and of Jazzy write it.
PROFILE = {
    "history": 3,
    "depth": 0,
    "reliability": 1,
    "durability": 1,
    "deadline": {"sec": 9223372036, "nsec": 854775807},
    "lifespan": {"sec": 9223372036, "nsec": 854775807},
    "liveliness": 1,
    "liveliness_lease_duration": {"sec": 9223372036, "nsec": 854775807},
    "avoid_ros_namespace_conventions": False,
}
NAMED = PROFILE | {
    "history": "unknown",
    "reliability": "reliable",
    "durability": "transient_local",
    "liveliness": "automatic",
}


@pytest.mark.parametrize("storage", StoragePlugin)
@pytest.mark.parametrize(
    "profiles", [[NAMED], yaml.safe_dump([NAMED]), [PROFILE], yaml.safe_dump([PROFILE])]
)
def test_quality_of_service_is_read_in_every_form(tmp_path, storage, profiles):
    folder = write(tmp_path / "bag", NOTES, storage)
    content = yaml.safe_load((folder / "metadata.yaml").read_text())
    topics = content["rosbag2_bagfile_information"]["topics_with_message_count"]
    topics[0]["topic_metadata"]["offered_qos_profiles"] = profiles
    (folder / "metadata.yaml").write_text(yaml.safe_dump(content))
    with open_bag(folder) as bag:
        ((profile,),) = (each.ext.offered_qos_profiles for each in bag.connections)
        assert profile.durability.name == "TRANSIENT_LOCAL"


@pytest.mark.parametrize("storage", StoragePlugin)
def test_quality_of_service_is_read_from_the_file_without_metadata(tmp_path, storage):
    folder = tmp_path / "bag"
    with Writer(folder, version=9, storage_plugin=storage) as writer:
        connection = writer.add_connection(
            "/notes",
            "std_msgs/msg/String",
            typestore=STORE,
            offered_qos_profiles=[quality(latched=True)],
        )
        writer.write(connection, 1, STORE.serialize_cdr(note("1"), "std_msgs/msg/String"))
    (folder / "metadata.yaml").unlink()
    with open_bag(folder) as bag:
        ((profile,),) = (each.ext.offered_qos_profiles for each in bag.connections)
        assert profile.durability.name == "TRANSIENT_LOCAL"
