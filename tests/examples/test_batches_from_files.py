"""Batches of pre-training read their tables where they lie: the same batches, no copies."""

import concurrent.futures
import multiprocessing
import pathlib
import re
import shutil
import types

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.corpus.mapped import map_array
from realm_tf.corpus.ragged import Ragged
from realm_tf.corpus.store import Corpus
from realm_tf.examples import maskers, order, salient_support
from realm_tf.examples.corpus_sentences import (
    SHORTEST,
    Sentences,
    findable_sentences,
    long_sentences,
    sentences_of,
)
from realm_tf.examples.maskers import RelatedSpans, SalientSpans
from realm_tf.examples.pretraining import num_pretraining_examples, pretraining_batches
from realm_tf.examples.related_blocks import related_sentences
from realm_tf.examples.salient_sentences import SalientSentences, salient_sentences
from realm_tf.examples.salient_support import Support
from realm_tf.registry import MASKERS
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny

_SIZE, _MOST, _SEED = 5, 4, 3
_FIND = {"salient": salient_sentences, "related": related_sentences}


@pytest.fixture(name="corpus", scope="module")
def _corpus(tmp_path_factory):
  return tiny.make_corpus(tmp_path_factory.mktemp("files") / "corpus", 24)


def _bans(corpus):
  return np.random.default_rng(0).integers(-1, corpus.num_blocks, [corpus.num_blocks, 3])


def _batches(corpus, masker, banned, last_step=12, **settings):
  return pretraining_batches(
      corpus, banned, batch_size=_SIZE, query_length=64, max_masks=_MOST, support=(1, 0),
      seed=_SEED, first_step=0, last_step=last_step, masker=masker, **settings)


def _plain(corpus, masker, held_out, step, chosen):
  """Block, span and supporting block of each example of a step, by plain loops."""
  sentences = _FIND[masker](corpus, _MOST, (1, 0))
  usable = [i for i in range(len(sentences.row)) if (i % 20 == 19) == held_out]
  draws, others = (order.uniform(step, _SEED + i, _SIZE).numpy() for i in range(2))
  for number, draw, other in zip(chosen, draws, others):
    sentence = usable[number]
    first, end = sentences.span_splits[sentence:sentence + 2]
    span = first + int(draw * np.float32(end - first))
    support = sentences.support
    begin, count = support.first[span], support.blocks[span]
    blocks, row = list(support.rows[begin:begin + count]), sentences.row[sentence]
    own = support.own_place[span] if masker == "salient" else -1
    left = count - (own >= 0)
    yield (row, range(sentences.span_start[span], sentences.span_end[span]),
           blocks[(own + 1 + int(other * np.float32(left))) % count])


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("masker", ["salient", "related"])
def test_batches_are_what_plain_loops_look_up(corpus, masker, held_out):
  banned = _bans(corpus)
  count = len(_FIND[masker](corpus, _MOST, (1, 0)).row)
  held = count // 20
  trained = num_pretraining_examples(corpus, masker=masker, max_masks=_MOST, support=(1, 0),
                                     seed=_SEED)
  assert held and trained == count - held
  drawn = order.shuffled_batches(held if held_out else trained, _SIZE, _SEED, 0, 12)
  batches = _batches(corpus, masker, banned, held_out=held_out)
  for (step, chosen), batch in zip(drawn, batches):
    expected = list(_plain(corpus, masker, held_out, step, chosen.numpy()))
    assert batch.row.numpy().tolist() == [row for row, *_ in expected]
    assert batch.support.numpy().tolist() == [support for *_, support in expected]
    np.testing.assert_array_equal(batch.banned, banned[batch.row.numpy()])
    assert {part.dtype for part in (batch.row, batch.support, batch.banned)} == {tf.int32}
    for i, (row, span, _) in enumerate(expected):
      labels = batch.labels[i].numpy()[batch.weights[i].numpy() > 0]
      assert labels.tolist() == corpus.body_ids.row(row)[span].tolist()


@pytest.mark.parametrize("masker", list(MASKERS))
def test_batches_of_a_corpus_in_memory_are_the_same(corpus, masker):
  in_memory = Corpus.from_documents(tiny.documents(), Tokenizer(tiny.vocabulary()), 24)
  banned = _bans(corpus)
  pairs = list(zip(_batches(corpus, masker, banned), _batches(in_memory, masker, banned)))
  for one, other in pairs:
    for a, b in zip(tf.nest.flatten(one), tf.nest.flatten(other)):
      assert a.dtype == b.dtype
      np.testing.assert_array_equal(a, b)
  assert len(pairs) == 12


