"""Each setting takes what it may be and nothing else, whoever gives it."""

import dataclasses
import json
import math

import numpy as np
import pytest

from realm_tf import config as config_lib
from realm_tf.config import SETTINGS, RealmConfig, RefreshConfig, RetrieverConfig
from realm_tf.errors import UserError

_NUMBERS = [path for path, one in SETTINGS.items() if one.kind in (int, float)]
_OTHERS = [path for path in SETTINGS if path not in _NUMBERS]


def _with(path, value):
  tree = config_lib.to_dict(RealmConfig())
  config_lib.set_field(tree, path, value)
  return config_lib.from_dict(tree)


def _refused(path, value):
  with pytest.raises(UserError) as error:
    _with(path, value)
  message = str(error.value)
  assert message.startswith(f"config.{path}: expected "), message
  assert ", got " in message and "\n" not in message and len(message) < 300
  return message


def test_every_field_says_what_it_is():
  fields = config_lib.flatten(config_lib.to_dict(RealmConfig()))
  assert fields.keys() == SETTINGS.keys() and len(fields) > 100
  for path, setting in SETTINGS.items():
    assert len(setting.meaning) > 3 and not setting.meaning.endswith("."), path
    assert setting.expected and fields[path] == setting.default, path
    assert (setting.allowed is None) == (setting.kind is bool), path


@pytest.mark.parametrize("value", [
    math.nan, math.inf, -math.inf, 1e400, 2**63, -1, 10**5000, True, "5", "1e-4", None, [5],
    {}, (), b"5", 1j, object()], ids=lambda value: type(value).__name__)
def test_no_number_takes_what_is_none(value):
  for path in _NUMBERS:
    _refused(path, value)


@pytest.mark.parametrize("value", [1.5, 10.0, np.float32(4), "7"])
def test_whole_numbers_take_no_fractions(value):
  for path in _NUMBERS:
    if SETTINGS[path].kind is int:
      _refused(path, value)


@pytest.mark.parametrize("value", [5, 1.5, None, object(), {}, b"a"])
def test_no_text_switch_or_tuple_takes_a_number(value):
  for path in _OTHERS:
    _refused(path, value)


def test_switches_take_no_words_and_no_numbers():
  for value in (1, 0, "true", "", np.True_):
    _refused("deterministic", value)


@pytest.mark.parametrize("path, value, expected", [
    ("pretrain.candidates", 1, "from 2"), ("pretrain.loss", "both", "joint, per_mask"),
    ("finetune.reader_length", 2, "from 5"), ("retriever.query_length", 1, "from 3"),
    ("refresh.mode", "Async", "async, sync, job"), ("ict.removal_rate", 1.1, "from 0 to 1"),
    ("ict.learning_rate", 0.0, "from 1e-12"), ("ict.learning_rate", -0.0, "from 1e-12"),
    ("ict.learning_rate", 1e-30, "from 1e-12"), ("embed_precision", None, "'', float32"),
    ("evaluate.recall_at", "15", "brackets, such as (5, 20)"),
    ("evaluate.recall_at", (), "1 or more"), ("evaluate.recall_at", (1, True), "whole"),
    ("evaluate.recall_at", (0,), "from 1"), ("evaluate.recall_at", (1, (2,)), "whole"),
    ("pretrain.span_blocks", (1, 2, 3), "2 whole numbers"),
    ("pretrain.span_blocks", (2,), "2 whole numbers"),
    ("demo_questions", "who?", "('one', 'another')"), ("demo_questions", {"who?"}, "text"),
    ("assets", ("bert-tiny", "bert"), "bert-tiny, "), ("assets", ("minilm", 5), "one of"),
    ("index.devices", "GPU:0", "brackets"), ("name", "a\0b", "text"),
    ("demo_questions", ("a",) * 10**6, "text"), ("name", "\ud800", "text"),
    ("corpus.source", "a\0b", "a path"), ("diagnosis.candidates", (2, 1), "from 2")])
def test_ranges_choices_and_items(path, value, expected):
  assert expected in _refused(path, value)


def test_what_may_stand_for_something_else():
  assert _with("ict.learning_rate", 1).ict.learning_rate == 1.0
  assert type(_with("ict.learning_rate", np.float32(0.5)).ict.learning_rate) is float
  assert type(_with("ict.steps", np.int64(7)).ict.steps) is int
  assert _with("evaluate.recall_at", [1, 5]).evaluate.recall_at == (1, 5)
  assert math.copysign(1, _with("ict.weight_decay", -0.0).ict.weight_decay) == 1
  # A file name that is no UTF-8, as Python gives it; it goes through JSON unharmed.
  path = json.loads(json.dumps(b"\xff.jsonl".decode("utf-8", "surrogateescape")))
  assert _with("corpus.source", path).corpus.source == path


def test_a_config_goes_through_json_and_stays_itself():
  config = RealmConfig(
      demo_questions=("who?",), seed=7, refresh=RefreshConfig(mode="job"),
      retriever=RetrieverConfig(weights="a"))
  tree = json.loads(json.dumps(config_lib.to_dict(config)))
  assert config_lib.from_dict(tree) == config
  assert hash(config_lib.from_dict(tree)) == hash(config)
  assert config_lib.from_dict({}) == RealmConfig()


