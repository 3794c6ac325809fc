# make test | demo | setup | test-slow | test-stress | test-sanitize | test-bazel | docs | wheel | lint |
#      ask | clean
# make test-aarch64 | fuzz | fuzz-python | fuzz-api | fuzz-cc | ablations-smoke | test-gpu |
#      gpu-bundle | gpu-benchmark
#
# Each of them prepares what it needs in .venv; a second call installs nothing.
# Needs Python 3.11, 3.12 or 3.13 and a C++17 compiler.

PYTHON ?= $(firstword $(foreach minor,11 12 13,$(shell command -v python3.$(minor))) python3.11)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
OP := realm_tf/_realm_ops.so
OP_SOURCES := $(wildcard ops/*/*.h ops/*/*.cc ops/*/*.cu) ops/sources.bzl setup.py

.PHONY: setup test test-cc test-aarch64 test-slow test-stress test-sanitize test-bazel fuzz fuzz-python \
  fuzz-api fuzz-cc ablations-smoke test-gpu gpu-bundle gpu-benchmark demo ask docs wheel lint clean

setup: $(OP) $(VENV)/package.stamp
	@:

$(VENV)/packages.stamp: requirements.lock
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) is missing: install Python 3.11, 3.12 or 3.13, or say" \
	    "make PYTHON=/path/to/it" >&2; exit 2; }
	@echo "Installing packages into $(VENV) (the first time: some minutes, 3 GB) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install -r requirements.lock
	@touch $@

$(OP): $(OP_SOURCES) $(VENV)/packages.stamp
	@echo "Compiling the ops (about a minute) ..."
	@$(BIN)/python setup.py --quiet build_ext --inplace
	@touch $@

# The package is installed from where it lies: edits need no second installation.
$(VENV)/package.stamp: pyproject.toml setup.py $(VENV)/packages.stamp | $(OP)
	@echo "Installing realm_tf ..."
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@ && echo "Set up: $(BIN)/realm --help"

test-cc: setup
	@$(BIN)/python setup.py --quiet build_op_test
	@set -e; for test in build/tests/*/*_test; do $$test; done

test: test-cc
	@$(BIN)/python -m pytest tests -m "not slow and not stress" -n 2 --dist loadfile
	@echo "The slow tests are left out; \`make test-slow\` runs them."

test-slow: setup
	@$(BIN)/python -m pytest tests -m "slow and not stress" -n 2 --dist loadfile

# Kills at random, whole clusters: long, and left out of CI.
test-stress: setup
	@$(BIN)/python -m pytest tests -m stress -n 2

test-sanitize: setup
	@$(BIN)/python setup.py --quiet build_op_test --sanitize
	@set -e; for test in build/tests-sanitized/*/*_test; do $$test; done

# What of the ops knows no TensorFlow, for Arm (Graviton, Apple's machines under Linux), by a
# cross compiler and an emulator: right or wrong, nothing of its speed.
test-aarch64: setup
	@command -v aarch64-linux-gnu-g++ qemu-aarch64 >/dev/null || { \
	  echo "a cross compiler or an emulator is missing:" \
	    "apt-get install g++-aarch64-linux-gnu qemu-user" >&2; exit 2; }
	@CXX=aarch64-linux-gnu-g++ $(BIN)/python setup.py --quiet build_op_test
	@set -e; for test in build/tests-aarch64/*/*_test; do echo $$test; qemu-aarch64 $$test; done

# Of each Python test so many random files, configs and questions (`make test` tries some that
# are always the same); of the op, so many seconds of random shapes and values.
FUZZ_EXAMPLES ?= 2000
FUZZ_SECONDS ?= 180

fuzz: fuzz-python fuzz-api fuzz-cc

fuzz-python: setup
	@HYPOTHESIS_PROFILE=long FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/python -m pytest tests/fuzz -n 2

fuzz-api: setup
	@FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/python -m pytest tests/server/test_described_api.py

fuzz-cc: setup
	@command -v clang++ >/dev/null || { \
	  echo "clang++ is missing: libFuzzer comes with clang (apt-get install clang)" >&2; exit 2; }
	@CXX=clang++ $(BIN)/python setup.py --quiet build_op_test --fuzz
	@build/fuzz/top_k/fuzz -max_total_time=$(FUZZ_SECONDS) -max_len=600 -len_control=0 -print_final_stats=1

# A row of each kind of benchmarks/ablations.py, on a tiny world; again from the beginning.
ablations-smoke: setup
	@rm -rf build/ablations
	@PYTHONPATH=. $(BIN)/python benchmarks/ablations.py --size=smoke \
	  --rows=ict,realm,together,realm_encoder --labels=0,6 --workdir=build/ablations

# What computes elsewhere on a GPU than on a CPU; `GPU_PYTHON` is what benchmarks/gpu_bundle.py
# made on a machine where nothing can be installed. In `GPU_OUT`, which is in $OUT where that is
# set: each test as it begins and ends (tests/watched.py), all that was printed, a JUnit file.
# A test that takes too long ends with the stacks of its threads, and the others go on.
GPU_PYTHON ?= $(BIN)/python
GPU_OUT ?= $(or $(OUT),build)/test-gpu
GPU_WORKERS ?= 6
GPU_SECONDS ?= 440
GPU_SECONDS_A_TEST ?= 100
GPU_TESTS ?= tests/ops/test_top_k_gpu.py tests/ops/test_lookup.py tests/ops/test_top_k_twin.py \
  tests/index/test_sharded.py tests/models tests/training tests/distribute/test_shares.py

test-gpu: SHELL := /bin/bash
test-gpu: .SHELLFLAGS := -o pipefail -c
test-gpu:
	@$(GPU_PYTHON) -c "import realm_tf, sys, tensorflow as tf; \
	  sys.exit(not tf.config.list_physical_devices('GPU') and 'no GPU is seen by TensorFlow')"
	@mkdir -p $(GPU_OUT)
	@TF_FORCE_GPU_ALLOW_GROWTH=true TF_CPP_MIN_LOG_LEVEL=$${TF_CPP_MIN_LOG_LEVEL:-1} \
	  timeout --foreground --signal=INT --kill-after=30 $(GPU_SECONDS) $(GPU_PYTHON) -m pytest $(GPU_TESTS) \
	  -m "not slow and not stress" -n $(GPU_WORKERS) --dist worksteal --max-worker-restart=50 \
	  -v --durations=20 -p tests.watched --watched=$(GPU_OUT)/tests.log \
	  --junitxml=$(GPU_OUT)/junit.xml -o faulthandler_exit_on_timeout=true \
	  -o faulthandler_timeout=$(GPU_SECONDS_A_TEST) 2>&1 | tee $(GPU_OUT)/output.txt

gpu-bundle: setup
	@$(BIN)/python benchmarks/gpu_bundle.py --out=build/gpu

# Checks and measures the kernels of the search on a GPU; needs nvcc alone. Run it on a machine
# with a card, where it may be carried to: build/gpu_benchmark
gpu-benchmark: build/gpu_benchmark

build/gpu_benchmark: $(wildcard ops/top_k_gpu/*.h ops/top_k_gpu/*.cu)
	@mkdir -p build
	@nvcc -std=c++17 -O3 --cudart=static -I. -o $@ \
	  "-gencode=arch=compute_80,code=[compute_80,sm_80,sm_90]" $(filter %.cu,$^)
	@echo "Compiled: $@"

test-bazel: setup
	@command -v bazel >/dev/null || { \
	  echo "bazel is missing: apt-get install bazel-bootstrap, or any Bazel" >&2; exit 2; }
	@mkdir -p build && ln -sfn $$(realpath $(VENV)/lib/python3.*/site-packages/tensorflow) build/tensorflow
	@bazel test //ops:tests
	@bazel build //ops:_realm_ops.so

demo: setup
	@$(BIN)/realm run --config=configs/demo.py --config.data=data --workdir=runs/demo

# A C program that asks an export without Python; serving/ask.c says how.
ask: setup
	@$(MAKE) --no-print-directory build/ask
	@echo "Compiled: build/ask"

build/ask: serving/ask.c
	@mkdir -p build
	@tensorflow=$$(realpath $(VENV)/lib/python3.*/site-packages/tensorflow) && \
	  $(CC) -std=c11 -O2 -Wall -Wextra -Wpedantic -isystem $$tensorflow/include $< -o $@ \
	    $$tensorflow/libtensorflow_cc.so.2 $$tensorflow/libtensorflow_framework.so.2 \
	    -Wl,-rpath,$$tensorflow

# For every Linux whose glibc is not older than what the compiler asked for. TensorFlow's
# library is found in the installed TensorFlow, so it stays out.
wheel: setup
	@rm -rf build/wheel
	@$(PIP) wheel . --no-deps --no-build-isolation --wheel-dir build/wheel
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/auditwheel repair build/wheel/*.whl \
	  --exclude 'libtensorflow_framework.so.*' --wheel-dir dist

docs: setup
	@PYTHONPATH=. $(BIN)/python docs/reference.py build/docs
	@echo "Written: build/docs/realm_tf.html"

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/hadolint Dockerfile

clean:
	rm -rf $(VENV) build dist *.egg-info $(OP)
