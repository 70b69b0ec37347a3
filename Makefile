# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
#
# Everything without a ROS 2 installation: ROS 2 Jazzy itself comes from pip, into .venv.
# On a ROS 2 machine, `colcon build` reads CMakeLists.txt and none of this.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# The first of these that is Python 3.11 or 3.12.
PYTHON ?= $(shell for name in python3.12 python3.11 python3; do \
	$$name -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' \
	> /dev/null 2>&1 && command -v $$name && break; done)
# More options for pip, e.g. --extra-index-url <address of PyTorch's CPU wheels>: a machine
# without an NVIDIA GPU then gets the small build of torch instead of PyPI's with CUDA (3 GB).
PIP_ARGS ?=
# More options for pytest, e.g. -k launch; -n 0 runs the tests in one process.
PYTEST_ARGS ?=
# More options for the benchmarks, e.g. --full.
BENCH_ARGS ?=
# More options for the check of a GPU, e.g. --only encoder.
GPU_CHECK_ARGS ?=
# How long each part of `make soak` runs.
MINUTES ?= 10
# A rosbag2 folder or .mcap file for `make demo` and `make soak`; a simulated robot where empty.
BAG ?=
# Where `make demo` shows it meanwhile: web (a browser) or window; nowhere where empty.
VIEW ?=

VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps

# ROS 2 of this environment alone: nothing of another one may leak in from the calling shell.
unexport PYTHONPATH PYTHONHOME LD_LIBRARY_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE
unexport COLCON_PREFIX_PATH ROS_DISTRO ROS_VERSION ROS_PYTHON_VERSION RMW_IMPLEMENTATION
export AMENT_PREFIX_PATH := $(VENV)
export CMAKE_PREFIX_PATH := $(VENV)
export PATH := $(BIN):$(PATH)
export VIRTUAL_ENV := $(VENV)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help:
	@echo "make demo [BAG=path] [VIEW=web]  run a simulated robot (or your bag) through the node, pictures in out/demo"
	@echo "make test             the whole test suite"
	@echo "make nightly          the fault tests with many more cases, results in out/reliability"
	@echo "make soak [MINUTES=] [BAG=path]  the node beside sensors, then with a recording, ten minutes each, results in out/soak"
	@echo "make reliability      write these results into docs/reliability.md"
	@echo "make docs             the documentation as a website, in out/docs"
	@echo "make reference        write the tables in docs/ that come from the code"
	@echo "make words            write the table of words that comes with the package"
	@echo "make lint             ruff, types, docstrings, import rules, dead code, ROS, CMake and C++ files, workflows"
	@echo "make bench            times and memory of encoder and node, results in out/bench"
	@echo "make gpu-check        is all right on this machine's GPU, how fast, does memory grow, results in out/gpu-check"
	@echo "make setup            only set up .venv: ROS 2, PyTorch, Open3D, the messages and this package"
	@echo "make clean            remove .venv and all build results"

# --- set-up -----------------------------------------------------------------------------------

.PHONY: setup
setup: $(STAMPS)/messages

$(STAMPS)/venv:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or 3.12 is needed (ROS 2 Jazzy's wheels exist for these); name one: make setup PYTHON=/path/to/python3.12" >&2; exit 1; }
	@PATH="$${PATH#$(BIN):}" tools/system_packages.sh "$(PYTHON)"
	[ -x $(BIN)/python ] || PATH="$${PATH#$(BIN):}" "$(PYTHON)" -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

# setuptools first: the build of this package uses the one of the environment, which colcon
# wants older than 80, instead of downloading another.
$(STAMPS)/packages: constraints.txt pyproject.toml setup.py package.xml | $(STAMPS)/venv
	$(BIN)/python -m pip install -q $(PIP_ARGS) -c constraints.txt setuptools
	$(BIN)/python -m pip install -q $(PIP_ARGS) -c constraints.txt --no-build-isolation \
		-e '.[build,docs,e57,images,las,lint,mesh,objects,onnx,ray,ros,test,train,view,words]'
	@touch $@

BUILD_MESSAGES = cmake -S $(1) -B $(VENV)/build/$(2) $(3) \
		-DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=$(VENV) -DCMAKE_INSTALL_MESSAGE=NEVER \
		-DAMENT_CMAKE_SYMLINK_INSTALL=ON -DBUILD_TESTING=OFF \
		-DPython3_EXECUTABLE=$(BIN)/python -DPython3_FIND_VIRTUALENV=ONLY > $(VENV)/build/$(2).log 2>&1 \
	&& cmake --build $(VENV)/build/$(2) --parallel >> $(VENV)/build/$(2).log 2>&1 \
	&& (cd $(VENV)/build/$(2) && cmake --install . >> ../$(2).log 2>&1) \
	|| { cat $(VENV)/build/$(2).log; exit 1; }

# Packages of their own names, which the wheels of ROS 2 lack; see cmake/tf2_msgs/COLCON_IGNORE.
LACKING := tf2_msgs vision_msgs
$(LACKING:%=$(STAMPS)/%): $(STAMPS)/%: $(wildcard cmake/*.cmake cmake/*/* cmake/*/msg/*) \
		| $(STAMPS)/packages
	@echo "Building $*"
	@rm -rf $(VENV)/build/$* && mkdir -p $(VENV)/build
	@$(call BUILD_MESSAGES,cmake/$*,$*)
	@touch $@

# Source files are served live by the editable install; the shipped files are links. So only a
# new name, a changed message or a changed rule needs another run.
SHIPPED := $(shell find config launch rviz scripts -type f -not -path '*/__pycache__/*' | sort)
NAMES := $(VENV)/build/shipped_names
ifneq ($(shell cat $(NAMES) 2> /dev/null),$(SHIPPED))
.PHONY: $(STAMPS)/messages
endif
$(STAMPS)/messages: $(STAMPS)/packages $(LACKING:%=$(STAMPS)/%) CMakeLists.txt package.xml \
		$(wildcard cmake/*.cmake msg/*.msg srv/*.srv scripts/*)
	@echo "Building concerto_ros's messages"
	@$(call BUILD_MESSAGES,.,concerto_ros,-DCONCERTO_ROS_INSTALL_MODULE=OFF)
	@echo "$(SHIPPED)" > $(NAMES)
	@touch $@

# --- commands ---------------------------------------------------------------------------------

.PHONY: demo
demo: setup
	$(BIN)/concerto-ros demo $(if $(BAG),--bag "$(BAG)") $(if $(VIEW),--view "$(VIEW)")

.PHONY: test
test: setup
	$(BIN)/python -m pytest -q -n 2 --dist loadfile $(PYTEST_ARGS) test

.PHONY: nightly
nightly: setup
	$(BIN)/python -m pytest -q -m fault --nightly --faults out/reliability/faults.json \
		$(PYTEST_ARGS) test

.PHONY: soak
soak: setup
	$(BIN)/python -m benchmarks.soak --minutes $(MINUTES) $(if $(BAG),--bag "$(BAG)")

RELIABILITY = $(foreach part,faults soak recording,$(addprefix --$(part) ,$(wildcard out/*/$(part).json)))
.PHONY: reliability
reliability: setup
	$(BIN)/python tools/reliability.py $(RELIABILITY)

.PHONY: lint
lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/vulture
	$(BIN)/interrogate concerto_ros
	$(BIN)/python tools/check_ros_files.py
	$(BIN)/zizmor --offline --quiet .github/workflows

# Warnings are errors: a reference that leads nowhere, a table that the code has outgrown.
.PHONY: docs
docs: setup
	$(BIN)/python tools/reference --check
	$(BIN)/python -m sphinx -q -E -W --keep-going -b html docs out/docs
	@echo "wrote out/docs/index.html"

.PHONY: reference
reference: setup
	$(BIN)/python tools/reference

# After a change of the lists of words, in config/ and of the language head.
.PHONY: words
words: setup
	$(BIN)/python tools/word_table.py

.PHONY: bench
bench: setup
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

.PHONY: gpu-check
gpu-check: setup
	$(BIN)/python -m benchmarks.gpu_check $(GPU_CHECK_ARGS)

.PHONY: clean
clean:
	rm -rf .venv build install log out .pytest_cache .ruff_cache .hypothesis concerto_ros.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
