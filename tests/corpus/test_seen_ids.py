"""Ids that are there twice, however far apart, in memory that stays flat."""

import os
import pathlib
import tracemalloc

import numpy as np
import pytest

from realm_tf.corpus.readers import Document, read_documents, seen_ids
from realm_tf.corpus.readers.seen_ids import Repeated, SeenIds
from realm_tf.errors import UserError


@pytest.fixture(name="small")
def _small(monkeypatch):
  monkeypatch.setattr(seen_ids, "_HELD", 8)
  monkeypatch.setattr(seen_ids, "_COMPARED", 32)


def _first_repeated(names, scratch=None):
  seen = SeenIds(scratch)
  for place, name in enumerate(names):
    if repeated := seen.add(name, place):
      return repeated
  return seen.repeated()


@pytest.mark.parametrize("seed", range(20))
def test_the_first_id_that_repeats_is_found(tmp_path, small, seed):
  rng = np.random.default_rng(seed)
  names = [f"d{number}" for number in rng.permutation(300)]
  assert _first_repeated(names, tmp_path) is None
  places = sorted(rng.choice(300, 2, replace=False))
  names[places[1]] = names[places[0]]
  assert _first_repeated(names, tmp_path) == Repeated(names[places[0]], places[1], places[0])
  # Of several that are far apart, that whose second time was first.
  twice = [f"d{number}" for number in range(100)]
  again = [f"new{number}" for number in range(20)] + list(reversed(twice))
  assert _first_repeated(twice + again, tmp_path) == Repeated("d99", 120, 99)
  assert not list(tmp_path.iterdir())


def test_hashes_that_are_the_same_are_a_hint_only(small, monkeypatch):
  monkeypatch.setattr(seen_ids, "hash", len, raising=False)
  names = [f"d{number:03d}" for number in range(100)]
  assert _first_repeated(names) is None
  assert _first_repeated([*names, "x", "d003"]) == Repeated("d003", 101, 3)


@pytest.mark.parametrize("places", [
    ("Ärzte\ud800", "two\nlines"), (pathlib.PurePosixPath("a/ä b.txt"), 7)])
def test_places_of_every_kind_are_kept(small, places):
  seen = SeenIds()
  seen.add("\u2028 \"x\"", places[0])
  for number in range(20):
    seen.add(f"d{number}", number)
  seen.add("\u2028 \"x\"", places[1])
  assert seen.repeated() == Repeated("\u2028 \"x\"", places[1], places[0])


def test_a_reader_names_both_places(tmp_path, small):
  lines = [f'{{"id": {number}, "text": "Text."}}\n' for number in range(1, 41)]
  path = tmp_path / "a.jsonl"
  path.write_text("".join([*lines, lines[4]]))
  documents = read_documents(path)
  assert next(documents) == Document("1", "", "Text.")
  with pytest.raises(UserError, match=r"a.jsonl:41: field 'id': '5' is there already, in "
                     r"\S*a.jsonl:5; expected each id once"):
    list(documents)


def test_memory_does_not_grow_with_the_ids(tmp_path, monkeypatch):
  monkeypatch.setattr(seen_ids, "_HELD", 1024)
  monkeypatch.setattr(seen_ids, "_COMPARED", 2048)

  def peak(count):
    tracemalloc.start()
    try:
      assert _first_repeated((f"document {i}" for i in range(count)), tmp_path) is None
      return tracemalloc.get_traced_memory()[1]
    finally:
      tracemalloc.stop()

  peak(2000)  # what is loaded once
  assert peak(40_000) < 1.5 * peak(4000)


def test_a_scratch_folder_that_cannot_be_written_is_an_error(tmp_path, small):
  with pytest.raises(FileNotFoundError):
    _first_repeated(map(str, range(20)), os.fspath(tmp_path / "none"))