@pytest.mark.parametrize("blocks", [1, 3, 1 << 14])
def test_sentences_do_not_depend_on_how_many_blocks_are_looked_at(monkeypatch, blocks):
  monkeypatch.setattr(salient_support, "_ROWS", blocks)
  corpus = Corpus.from_documents(tiny.documents(), Tokenizer(tiny.vocabulary()), 24)
  every, expected = [], []
  for row in range(corpus.num_blocks):
    edges = [*corpus.sentence_starts.row(row).tolist(), len(corpus.body_ids.row(row))]
    every += [(row, *edge) for edge in zip(edges, edges[1:])]
    expected += [(row, *edge) for edge in zip(edges, edges[1:]) if len(edges) > 2]
  assert list(zip(*sentences_of(corpus, 0, corpus.num_blocks))) == every
  assert list(zip(*findable_sentences(corpus))) == expected != every
  long = [sentence for sentence in every if sentence[2] - sentence[1] >= SHORTEST]
  assert list(zip(*long_sentences(corpus))) == long != every
  monkeypatch.setattr(maskers, "_TOGETHER", blocks)
  longest = maskers.RandomTokens(corpus, _MOST, (1, 0), 0)._longest
  assert longest == max(end - start for _, start, end in long)


def _file(folder, name, values):
  """Mapped as what is derived is; `values` may be a number, which stands everywhere."""
  path = folder / f"{name}.bin"
  values.tofile(path)
  return map_array(path, values.dtype, values.shape)


def _made_up(folder: pathlib.Path, blocks: int):
  """As much of a corpus of one sentence and four spans a block as is looked at; its bans."""
  folder.mkdir()
  rows, edges = np.arange(blocks, dtype=np.int32), np.arange(blocks + 2)
  starts = np.tile(np.arange(0, 16, 4, dtype=np.int32), blocks)
  spans = np.arange(4 * blocks)
  columns = {
      "row": rows, "start": 0 * rows, "end": 0 * rows + 16, "span_splits": 4 * edges[:-1],
      "span_start": starts, "span_end": starts + 2}
  support = Support(*(_file(folder, f"support_{i}", column) for i, column in enumerate((
      spans // 4, spans, 0 * spans + 1, 0 * spans))))
  salient = SalientSentences(**{name: _file(folder, name, column)
                                for name, column in columns.items()}, support=support)
  bodies = Ragged(_file(folder, "ids", np.zeros(16 * blocks, np.uint16)),
                  _file(folder, "splits", 16 * edges[:-1]))
  corpus = types.SimpleNamespace(num_blocks=blocks, body_ids=bodies, knowledge=None,
                                 tokenizer=Tokenizer(tiny.vocabulary()))
  return corpus, salient, _file(folder, "banned", np.tile(rows[:, None], 8))


def _anonymous() -> int:
  """Bytes of this process that are no file's: TensorFlow's too, which Python cannot trace."""
  status = pathlib.Path("/proc/self/status").read_text("utf-8")
  return int(re.findall(r"RssAnon:\s*(\d+) kB", status)[0]) * 1024


def _taken(folder: pathlib.Path, masker: str, blocks: int) -> int:
  """Bytes that a first batch of a made-up corpus takes."""
  corpus, salient, banned = _made_up(folder, blocks)
  for spans in (SalientSpans, RelatedSpans):
    spans._find = staticmethod(lambda *_: salient)
  maskers.long_sentences = lambda _: Sentences(*salient[:3])
  maskers._TOGETHER = 1 << 10
  before = _anonymous()
  batches = iter(_batches(corpus, masker, banned, last_step=3))
  next(batches)
  return _anonymous() - before


def _taken_by_many(folder: pathlib.Path, masker: str, blocks: int) -> int:
  for time in range(2):  # what TensorFlow sets up by itself
    _taken(folder / f"few {time}", masker, 1000)
  return _taken(folder / "many", masker, blocks)


@pytest.mark.parametrize("masker", ["salient", "related", "random_span", "random_token"])
def test_memory_does_not_grow_with_the_corpus(tmp_path, masker):
  # All that is copied by mistake is 120 MB and more; malloc keeps up to 30.
  blocks = 1 << 20
  # In a process of its own, where no other test takes or gives back memory meanwhile.
  with concurrent.futures.ProcessPoolExecutor(
      1, mp_context=multiprocessing.get_context("spawn")) as pool:
    taken = pool.submit(_taken_by_many, tmp_path, masker, blocks).result()
  shutil.rmtree(tmp_path)  # some 300 MB
  assert taken < 64 * blocks
