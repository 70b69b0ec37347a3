# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks files as ament's linters do, apart from Python, with tools that pip can install.

package.xml by the parser of colcon and rosdep (as ament_xmllint), CMake files by cmakelint with
ament_lint_cmake's settings, C++ files by clang-format, the transport profile by the schema of the
installed Fast DDS, YAML files by a parser, and the licence line of every source file (as
ament_copyright).
Prints one line for each finding; exit status 1 when there is any.
"""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import xmlschema
import yaml
from catkin_pkg.package import InvalidPackage, parse_package

ROOT = Path(__file__).resolve().parents[1]

COPYRIGHT = "Copyright 2026 concerto_ros contributors"
LICENCE = "SPDX-License-Identifier: Apache-2.0"


def tracked(*patterns: str) -> list[Path]:
    """Files that match a pattern and are tracked by git or new."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = (ROOT / line for line in listing.stdout.splitlines())
    return [path for path in paths if path.is_file()]


def package_manifests() -> Iterator[str]:
    """Check package.xml against REP-149."""
    for path in tracked("package.xml", "**/package.xml"):
        found: list[str] = []
        try:
            parse_package(str(path), warnings=found)
        except InvalidPackage as error:
            found.append(str(error))
        yield from found


def cmake_files() -> Iterator[str]:
    """Check spelling and spacing of CMake commands."""
    paths = tracked("CMakeLists.txt", "**/CMakeLists.txt", "**/*.cmake")
    filters = "-convention/filename,-linelength,-package/consistency"
    result = subprocess.run(
        [
            Path(sys.executable).with_name("cmakelint"),
            "--config=None",
            f"--filter={filters}",
            *paths,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    yield from (line for line in result.stdout.splitlines() if line.startswith(str(ROOT)))


def cpp_files() -> Iterator[str]:
    """Check the format of C++ files."""
    paths = tracked("*.cpp", "*.h")
    result = subprocess.run(
        [Path(sys.executable).with_name("clang-format"), "--dry-run", "--Werror", *paths],
        capture_output=True,
        text=True,
        check=False,
    )
    yield from (line for line in result.stderr.splitlines() if line.startswith(str(ROOT)))


def transport_profile() -> Iterator[str]:
    """Check the Fast DDS profile against the schema that comes with Fast DDS."""
    path = ROOT / "config" / "fastdds.xml"
    schema = Path(sys.prefix) / "share" / "fastRTPS_profiles.xsd"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        errors = xmlschema.XMLSchema(str(schema)).iter_errors(str(path))
        yield from (f"{path}: {error.path}: {error.reason}" for error in errors)


def yaml_files() -> Iterator[str]:
    """Parse parameter files, label sets, the RViz config, and what GitHub reads."""
    for path in tracked("*.yaml", "*.yml", "*.cff", "*.rviz"):
        try:
            list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
        except yaml.YAMLError as error:
            yield f"{path}: {error}"


def licence_lines() -> Iterator[str]:
    """Check copyright and licence at the top of every source file."""
    sources = ("*.py", "*.cpp", "*.h", "CMakeLists.txt", "*.cmake", "*.sh", "scripts/*")
    for path in tracked(*sources, "Makefile", ".ci/run"):
        head = "\n".join(path.read_text(encoding="utf-8").splitlines()[:4])
        if COPYRIGHT not in head or LICENCE not in head:
            yield f"{path}: expected {COPYRIGHT!r} and {LICENCE!r} in the first lines"


def main() -> int:
    """Run every check."""
    checks = (
        package_manifests,
        cmake_files,
        cpp_files,
        transport_profile,
        yaml_files,
        licence_lines,
    )
    findings = [finding for check in checks for finding in check()]
    for finding in findings:
        print(finding)
    print(f"{len(checks)} checks of ROS, CMake, C++, XML and YAML files: {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
