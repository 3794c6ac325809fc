"""Versions come, take over, are refused and go; who answers meanwhile."""

import gc
import json
import shutil
import weakref

import pytest
import tensorflow as tf

from realm_tf.errors import UserError
from realm_tf.server.lifecycle import Lifecycle, Phase
from realm_tf.server.served import Served
from realm_tf.server.source import FolderSource
from realm_tf.server.statuses import Refused
from realm_tf.serving import numbered, warmup
from realm_tf.serving import saved_model as serving


class _Loaded:

  def __init__(self, version, old):
    del old
    self.number, self.mark = version.number, version.mark
    text = (version.folder / "saved_model.pb").read_text()
    if text.startswith("bad"):
      raise ValueError(f"{text}\nof two lines")
    self.text = text


def _put(base, number, text):
  (base / str(number)).mkdir(parents=True, exist_ok=True)
  (base / str(number) / "saved_model.pb").write_text(text)


@pytest.fixture(name="base")
def _base(tmp_path):
  _put(tmp_path, 1, "one")
  return tmp_path


@pytest.fixture(name="swaps")
def _swaps():
  return []


@pytest.fixture(name="lifecycle")
def _lifecycle(base, swaps):
  lifecycle = Lifecycle(FolderSource(base), _Loaded, str(base), swaps.append,
                        lambda number: swaps.append(-number))
  lifecycle.start()
  return lifecycle


def _look(lifecycle):
  """Twice: what is new is waited for until it rests."""
  return [lifecycle.look(), lifecycle.look()]


def test_a_new_version_takes_over_once_it_rests(base, lifecycle, swaps):
  assert lifecycle.current.text == "one" and not lifecycle.look()
  _put(base, 2, "tw")
  assert not lifecycle.look()  # it is new
  _put(base, 2, "two")
  assert not lifecycle.look()  # it is still being written
  assert lifecycle.look() and lifecycle.current.text == "two"
  assert swaps == [1, 2] and _look(lifecycle) == [False, False]


def test_a_broken_version_is_refused_and_named(base, lifecycle, swaps):
  _put(base, 2, "bad")
  assert _look(lifecycle) == [False, False] and lifecycle.current.number == 1
  assert lifecycle.states() == [Phase(2, "END", "bad of two lines"), Phase(1, "AVAILABLE")]
  assert _look(lifecycle) == [False, False] and swaps == [1, -2]  # it is not tried again
  _put(base, 2, "mended")
  assert _look(lifecycle) == [False, True] and lifecycle.current.text == "mended"
  shutil.rmtree(base / "1")
  gc.collect()
  assert lifecycle.states() == [Phase(2, "AVAILABLE")]


def test_a_refused_version_that_goes_is_forgotten(base, lifecycle):
  _put(base, 2, "bad")
  _look(lifecycle)
  shutil.rmtree(base / "2")
  lifecycle.look()
  assert lifecycle.states() == [Phase(1, "AVAILABLE")]


def test_the_newest_is_taken_and_older_ones_are_not_loaded(base, lifecycle, swaps):
  for number in (2, 3, 10):
    _put(base, number, str(number))
  assert _look(lifecycle) == [False, True] and lifecycle.current.number == 10
  assert _look(lifecycle) == [False, False] and swaps == [1, 10]


def test_removing_the_newest_is_going_back(base, lifecycle):
  _put(base, 2, "two")
  _look(lifecycle)
  shutil.rmtree(base / "2")
  assert lifecycle.look() and lifecycle.current.number == 1
  shutil.rmtree(base / "1")
  assert not lifecycle.look() and lifecycle.current.text == "one"  # there is no other


def test_what_uses_an_old_version_keeps_it(base, lifecycle):
  held = lifecycle.current
  _put(base, 2, "two")
  _look(lifecycle)
  assert lifecycle.states() == [Phase(2, "AVAILABLE"), Phase(1, "UNLOADING")]
  assert held.text == "one"
  del held
  assert lifecycle.states() == [Phase(2, "AVAILABLE")]


def test_a_version_that_is_overwritten_by_a_broken_one_stays(base, lifecycle):
  _put(base, 1, "bad")
  assert _look(lifecycle) == [False, False] and lifecycle.current.text == "one"


def test_names_that_are_no_versions(base, lifecycle):
  for name in ("1.5", "-2", "tmp", ".2", "٣", "9" * 30, str(2**63)):
    _put(base, name, "no version")
  (base / "7").write_text("a file")
  assert _look(lifecycle) == [False, False] and lifecycle.current.number == 1


def test_a_start_with_a_broken_newest_falls_back(base):
  _put(base, 2, "bad")
  lifecycle = Lifecycle(FolderSource(base), _Loaded, "DIR")
  assert not lifecycle.is_ready
  with pytest.raises(Refused, match="No version"):
    _ = lifecycle.current
  lifecycle.start()
  assert lifecycle.current.number == 1 and lifecycle.states()[0].error


