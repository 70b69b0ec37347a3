# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The library of the CPU kernels: compiled once, loaded if only this user can have written it."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import sys
import threading
import time
from functools import cache
from pathlib import Path

import pytest

from concerto_ros.ptv3.kernels.native import compiler, library
from concerto_ros.ptv3.kernels.native.compiler import CompilerError, find_compiler, this_cpu

SOURCE = """
extern "C" int answer(int x) { return x + %d; }
extern "C" double none() { return __builtin_nan(""); }
extern "C" bool is_none(double x) { return x != x; }
"""

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, compiler.NAMES)), reason="there is no C++ compiler here"
)
not_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has not asked for the library yet, with small sources and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv(library.SWITCH, raising=False)
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "answer.cpp").write_text(SOURCE % 41)
    monkeypatch.setattr(library, "SOURCES", tmp_path / "sources")
    forget(monkeypatch)


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process one that has not asked for the library yet."""
    monkeypatch.setattr(library, "_find", cache(library._find.__wrapped__))


def program(path: Path, script: str) -> str:
    """Write a program that can be run; its path."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def compiler_that(path: Path, script: str) -> str:
    """A compiler that tells its version and then does something; ``$out`` is its result."""
    find = 'while [ "$1" != -o ]; do shift; done; out=$2'
    version = '[ "$1" = --version ] && { echo "odd 1.0"; exit 0; }'
    return program(path, f"{version}\n{find}\n{script}")


def kept(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "concerto_ros" / "native").glob("*"))


def left_behind(tmp_path: Path) -> list[Path]:
    return list(tmp_path.glob("concerto_ros-*"))


