"""Which parts of a run are made of which setting.

A part, such as a stage, depends on the settings that it is made of, and on the parts before
it. Where one of them changes it must be made again (`run.claim`); what no part is made of may
change at any time. It is declared here once, and each setting has its place
(tests/config/test_owners.py).
"""

import functools
from collections.abc import Mapping
from typing import Any

from realm_tf.config.fields import settings_of
from realm_tf.config.stage_settings import OptimizerConfig
from realm_tf.config.tree import RENAMED, SETTINGS, flatten

STAGES = ("ict", "pretrain", "dpr", "cloze", "finetune")  # those that train, in order
PARTS = ("corpus", *STAGES, "index", "evaluate", "export")
FREE = ()

_ASKED = ("dpr", "finetune")  # stages that train on questions
_MODEL = (*STAGES, "evaluate", "export")
# By fields, or by the beginnings of their paths, of which the longest counts.
_OWNERS: dict[str, tuple[str, ...]] = {
    "name": FREE, "data": FREE, "assets_folder": FREE, "assets": FREE, "trivia": ("corpus",),
    "demo_questions": FREE, "diagnosis": FREE, "checkpoint_every": FREE,
    "keep_checkpoints": FREE,
    # Memory and speed: what is computed stays the same.
    "embed_batch_tokens": FREE, "fixed_lengths": FREE, "deterministic": FREE,
    "compile": FREE,
    "retriever.recompute": FREE, "encoder.recompute": FREE, "evaluate.batch_size": FREE,
    "seed": (*STAGES, "evaluate"), "best_metric": STAGES,
    "embedding_dtype": ("index",), "embed_precision": ("index",),
    "corpus": ("corpus",),
    "retriever": (*_MODEL, "index"), "retriever.dropout": STAGES,
    "retriever.exact_words": ("finetune", "evaluate", "export"),
    "retriever.weights": _MODEL,  # an index says which tower made it
    "encoder": _MODEL, "encoder.dropout": STAGES,
    "ict": ("ict",), "reading": ("pretrain",), "refresh": ("pretrain",),
    "pretrain": ("pretrain",), "pretrain.ban_similarity": ("pretrain", "cloze"),
    "dpr": ("dpr",), "cloze": ("cloze",), "finetune": ("finetune",),
    "finetune.questions": _ASKED,
    "finetune.reader_length": ("cloze", "finetune", "evaluate", "export"),
    "dev": _ASKED,
    "evaluate": ("evaluate",), "evaluate.questions": (*_ASKED, "evaluate"),
    "evaluate.share": (*_ASKED, "evaluate"), "evaluate.read_blocks": ("evaluate", "export"),
    "export": ("export",),
    # What is trained does not hang on how the corpus is searched: an approximate index finds
    # what the exact one does, or says how much it misses.
    "index": ("evaluate",), "index.shadow": ("export",), "index.devices": FREE,
    "index.min_recall": FREE, "index.recall_at": FREE, "index.recall_queries": FREE,
}
# Of a stage that is half done: it goes on from its checkpoint with these. Of a soup what is
# trained already is a member of a larger one too.
_MIDWAY = frozenset(settings_of(OptimizerConfig)) - {"batch_size"} | {"soup"}


@functools.cache
def parts_of(field: str) -> tuple[str, ...]:
  """The parts that are made of a setting, by its path; none of one that is free.

  Raises:
    KeyError: it has no place here.
  """
  words = field.split(".")
  for count in range(len(words), 0, -1):
    owner = ".".join(words[:count])
    if owner in _OWNERS:
      return _OWNERS[owner]
  raise KeyError(field)


def used(tree: Mapping[str, Any], part: str) -> dict[str, Any]:
  """The settings that a part is made of, by paths, as JSON has them.

  Of a stage those of the stages before it too; of one that is left out, only that it is.

  Args:
    tree: the nested values of a config.
    part: of `PARTS`.
  """
  flat = {field: list(value) if isinstance(value, tuple) else value
          for field, value in flatten(tree).items()}
  settings = {field: flat[field] for field in SETTINGS if part in parts_of(field)}
  for earlier in STAGES[:STAGES.index(part)] if part in STAGES else ():
    steps = f"{earlier}.steps"
    settings |= used(tree, earlier) if flat[steps] else {steps: 0}
  if part in STAGES and "evaluate.questions" in settings:
    # Which they are is of no matter; where there are none, some are taken from training.
    settings["evaluate.questions"] = bool(settings["evaluate.questions"])
  if part == "evaluate" and flat["evaluate.masked_sentences"]:
    settings |= used(tree, "pretrain")  # as its sentences are masked
  if part == "dpr" and flat["dpr.denoise"]:  # its reader reads so many word pieces
    settings["finetune.reader_length"] = flat["finetune.reader_length"]
  if part == "corpus" and flat["trivia"]:
    settings["seed"] = flat["seed"]  # by which its questions are split
  return settings


def differences(tree: Mapping[str, Any], part: str, recorded: Mapping[str, Any],
                half_done: bool = False) -> list[str]:
  """The settings of a part that are others than those that it was made of.

  Args:
    tree: the nested values of the config of now.
    part: of a run.
    recorded: as `used` gave them when it was made; what was no setting then is as by default.
    half_done: it is a stage that was begun, and can go on with another schedule.
  """
  then = {RENAMED.get(field, field): value for field, value in recorded.items()}
  return [field for field, value in used(tree, part).items()
          if then.get(field, _default(field)) != value
          and not (half_done and _is_midway(field, part))]


def implied(parts: set[str]) -> set[str]:
  """These parts and all that is made of them."""
  closure = set(parts)
  if "corpus" in closure:
    closure |= set(PARTS) - {"index"}  # whose versions know of which corpus they are
  first = min((STAGES.index(part) for part in closure if part in STAGES), default=None)
  if first is not None:
    closure |= {*STAGES[first:], "evaluate", "export"}
  if "index" in closure:
    closure |= {"evaluate", "export"}
  return closure


def _is_midway(field: str, stage: str) -> bool:
  section, _, name = field.rpartition(".")
  return section == stage and name in _MIDWAY


def _default(field: str) -> Any:
  value = SETTINGS[field].default
  return list(value) if isinstance(value, tuple) else value
