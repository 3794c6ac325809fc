"""Gold spans among all spans, and what fine-tuning leaves alone."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.corpus.passages import Passages
from realm_tf.datasets.questions import Question
from realm_tf.errors import UserError
from realm_tf.examples.qa import GoldSpans
from realm_tf.examples.span_batches import correct_spans
from realm_tf.index.embed import CorpusEmbedder, collect_rows
from realm_tf.index.exact import ExactIndex
from realm_tf.run.model import initial_model
from realm_tf.text.tokenizer import Tokenizer
from realm_tf.training import finetune
from realm_tf.training.finetune import train_finetune
from realm_tf.training.loop import Loop
from tests import tiny
from tests.training import stages


def test_correct_spans_by_hand():
  gold = GoldSpans(tf.constant([[[0, 2, -1], [5, -1, -1]]]),
                   tf.constant([[[1, 2, -1], [9, -1, -1]]]))
  marks = correct_spans(gold, tf.constant([3, 4]), tf.constant([2, 6, 3])).numpy()
  # Row 0: body pieces 0-1 are tokens 3-4 (width 1), piece 2 is token 5 (width 0).
  # Row 1: starts at token 9, past the end of the row.
  assert np.argwhere(marks).tolist() == [[0, 3, 1], [0, 5, 0]]


def test_too_wide_a_span_is_left_out():
  gold = GoldSpans(tf.constant([[[0]]]), tf.constant([[[3]]]))
  assert not correct_spans(gold, tf.constant([1]), tf.constant([1, 6, 3])).numpy().any()


@pytest.fixture(name="batch_sizes")
def _batch_sizes(monkeypatch):
  """The sizes of the batches; while steps run, nothing may be tokenised or matched."""
  sizes, really_run = [], Loop.run

  def no_text(*arguments):
    raise AssertionError("text in a training step")

  def run(self, batches, step, **more):
    with monkeypatch.context() as patch:
      patch.setattr(Tokenizer, "tokenize", no_text)
      patch.setattr(Tokenizer, "tokenize_with_offsets", no_text)
      patch.setattr(finetune, "stored_occurrences", no_text)
      sizes.extend(batch.number.shape[0] for batch in batches.take(3))
      really_run(self, batches, step, **more)

  monkeypatch.setattr(Loop, "run", run)
  return sizes


def test_finetuning_learns_and_leaves_the_document_tower_alone(tmp_path, batch_sizes):
  """And takes batches, without text in a step: the published code took one question,
  and tokenised 5,000 blocks for it."""
  config = tiny.make_config(tmp_path, finetune__steps=80, finetune__learning_rate=3e-3,
                            finetune__beam_size=25)
  corpus = tiny.make_corpus(tmp_path / "corpus")
  passages = Passages(corpus)
  model = initial_model(config, corpus.tokenizer)
  embedder = CorpusEmbedder(passages, model.make_tower, 64, 1024)
  embedder.snapshot(model.retriever.document_tower)
  table = collect_rows(embedder.batches(), embedder.num_rows)
  index = ExactIndex()
  index.assign(table, 0)
  before = [v.numpy() for v in model.retriever.document_tower.variables]
  loop, = train_finetune(config, corpus, passages, model, index, tiny.questions(),
                         tmp_path / "finetune").loops
  assert batch_sizes == [4, 4, 4]
  retriever, reader, answered = np.array(
      [[row["retriever_loss"], row["reader_loss"], row["read_has_answer"]]
       for _, row in loop.log.rows]).T
  assert retriever[-10:].mean() < 0.6 * retriever[:10].mean()
  # A question whose answer was not read has no reader loss: count the others.
  assert (reader[-10:].sum() / answered[-10:].sum()
          < 0.9 * reader[:10].sum() / answered[:10].sum())
  for old, new in zip(before, model.retriever.document_tower.variables):
    np.testing.assert_array_equal(old, new)
  assert any((a.numpy() != b.numpy()).any() for a, b in zip(
      model.retriever.query_tower.variables, model.retriever.document_tower.variables))


@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_a_retriever_may_be_left_as_it_is_or_learn_slowly(rate, tmp_path):
  """Adam's first update of a weight is the learning rate, or nothing where it has no
  gradient; the encoder has the whole of it."""
  corpus = tiny.make_corpus(tmp_path / "corpus")
  config = tiny.make_config(
      tmp_path, finetune__steps=1, finetune__warmup_steps=0, finetune__learning_rate=1e-3,
      finetune__weight_decay=0.0, finetune__beam_size=25, finetune__read_answer=True,
      finetune__retriever_rate=rate)
  first = initial_model(config, corpus.tokenizer)
  _, model = stages.train("finetune", tmp_path / "finetune", corpus, config)
  assert (model.retriever.query_tower is model.retriever.document_tower) == (rate == 0)

  def moved(part):
    return max(np.abs(new.numpy() - old.numpy()).max()
               for old, new in zip(part(first).variables, part(model).variables, strict=True))

  assert moved(lambda m: m.retriever.query_tower) == pytest.approx(1e-3 * rate, rel=0.02)
  assert moved(lambda m: m.encoder.bert) == pytest.approx(1e-3, rel=0.02)


def test_an_answer_is_read_that_was_not_retrieved_high_enough(tmp_path):
  """Of one block that is read: that of the question's passage, or else the best with an
  answer. Without the switch most of what is read holds none."""
  corpus = tiny.make_corpus(tmp_path / "corpus")
  read = {}
  for switch in (False, True):
    config = tiny.make_config(tmp_path, finetune__steps=3, finetune__read_blocks=1,
                              finetune__beam_size=25, finetune__batch_size=12,
                              finetune__read_answer=switch)
    loop, _ = stages.train("finetune", tmp_path / str(switch), corpus, config)
    read[switch] = [row["read_has_answer"] for _, row in loop.log.rows]
  assert max(read[False]) < 0.5 and read[True] == [1.0] * 3


@pytest.fixture(name="untrained", scope="module")
def _untrained(tmp_path_factory):
  """Calls `train_finetune` for no steps, with these answers to questions of one piece."""
  folder = tmp_path_factory.mktemp("untrained")
  config = tiny.make_config(folder, finetune__steps=0, encoder__max_span_width=2,
                            finetune__reader_length=14, finetune__max_spans=1)
  corpus = tiny.make_corpus(folder / "corpus")
  passages = Passages(corpus)
  model = initial_model(config, corpus.tokenizer)
  index = ExactIndex()
  index.assign(np.zeros([corpus.num_blocks, 16], np.float32), 0)

  def run(folder, *answers):
    questions = [Question("", "what", (answer,)) for answer in answers]
    return train_finetune(config, corpus, passages, model, index, questions, folder)
  return run


def test_answers_that_teach_nothing_are_counted(untrained, tmp_path, caplog):
  # 10 pieces of a block are read: "great" is one of them, "is great" never.
  with caplog.at_level("INFO", logger="absl"):
    untrained(tmp_path / "finetune", "Paris", "Paris is the", "is great", "it is great",
              "nowhere", "Ona")
  said, = (message for message in caplog.messages if "can learn" in message)
  assert said == (
      "finetune: the reader can learn from 1 of 6 questions, and not from 1 without an "
      "answer that stands in the corpus, 2 whose answers are wider than "
      "encoder.max_span_width=2, 2 whose answers are cut off by "
      "finetune.reader_length=14")


@pytest.mark.parametrize("answers, why", [
    (["nowhere", ""], "no question has an answer that stands in the corpus"),
    (["nowhere", "Paris is the"], "none of 2 questions: 1 without an answer that stands in "
     "the corpus, 1 whose answers are wider than encoder.max_span_width=2")])
def test_nothing_to_learn_is_refused(untrained, tmp_path, answers, why):
  with pytest.raises(UserError, match=why):
    untrained(tmp_path / "finetune", *answers)
  assert not (tmp_path / "finetune").exists()
