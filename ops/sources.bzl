# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""What the ops are compiled of. Both Starlark and Python: BUILD and setup.py read it.

One build runs everywhere: each kernel has the flags of its instruction set, nothing else
has any of its own, and an op chooses among its kernels at run time.
"""

FLAGS = [
    "-O3",
    "-std=c++17",
    "-fPIC",
    "-fno-semantic-interposition",
    "-Wall",
    "-Wextra",
    "-Wno-maybe-uninitialized",
    "-Wno-uninitialized",
    "-Wno-psabi",
]

# These know no TensorFlow.
ALGORITHM = [
    "common/cpu_features.cc",
    "top_k/banned_rows.cc",
    "top_k/inner_product.cc",
    "top_k/kernels.cc",
    "top_k/panels.cc",
    "top_k/scan_portable.cc",
    "top_k/shadow.cc",
    "top_k/worker.cc",
    "transformer/bert.cc",
    "transformer/portable.cc",
    "transformer/transformer.cc",
]

_AVX2 = ["-mavx2", "-mfma"]
_AVX512 = [
    "-mavx512f",
    "-mavx512bw",
    "-mavx512dq",
    "-mavx512vl",
    "-mfma",
    "-mprefer-vector-width=512",
]
_AVX512_VNNI = _AVX512 + ["-mavx512vnni"]
_AVX512_BF16 = _AVX512 + ["-mavx512bf16"]
_AMX = _AVX512_VNNI + ["-mavx512bf16", "-mamx-tile", "-mamx-bf16"]

# Nor do these, which are compiled for x86 alone, with flags of their own.
X86_KERNELS = {
    "top_k/scan_amx.cc": _AMX,
    "top_k/scan_avx2.cc": _AVX2,
    "top_k/scan_avx512.cc": _AVX512,
    "top_k/scan_avx512_bf16.cc": _AVX512_BF16,
    "transformer/amx.cc": _AMX,
    "transformer/avx2.cc": _AVX2,
    "transformer/avx512.cc": _AVX512,
    "transformer/avx512_vnni.cc": _AVX512_VNNI,
}

# Kernels and registrations.
TENSORFLOW = [
    "top_k/inner_product_kernel.cc",
    "top_k/inner_product_op.cc",
    "transformer/bert_kernel.cc",
    "transformer/bert_op.cc",
    "transformer/kernel.cc",
    "transformer/op.cc",
    "transformer/span_kernel.cc",
]

# The op for GPUs, a library of its own: what nvcc compiles, and what knows TensorFlow.
GPU = ["top_k_gpu/search.cu"]
GPU_TENSORFLOW = ["top_k_gpu/op.cc"]

# A program each.
TESTS = [
    "common/team_test.cc",
    "top_k/extremes_test.cc",
    "top_k/inner_product_test.cc",
    "top_k/kernels_test.cc",
    "top_k/shadow_test.cc",
    "top_k_gpu/kernels_test.cc",
    "transformer/attention_test.cc",
    "transformer/bert_test.cc",
    "transformer/rows_test.cc",
    "transformer/span_test.cc",
]
FUZZERS = [
    "top_k/fuzz.cc",
]
BENCHMARKS = [
    "transformer/bert_benchmark.cc",
]
