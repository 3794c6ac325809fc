# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""REALM: retrieval-augmented language model pre-training, in TensorFlow.

Models are those of Keras 2 (`tf_keras`), which importing this package chooses. docs/api.md
begins with two scripts; what is listed here is imported when it is used.

Shape letters, here and everywhere: B batch, K candidates, T tokens, M masks, S spans, D
projection, H hidden, N blocks of a corpus, V vocabulary, W beam, R read blocks, E banned
rows, Q questions or queries, X sentences, J replicas. Other letters are the module's own.
"""

import importlib
import os
import sys

from realm_tf import processor

__version__ = "0.1.0"

_PUBLIC = {
    "load": "realm_tf.serving.loaded", "ExportedModel": "realm_tf.serving.loaded",
    "Run": "realm_tf.run.folder", "RealmConfig": "realm_tf.config",
    "Corpus": "realm_tf.corpus.store", "Document": "realm_tf.corpus.readers",
    "Passages": "realm_tf.corpus.passages", "Tokenizer": "realm_tf.text.tokenizer",
    "Retriever": "realm_tf.models.retriever", "Reader": "realm_tf.models.reader",
    "Realm": "realm_tf.models.realm", "BertConfig": "realm_tf.models.bert",
    "QuestionAnswerer": "realm_tf.evaluation.answering",
    "ExactIndex": "realm_tf.index.exact", "ScannIndex": "realm_tf.index.scann",
    "make_index": "realm_tf.index.embed", "RefreshIndex": "realm_tf.refresh.callback",
    "ict_batches": "realm_tf.examples.ict_pairs",
    "pretraining_batches": "realm_tf.examples.pretraining",
    "AdamW": "realm_tf.training.optimizer", "UserError": "realm_tf.errors",
    "keep_freed_memory": "realm_tf.allocator",
    "top_k_inner_product": "realm_tf.ops.top_k"}
__all__ = list(_PUBLIC)


def _choose_keras_2() -> None:
  """Selects `tf_keras` for `tf.keras`, or says why it is too late for that."""
  chosen = os.environ.get("TF_USE_LEGACY_KERAS")
  if "tensorflow" in sys.modules and chosen not in ("1", "true", "True"):
    raise ImportError(
        "realm_tf needs Keras 2, but TensorFlow was imported first with Keras 3: "
        "import realm_tf before tensorflow, or set TF_USE_LEGACY_KERAS=1.")
  os.environ["TF_USE_LEGACY_KERAS"] = "1"
  # What goes wrong is raised in Python; the log below says that there is no GPU.
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _spare_onednn_from_half_described_amx(cpuinfo: str = processor.CPUINFO) -> None:
  """Keeps oneDNN off AMX where the processor does not describe its tiles.

  Some virtual machines show AMX's flags but not CPUID leaf 0x1D, from which oneDNN
  takes the size of a tile: it then configures none, and the first bfloat16 product
  dies of an illegal instruction. Our own op does not ask, and may use AMX there.
  """
  fields = processor.fields(cpuinfo)
  highest_leaf = int((fields.get("cpuid level") or ["0"])[0])
  if "amx_tile" in fields.get("flags", ()) and highest_leaf < 0x1D:
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_FP16")


def _choose_onednn(cpuinfo: str = processor.CPUINFO) -> None:
  """Has oneDNN do TensorFlow's products where there is AVX2.

  TensorFlow asks for AVX512_VNNI or later, and else takes Eigen's, with which a step
  takes longer (`benchmarks/process_settings.py`).
  """
  if "avx2" in processor.fields(cpuinfo).get("flags", ()):
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


_choose_keras_2()
_spare_onednn_from_half_described_amx()
_choose_onednn()


def __getattr__(name: str):
  # TensorFlow takes seconds to load: `realm --help` must not pay for it.
  if name in _PUBLIC:
    return getattr(importlib.import_module(_PUBLIC[name]), name)
  raise AttributeError(f"module 'realm_tf' has no attribute '{name}'")


def __dir__():
  return sorted({*globals(), *_PUBLIC} - {"importlib", "os", "sys"})