@needs_compiler
def test_it_is_compiled_once_and_then_loaded(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    found = library.library()
    assert found.answer(1) == 42 and library.why_not() == ""
    assert library.library() is found
    before, after = [record.getMessage() for record in caplog.records]
    assert "once on this machine" in before
    assert find_compiler(tmp_path).name in after and " s" in after
    caplog.clear()

    forget(monkeypatch)
    monkeypatch.setattr(compiler.Compiler, "compile", None)
    assert library.library().answer(2) == 43 and not caplog.records
    (file,) = kept(tmp_path)
    assert file.suffix == ".so" and file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert not left_behind(tmp_path)


@needs_compiler
def test_sources_are_compiled_at_the_same_time_and_linked(tmp_path, monkeypatch):
    """Each waits until the compiler of the other has started."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    (tmp_path / "sources" / "answer.cpp").write_text(
        'int other(); extern "C" int answer(int x) { return x + other(); }'
    )
    (tmp_path / "sources" / "other.cpp").write_text("int other() { return 41; }")
    real = find_compiler(tmp_path).command[0]
    meet = f"""case "$*" in
*answer.cpp*) touch {tmp_path}/answer; until [ -e {tmp_path}/other ]; do sleep 0.01; done;;
*other.cpp*) touch {tmp_path}/other; until [ -e {tmp_path}/answer ]; do sleep 0.01; done;;
esac"""
    monkeypatch.setenv("CXX", program(tmp_path / "meeting", f'{meet}\nexec {real} "$@"'))
    assert library.library().answer(1) == 42


@needs_compiler
def test_what_is_not_a_number_stays_so():
    found = library.library()
    found.none.restype = library.ctypes.c_double
    found.is_none.argtypes = [library.ctypes.c_double]
    found.is_none.restype = library.ctypes.c_bool
    assert found.is_none(found.none())


@needs_compiler
@pytest.mark.parametrize("changed", ["source", "header", "cpu", "compiler"])
def test_another_library_is_compiled_where_something_else_was_compiled(
    changed, tmp_path, monkeypatch
):
    assert library.library().answer(1) == 42
    if changed == "source":
        (tmp_path / "sources" / "answer.cpp").write_text(SOURCE % 1)
    elif changed == "header":
        (tmp_path / "sources" / "new.h").write_text("")
    elif changed == "cpu":
        monkeypatch.setattr(library, "this_cpu", lambda: "another")
    else:
        (tmp_path / "c++").symlink_to(find_compiler(tmp_path).command[0])
        monkeypatch.setenv("CXX", str(tmp_path / "c++"))
    forget(monkeypatch)
    assert library.library().answer(1) == (2 if changed == "source" else 42)
    assert len(kept(tmp_path)) == 2


def test_a_cpu_is_told_by_its_model_and_by_what_it_can_do():
    assert this_cpu() == this_cpu()
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    (abilities,) = {line for line in text.splitlines() if line.startswith(("flags", "Features"))}
    assert abilities.partition(":")[2] in this_cpu()
    assert "MHz" not in this_cpu() and "processor" not in this_cpu()


@needs_compiler
def test_it_can_be_compiled_for_another_cpu():
    assert (
        library.load(library.SOURCES, ["-march=armv8-a", "-march=x86-64", "-O1"]).answer(1) == 42
    )


@needs_compiler
def test_the_other_option_is_taken_where_a_compiler_refuses_the_first(tmp_path, monkeypatch):
    real = find_compiler(tmp_path).command[0]
    refuse = 'case "$*" in *-march=native*) echo "error: bad -march" >&2; exit 1;; esac'
    strict = program(
        tmp_path / "strict",
        f'{refuse}\nexec {real} "$@"',
    )
    monkeypatch.setenv("CXX", strict)
    assert library.library().answer(1) == 42


@needs_compiler
def test_arguments_of_cxx_are_given_to_the_compiler(tmp_path, monkeypatch):
    real = find_compiler(tmp_path).command[0]
    (tmp_path / "sources" / "answer.cpp").write_text('extern "C" int answer(int) { return TOLD; }')
    monkeypatch.setenv("CXX", f"{real} -DTOLD='5 + 1'")
    assert library.library().answer(1) == 6


@needs_compiler
@pytest.mark.parametrize("content", [b"", b"\x7fELF", None])
def test_a_damaged_library_is_compiled_again(content, tmp_path, monkeypatch):
    assert library.library().answer(1) == 42
    (file,) = kept(tmp_path)
    half = file.read_bytes()[: file.stat().st_size // 2]
    file.unlink()  # this process may still use it
    file.write_bytes(half if content is None else content)
    file.chmod(0o600)
    forget(monkeypatch)
    assert library.library().answer(1) == 42
    assert kept(tmp_path) == [file] and file.stat().st_size > len(half)


@needs_compiler
@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_library_that_others_could_write_is_compiled_again(mode, tmp_path, monkeypatch):
    library.library()
    (file,) = kept(tmp_path)
    file.chmod(mode)
    forget(monkeypatch)
    assert library.library().answer(1) == 42
    assert file.stat().st_mode & 0o777 == 0o600


@needs_compiler
@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_folder_that_others_can_write_is_not_used(mode, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    folder = tmp_path / "cache" / "concerto_ros" / "native"
    folder.mkdir(parents=True)
    folder.chmod(mode)
    assert library.library().answer(1) == 42
    assert "can be written by other users" in caplog.text
    assert kept(tmp_path) == [] and not left_behind(tmp_path)


@needs_compiler
def test_a_folder_of_another_user_is_not_used(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    library.library()
    forget(monkeypatch)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    monkeypatch.setattr(library, "_keep", None)
    assert library.library().answer(1) == 42
    assert "belongs to another user" in caplog.text


@needs_compiler
def test_it_is_loaded_from_a_temporary_folder_where_the_cache_cannot_be_written(
    tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert library.library().answer(1) == 42 and not left_behind(tmp_path)


@not_root
@needs_compiler
def test_a_read_only_cache_serves_what_it_has(tmp_path, monkeypatch):
    library.library()
    folder = kept(tmp_path)[0].parent
    monkeypatch.setattr(compiler.Compiler, "compile", None)
    forget(monkeypatch)
    folder.chmod(0o500)
    try:
        assert library.library().answer(1) == 42
    finally:
        folder.chmod(0o700)


@needs_compiler
def test_a_user_without_a_home_folder_has_the_library_too(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # KeyError: no such user
    assert library.library().answer(1) == 42


@needs_compiler
def test_old_libraries_are_removed_when_another_one_is_kept(tmp_path, monkeypatch):
    library.library()
    (old,) = kept(tmp_path)
    (old.parent / "folder").mkdir()
    young = old.with_name("young.so")
    young.write_bytes(b"")
    month_ago = time.time() - 31 * 86400
    for path in (old, old.parent / "folder"):
        os.utime(path, (month_ago, month_ago))
    (tmp_path / "sources" / "answer.cpp").write_text(SOURCE % 1)
    forget(monkeypatch)
    assert library.library().answer(1) == 2
    assert old not in kept(tmp_path) and {young, old.parent / "folder"} < set(kept(tmp_path))


@needs_compiler
def test_threads_that_ask_at_once_compile_once(monkeypatch):
    calls = []
    compile_it = compiler.Compiler.compile
    monkeypatch.setattr(
        compiler.Compiler,
        "compile",
        lambda *arguments: (calls.append(1), compile_it(*arguments)),
    )
    found = []
    threads = [threading.Thread(target=lambda: found.append(library.library())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1] and found == [library.library()] * 4


def ask(answer) -> None:
    answer.send(library.library().answer(1))


@needs_compiler
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_process_that_is_forked_while_it_is_compiled_has_it_too(tmp_path):
    fork = multiprocessing.get_context("fork")
    answers, children = [], []
    with library._lock:  # as a thread holds it that compiles
        for _ in range(2):
            answer, sent = fork.Pipe(duplex=False)
            answers.append(answer)
            children.append(fork.Process(target=ask, args=(sent,)))
            children[-1].start()
        assert all(answer.poll(60) and answer.recv() == 42 for answer in answers)
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert len(kept(tmp_path)) == 1 and not left_behind(tmp_path)


def reason(caplog) -> str:
    """Why there is no library, which must have been said once."""
    caplog.set_level(logging.INFO)
    assert library.library() is None
    why = library.why_not()
    (record,) = [entry for entry in caplog.records if entry.levelno > logging.INFO]
    assert record.levelno == logging.WARNING and why in record.getMessage()
    assert why and "\n" not in why
    return why


def test_no_compiler_is_a_reason_that_says_what_to_install(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt install g++" in reason(caplog)
    assert kept(tmp_path) == [] and not left_behind(tmp_path)


@pytest.mark.parametrize(
    "name, expected",
    [("no-such-compiler", "no program here"), ("'unclosed", "No closing quotation")],
)
def test_a_cxx_that_is_no_program_is_a_reason(name, expected, monkeypatch, caplog):
    monkeypatch.setenv("CXX", name)
    why = reason(caplog)
    assert "CXX" in why and name in why and expected in why


@pytest.mark.parametrize(
    "script, expected",
    [
        ("exit 3", "does not tell its version (3)"),
        ("echo wrong licence >&2; exit 1", "(wrong licence)"),
        ("exit 0", "does not tell its version"),
    ],
)
def test_a_compiler_that_does_not_tell_its_version_is_a_reason(
    script, expected, tmp_path, monkeypatch, caplog
):
    monkeypatch.setenv("CXX", program(tmp_path / "odd", script))
    assert expected in reason(caplog)


def test_a_program_of_another_machine_is_a_reason(tmp_path, monkeypatch, caplog):
    (tmp_path / "odd").write_bytes(b"\x7fELF of nothing")
    (tmp_path / "odd").chmod(0o755)
    monkeypatch.setenv("CXX", str(tmp_path / "odd"))
    assert "cannot be run" in reason(caplog)


@pytest.mark.parametrize(
    "script, expected",
    [
        (
            "echo In file included; echo 'a.cpp:1: error: what' >&2; exit 1",
            "(a.cpp:1: error: what)",
        ),
        ("exit 7", "exit status 7"),
        ("kill -9 $$", "exit status -9"),
        ("exit 0", "odd 1.0 cannot compile them"),
        ("printf '\\377\\376 error' >&2; exit 1", "error"),
        ("echo nonsense > $out", "cannot be loaded"),
        (": > $out", "cannot be loaded"),
        ("cp /bin/true $out; printf X | dd of=$out conv=notrunc 2> /dev/null", "cannot be loaded"),
    ],
)
def test_a_compiler_that_fails_is_a_reason(script, expected, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("CXX", compiler_that(tmp_path / "odd", script))
    caplog.set_level(logging.INFO)
    assert library.library() is None
    assert expected in library.why_not() and "CXX" in library.why_not()
    assert [record.levelno for record in caplog.records].count(logging.WARNING) == 1
    assert not left_behind(tmp_path)


@pytest.mark.parametrize("when", ["version", "compile"])
def test_a_compiler_that_hangs_is_ended_with_its_children(when, tmp_path, monkeypatch, caplog):
    hang = f"sleep 100 & echo $! > {tmp_path}/child; wait"
    script = program(tmp_path / "odd", hang)
    if when == "compile":
        script = compiler_that(tmp_path / "odd", hang)
    monkeypatch.setenv("CXX", script)
    monkeypatch.setattr(compiler, "TIME_LIMIT", 0.5)
    assert "did not end within 0.5 s" in reason(caplog)
    child = Path("/proc") / (tmp_path / "child").read_text().strip() / "stat"
    # Gone, or dead and not yet waited for by whoever inherited it.
    end = time.monotonic() + 10
    while child.exists() and child.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < end, "the compiler's child still runs"
        time.sleep(0.01)


def test_an_installation_without_sources_is_a_reason(tmp_path, caplog):
    shutil.rmtree(tmp_path / "sources")
    assert "install the package again" in reason(caplog)


def test_no_folder_for_temporary_files_is_a_reason(monkeypatch, caplog):
    def nowhere():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("concerto_ros.files.scratch_folder.gettempdir", nowhere)
    why = reason(caplog)
    assert "TMPDIR" in why and "No usable temporary directory" in why


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_another_system_than_linux_is_a_reason(platform, monkeypatch, caplog):
    monkeypatch.setattr(sys, "platform", platform)
    assert f"this is {platform}" in reason(caplog)


def test_it_can_be_turned_off_without_a_warning(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setenv(library.SWITCH, "0")
    assert library.library() is None
    assert f"{library.SWITCH}=0" in library.why_not()
    assert not caplog.records and not (tmp_path / "cache").exists()


@needs_compiler
def test_the_switch_takes_nothing_but_0_and_1(monkeypatch, caplog):
    monkeypatch.setenv(library.SWITCH, "1")
    assert library.why_not() == ""
    forget(monkeypatch)
    monkeypatch.setenv(library.SWITCH, "off")
    assert "'off', expected 0 or 1" in reason(caplog)


def test_the_compiler_error_is_raised_by_who_asks_for_a_library_of_its_own(tmp_path):
    with pytest.raises(CompilerError, match="no sources"):
        library.load(tmp_path / "nowhere")