def test_a_section_is_checked_where_it_is_made():
  with pytest.raises(UserError, match="^RetrieverConfig.pooling: expected one of pooler"):
    RetrieverConfig(pooling="max")
  with pytest.raises(UserError, match="^RealmConfig.retriever: expected RetrieverConfig"):
    RealmConfig(retriever={"pooling": "mean"})
  assert RetrieverConfig(weights=np.str_("a")) == RetrieverConfig(weights="a")


@pytest.mark.parametrize("changes, field", [
    ({"refresh.every": 100, "refresh.max_staleness": 99}, "refresh.max_staleness"),
    ({"refresh.mode": "rerank", "fixed_lengths": True}, "refresh.mode"),
    ({"pretrain.max_masks": 95}, "pretrain.max_masks"),
    ({"pretrain.encoder_length": 97}, "pretrain.encoder_length"),
    ({"pretrain.span_blocks": (3, 2)}, "pretrain.span_blocks"),
    ({"index.leaves": 4, "index.searched_leaves": 5}, "index.searched_leaves"),
    ({"ict.accumulate": 3}, "ict.accumulate"),
    ({"finetune.distill": 1.0, "finetune.retriever_rate": 0.0}, "finetune.distill"),
    ({"finetune.batch_size": 2, "finetune.accumulate": 4}, "finetune.accumulate")])
def test_rules_between_fields(changes, field):
  tree = config_lib.to_dict(RealmConfig())
  for path, value in changes.items():
    config_lib.set_field(tree, path, value)
  with pytest.raises(UserError, match=f"^config.{field}: expected .*, got ") as error:
    config_lib.from_dict(tree)
  assert "{" not in str(error.value)


def test_at_the_edge_rules_hold():
  tree = config_lib.to_dict(RealmConfig())
  for path, value in {
      "refresh.every": 100, "refresh.max_staleness": 100, "pretrain.max_masks": 94,
      "pretrain.encoder_length": 98, "pretrain.span_blocks": (3, 3), "index.leaves": 4,
      "index.searched_leaves": 4, "ict.accumulate": 4}.items():
    config_lib.set_field(tree, path, value)
  config_lib.from_dict(tree)


@pytest.mark.parametrize("tree, message", [
    ({"ict": {"stepz": 5}}, "config.ict.stepz: no such field; the nearest is config.ict.s"),
    ({"icd": {}}, "config.icd: no such field; RealmConfig has name, seed"),
    ({"ict": {"q" * 10**5: 5}}, "config.ict.qqq"),
    ({"corpus": {"corpus": {"source": "a"}}}, "config.corpus.corpus: no such field"),
    ({"ict": 5}, "config.ict: expected fields by name, got 5"),
    ({"ict": [["steps", 5]]}, "config.ict: expected fields by name"),
    ({"refresh": "job"}, "config.refresh: expected fields by name, got 'job'"),
    ({5: 5}, "config.5: no such field"), ([], "config: expected fields by name, got []"),
    (None, "config: expected fields"), ({"seed": {"seed": 1}}, "config.seed: expected a")])
def test_what_is_no_config(tree, message):
  with pytest.raises(UserError) as error:
    config_lib.from_dict(tree)
  assert str(error.value).startswith(message), error.value
  assert len(str(error.value)) < 600


# A run of before, when pre-training held the settings of the refresh.
_OLD = {
    "refresh": "job", "refresh_every": 40, "refresh_share": 0.25,
    "max_staleness": 80, "on_stale": "warn", "rerank_factor": 3, "index_sample": 16}


def test_a_config_of_before_is_understood():
  tree = config_lib.to_dict(RealmConfig())
  del tree["refresh"]
  tree["pretrain"] |= _OLD
  assert config_lib.from_dict(tree) == RealmConfig(refresh=RefreshConfig(
      mode="job", every=40, share=0.25, max_staleness=80, on_stale="warn",
      rerank_factor=3, sample=16))
  assert len(dataclasses.fields(RefreshConfig)) == len(_OLD)  # or say what is new in it
  assert tree["pretrain"]["refresh"] == "job"  # what was given is not changed
  with pytest.raises(UserError, match="pretrain.refresh: is config.refresh.mode now, which"):
    config_lib.from_dict(tree | {"refresh": {"mode": "job"}})
  with pytest.raises(UserError, match="config.refresh.every: expected a whole number"):
    config_lib.from_dict({"pretrain": {"refresh_every": 0}})


def test_a_setting_that_was_removed_may_stand_there_switched_off():
  old = {"pretrain": {"refresh_first": 0.0, "prefetch_candidates": False}}
  assert config_lib.from_dict(old) == RealmConfig()
  with pytest.raises(UserError, match="config.pretrain.prefetch_candidates: no such field"):
    config_lib.from_dict({"pretrain": {"prefetch_candidates": True}})
