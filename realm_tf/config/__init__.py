"""Every hyper-parameter of a run, each written once.

A config is a tree of frozen dataclasses (`settings`), of which each field has its type,
range and meaning beside it (`fields`); what must hold between fields is in `rules`. A config
file (`config_files`) is a run's `config.json`, or Python whose `get_config()` returns
`as_config_dict(RealmConfig(...))`; the command line sets single fields
(`--config.pretrain.steps=200`). `from_dict` turns nested values into a checked `RealmConfig`.
Unknown keys, other types and values out of range are `UserError`s.

Nothing here imports TensorFlow, so that `--help` is quick.
"""

from realm_tf.config.config_files import has_begun, read, read_folder
from realm_tf.config.places import absolute, cache, portable_paths, resolved
from realm_tf.config.settings import (
  CorpusConfig,
  DevConfig,
  DiagnosisConfig,
  EncoderConfig,
  EvaluateConfig,
  ExportConfig,
  IndexConfig,
  RealmConfig,
  RefreshConfig,
  RetrieverConfig,
)
from realm_tf.config.stage_settings import (
  ClozeConfig,
  DPRConfig,
  FinetuneConfig,
  ICTConfig,
  OptimizerConfig,
  PretrainConfig,
  ReadingConfig,
)
from realm_tf.config.tree import (
  RENAMED,
  SETTINGS,
  as_config_dict,
  flatten,
  from_dict,
  no_such_field,
  set_field,
  to_dict,
  with_changes,
)

__all__ = [
    "ClozeConfig", "CorpusConfig", "DPRConfig", "DevConfig", "DiagnosisConfig",
    "EncoderConfig", "EvaluateConfig", "ExportConfig", "FinetuneConfig", "ICTConfig",
    "IndexConfig", "OptimizerConfig", "PretrainConfig", "RENAMED", "ReadingConfig",
    "RealmConfig", "RefreshConfig", "RetrieverConfig", "SETTINGS", "absolute",
    "as_config_dict", "cache", "flatten", "from_dict", "has_begun", "no_such_field",
    "portable_paths", "read", "read_folder", "resolved", "set_field", "to_dict",
    "with_changes"]
