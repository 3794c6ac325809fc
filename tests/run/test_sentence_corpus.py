"""Pre-training on sentences of one corpus with the knowledge of another."""

import dataclasses
import json

import numpy as np
import pytest

from realm_tf.corpus.duplicates import banned_rows
from realm_tf.corpus.readers import Document
from realm_tf.corpus.store import Corpus
from realm_tf.examples.pretraining import pretraining_batches
from realm_tf.examples.salient_sentences import salient_sentences
from realm_tf.run import stages
from realm_tf.run.folder import Run
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny

# One says what nobody else does, one is a copy of a block of the knowledge.
_NEWS = [*(Document(f"news-{city}", "", f"Many people live in {city}, and the old river is "
                    f"by {country}. They say that {city} is great and old.")
           for city, country in list(tiny.CITIES.items())[:8]),
         Document("ona", "", "Many people say that Onaville by the river is old and great."),
         dataclasses.replace(tiny.documents()[2], id="copy")]


@pytest.fixture(name="apart", scope="module")
def _apart():
  tokenizer = Tokenizer(tiny.vocabulary())
  knowledge = Corpus.from_documents(tiny.documents(), tokenizer, 64)
  return dataclasses.replace(Corpus.from_documents(_NEWS, tokenizer, 64),
                             knowledge=knowledge)


def test_near_duplicates_alone_are_banned(apart):
  bans = banned_rows(apart, 0.5)
  assert bans.shape == (len(_NEWS), 1)
  copied = apart.knowledge.document_ids.index(tiny.documents()[2].id)
  assert bans.ravel().tolist() == [-1] * (len(_NEWS) - 1) + [copied]
  assert (banned_rows(apart, 0.0) == -1).all()


def test_spans_are_masked_that_the_knowledge_has(apart):
  sentences = salient_sentences(apart, 4, (2, 0))
  assert len(sentences.row) > 8
  assert "ona" not in {apart.document_ids[row] for row in sentences.row}
  rows, first, blocks, own = sentences.support
  assert (own == -1).all()
  for i in range(len(sentences.row)):
    for span in range(*sentences.span_splits[i:i + 2]):
      pieces = apart.body_ids.row(sentences.row[i])[
          sentences.span_start[span]:sentences.span_end[span]].tolist()
      holding = [block for block in range(apart.knowledge.num_blocks) if any(
          apart.knowledge.body_ids.row(block)[start:end].tolist() == pieces
          for start, end in zip(apart.knowledge.span_starts.row(block),
                                apart.knowledge.span_ends.row(block)))]
      assert rows[first[span]:first[span] + blocks[span]].tolist() == holding != []


def test_a_batch_has_sentences_of_one_and_blocks_of_the_other(apart):
  bans = banned_rows(apart, 0.5)
  batches = pretraining_batches(apart, bans, batch_size=4, query_length=32, max_masks=4,
                                support=(2, 0), seed=0, first_step=0, last_step=6)
  for batch in batches:
    for i, row in enumerate(batch.row.numpy()):
      labels = batch.labels[i].numpy()[batch.weights[i].numpy() > 0].tolist()
      supporting = apart.knowledge.body_ids.row(int(batch.support[i])).tolist()
      assert any(supporting[at:at + len(labels)] == labels for at in range(len(supporting)))
      assert batch.banned[i].numpy().tolist() == bans[row].tolist()


@pytest.mark.parametrize("more", [{}, pytest.param({
    "reading__steps": 2, "diagnosis__every": 2, "diagnosis__sentences": 4},
    marks=pytest.mark.stress)], ids=["alone", "with reading and a diagnosis"])
def test_a_run_pretrains_so(tmp_path, more):
  (tmp_path / "knowledge.jsonl").write_text("".join(
      json.dumps(vars(document)) + "\n" for document in tiny.documents()))
  (tmp_path / "news.jsonl").write_text("".join(
      json.dumps(vars(document)) + "\n" for document in _NEWS))
  tiny.write_bert(tmp_path / "bert", hidden=16, layers=1)
  run = Run(tiny.make_config(
      tmp_path, write=False, corpus__source=str(tmp_path / "knowledge.jsonl"),
      pretrain__corpus=str(tmp_path / "news.jsonl"), pretrain__steps=4,
      refresh__mode="sync", **more), tmp_path / "run")
  stages.corpus(run)
  stages.pretrain(run)
  assert run.is_done("pretrain")
  assert run.sentences.document_ids.tolist() == [document.id for document in _NEWS]
  assert run.sentences.knowledge is run.corpus
  assert run.sentence_bans.shape[1] == 1 and run.banned.shape[0] == run.corpus.num_blocks
  again = Run.existing(run.path)
  assert again.sentences.hash == run.sentences.hash
  np.testing.assert_array_equal(again.sentence_bans, run.sentence_bans)