@pytest.mark.parametrize("texts, message", [
    ({}, "no export there"), ({1: "bad 1", 2: "bad 2"}, "DIR: bad 2 of two")])
def test_a_start_without_a_version_is_an_error(tmp_path, texts, message):
  for number, text in texts.items():
    _put(tmp_path, number, text)
  with pytest.raises(UserError, match=message):
    Lifecycle(FolderSource(tmp_path), _Loaded, "DIR").start()


def test_an_export_in_place_of_another_is_the_next_version(tmp_path):
  (tmp_path / "saved_model.pb").write_text("one")
  lifecycle = Lifecycle(FolderSource(tmp_path), _Loaded, "DIR")
  lifecycle.start()
  (tmp_path / "saved_model.pb").write_text("another")
  assert _look(lifecycle) == [False, True]
  assert (lifecycle.current.number, lifecycle.current.text) == (2, "another")


@pytest.mark.slow
def test_a_version_that_answers_otherwise_is_refused(exported, tmp_path):
  path = shutil.copytree(exported, tmp_path / "1") / warmup.ANSWERS
  expected = json.loads(path.read_text())
  Lifecycle(FolderSource(tmp_path), Served, "DIR").start()
  expected["answers"][0][0]["probability"] += .2
  path.write_text(json.dumps(expected))
  with pytest.raises(UserError, match="DIR: .* does not answer as when it was written"):
    Lifecycle(FolderSource(tmp_path), Served, "DIR").start()


def _tables():
  return [value for value in gc.get_objects()
          if isinstance(value, tf.Variable) and "texts" in value.name]


@pytest.mark.slow
def test_the_memory_of_an_old_version_is_freed(exported, tmp_path):
  shutil.copytree(exported, tmp_path / "1")
  lifecycle = Lifecycle(FolderSource(tmp_path), Served, "DIR")
  others = [id(variable) for variable in _tables()]  # of models that other tests hold
  lifecycle.start()
  own = [weakref.ref(variable) for variable in _tables() if id(variable) not in others]
  assert own
  record = shutil.copytree(exported, tmp_path / "2") / numbered.MARKER
  facts = json.loads(record.read_text())
  facts["variables"] = [own_hash[::-1] for own_hash in facts["variables"]]  # of another model
  record.write_text(json.dumps(facts))
  assert _look(lifecycle) == [False, True] and lifecycle.states()
  lifecycle.look()
  assert [reference for reference in own if reference() is not None] == []


@pytest.mark.slow
@pytest.mark.parametrize("name, damage", [
    ("saved_model.pb", lambda content: content[:len(content) // 2]),
    ("variables/variables.index", lambda content: b""),
    ("variables/variables.data-00000-of-00001", lambda content: bytes(len(content)))])
def test_a_damaged_export_is_refused(exported, tmp_path, name, damage):
  path = shutil.copytree(exported, tmp_path / "1") / name
  content = path.read_bytes()
  path.unlink()
  path.write_bytes(damage(content))
  with pytest.raises(UserError, match="DIR: .+"):
    Lifecycle(FolderSource(tmp_path), Served, "DIR").start()


def _variables(served):
  return served._model._variables  # pylint: disable=protected-access


@pytest.mark.slow
def test_what_two_versions_have_in_common_is_in_memory_once(answerer, exported, tmp_path):
  shutil.copytree(exported, tmp_path / "1")
  lifecycle = Lifecycle(FolderSource(tmp_path), Served, "DIR")
  lifecycle.start()
  first, before = lifecycle.current, _variables(lifecycle.current)
  answers, passages = first.answer(["who?"], 0), first.search(["who?"], 3)
  _with_another_reader(answerer, tmp_path / "other").rename(tmp_path / "2")
  assert _look(lifecycle) == [False, True]
  second = _variables(lifecycle.current)
  assert len(before) > 10 and len(second.keys() - before.keys()) == 1
  for name in second.keys() & before.keys():
    assert second[name] is before[name]
  table = answerer.index.rows()
  assert 1 == sum(variable.shape == table.shape and bool((variable.numpy() == table).all())
                  for variable in second.values())
  assert any("texts" in variable.name for variable in second.values())
  del first, before
  assert not _look(lifecycle)[0] and lifecycle.current.search(["who?"], 3) == passages
  assert lifecycle.current.answer(["who?"], 0) != answers
  shutil.copytree(exported, tmp_path / "3")
  assert _look(lifecycle) == [False, True]
  assert lifecycle.current.answer(["who?"], 0) == answers


def _with_another_reader(answerer, folder):
  """An export that differs in one variable, which is read and not searched by."""
  changed = answerer.model.encoder.span_head.variables[0]
  value = changed.numpy()
  try:
    changed.assign(value + 1)
    return serving.export(answerer, folder)
  finally:
    changed.assign(value)
