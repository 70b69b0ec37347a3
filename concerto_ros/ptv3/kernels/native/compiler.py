# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The C++ compiler of this machine, and shared libraries that it makes for this CPU."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import signal
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

#: Tried in this order where the environment variable CXX names none.
NAMES = ("c++", "g++", "clang++")

#: Without -ffast-math: what is not a number must stay so. The kernels read two bfloat16 numbers as
#: one word, hence -fno-strict-aliasing.
FLAGS = (
    "-O3",
    "-std=c++17",
    "-fno-math-errno",
    "-fno-strict-aliasing",
    "-fPIC",
    "-pthread",
)

#: Options by which compilers are told to make use of all that this CPU can do: the second where
#: a compiler refuses the first.
ARCHITECTURES = ("-march=native", "-mcpu=native")

#: How long a compiler may take, seconds.
TIME_LIMIT = 120.0

#: More of what a compiler says is not read, bytes.
_SAID = 1 << 16

#: Lines of /proc/cpuinfo that tell CPUs of different abilities apart, on x86 and on ARM.
_ABILITIES = {
    "cpu family",
    "flags",
    "model",
    "model name",
    "stepping",
    "vendor_id",
    "CPU architecture",
    "CPU implementer",
    "CPU part",
    "CPU revision",
    "CPU variant",
    "Features",
}


class CompilerError(Exception):
    """There is no compiler, or it does not compile; the text says why and what to do."""


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler.

    Attributes:
        command: the program, by its absolute path, and its first arguments.
        version: all that it says about its version.
    """

    command: tuple[str, ...]
    version: str

    @property
    def name(self) -> str:
        """Its name and version in one line."""
        return self.version.partition("\n")[0]

    def compile(
        self, sources: Sequence[Path], library: Path, architectures: Sequence[str] = ARCHITECTURES
    ) -> None:
        """Compile sources into one shared library, as many at once as there are cores.

        Args:
            sources: C++ files of different names.
            library: the file to write, in a folder that also takes the compiler's own files.
            architectures: options that name the CPU to compile for, the first that the compiler
                does not refuse.

        Raises:
            CompilerError: it fails, hangs or writes nothing.
        """
        objects = [library.parent / f"{source.stem}.o" for source in sources]
        for architecture in architectures:
            command = (*self.command, *FLAGS, architecture)
            steps = [
                (*command, "-c", "-o", str(made), str(source))
                for made, source in zip(objects, sources, strict=True)
            ]
            with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
                ends = list(pool.map(lambda step: run(step, library.parent), steps))
            status, said = next((end for end in ends if end[0]), ends[0])
            if status == 0:
                link = (*command, "-shared", "-o", str(library), *map(str, objects))
                status, said = run(link, library.parent)
            if status == 0 and library.is_file():
                return
            if "-march" not in said and "-mcpu" not in said:
                break
        raise CompilerError(
            f"{self.name} cannot compile them ({_error(said) or f'exit status {status}'}): install"
            " a newer compiler, or name another one by the environment variable CXX"
        )


def find_compiler(scratch: Path) -> Compiler:
    """Return the compiler that the environment variable CXX names, or else the first on PATH.

    Args:
        scratch: as :func:`run`.

    Raises:
        CompilerError: there is none, or it does not tell its version.
    """
    named = os.environ.get("CXX")
    try:
        first, *arguments = shlex.split(named or "") or [""]
    except ValueError as error:
        raise CompilerError(f"the environment variable CXX is {named!r}: {error}") from None
    for name in [first] if first else NAMES:
        path = shutil.which(name)
        if path is not None:
            break
    else:
        if first:
            raise CompilerError(
                f"the environment variable CXX is {named!r}, which is no program here: unset it,"
                " or let it name a C++ compiler"
            )
        raise CompilerError(
            f"there is no C++ compiler ({', '.join(NAMES)}) on PATH: install one, on Debian and"
            " Ubuntu by apt install g++"
        )
    command = (os.path.abspath(path), *arguments)
    status, said = run((*command, "--version"), scratch)
    if status or not said.strip():
        raise CompilerError(
            f"{shlex.join(command)} does not tell its version ({_error(said) or status}): name"
            " another C++ compiler by the environment variable CXX"
        )
    return Compiler(command, said.strip())


def this_cpu() -> str:
    """Return a text that is another one on a CPU that cannot execute the same instructions."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    # Of all cores, which need not be of one kind; each kind once.
    lines = (line.partition(":") for line in text.splitlines())
    abilities = {
        f"{name.strip()}:{value}" for name, _, value in lines if name.strip() in _ABILITIES
    }
    return "\n".join([platform.machine(), *(sorted(abilities) or [platform.node()])])


def run(command: Sequence[str], scratch: Path) -> tuple[int, str]:
    """Run a compiler, without a shell.

    Args:
        command: the program and its arguments.
        scratch: a folder for its temporary files and for what it says.

    Returns:
        Its exit status and what it said, in English.

    Raises:
        CompilerError: it cannot be started, or takes longer than :data:`TIME_LIMIT`.
    """
    environment = {**os.environ, "LC_ALL": "C", "TMPDIR": str(scratch)}
    name = shlex.quote(command[0])
    # Into a file: a pipe would be held open by the compiler's own children, should they hang.
    with TemporaryFile(dir=scratch) as said:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=environment,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise CompilerError(
                f"{name} cannot be run ({error}): name another C++ compiler by the environment"
                " variable CXX"
            ) from None
        try:
            status = process.wait(TIME_LIMIT)
        except subprocess.TimeoutExpired:
            raise CompilerError(
                f"{name} did not end within {TIME_LIMIT:g} s: try again on a less busy machine, or"
                " name another C++ compiler by the environment variable CXX"
            ) from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):  # it has just ended
                    os.killpg(process.pid, signal.SIGKILL)  # its children, too
                process.wait()
        said.seek(0)
        return status, said.read(_SAID).decode(errors="replace")


def _error(said: str) -> str:
    """Return the first line of what a compiler said that names an error."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[0] if lines else "")
