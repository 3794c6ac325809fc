"""What the retriever could learn from masked sentences, if the encoder made no mistake.

    python benchmarks/pretraining_targets.py --workdir=RUN --json=targets.json

From the ICT stage of RUN both towers learn on, each time anew, by the loss of ICT and as many
examples, but from other targets:

    ict              a sentence finds the block that it was taken from, as before
    related          a sentence with a masked salient span finds a related block that holds
                     the span (`examples/related_blocks.py`): what pre-training's posterior
                     would say were the encoder always right and all blocks candidates
    both             half of each batch is of either
    asked            the same masked sentences made to look like questions: a question word
                     at random, and of some words around the mask three quarters; they find
                     the related block
    asked_and_ict    half of each batch is of these, the other of ICT
    asked_own        they find the block that they were taken from, which is left whole
    window_own       these words alone, all of them, and the block that they were taken from
    recurring_spans  text around a span finds another block that holds it (Spider)
    questions        a training question finds its block: what labels teach such towers

and the held-out questions say what that is worth: recall by gold passage, or where none is
named by answer. What is there already is kept; the same command goes on.
"""

import dataclasses
import json
import pathlib
import sys

import realm_tf  # noqa: F401  chooses Keras 2 before TensorFlow is imported

# isort: split
import numpy as np
import tensorflow as tf
from absl import app, flags
from machine import processor

from realm_tf import config as config_lib
from realm_tf.corpus.ragged import RaggedLookup
from realm_tf.examples.ict_pairs import ICTBatch, ict_batches
from realm_tf.examples.order import fix_batch_size, shuffled_batches
from realm_tf.examples.pretraining import pretraining_batches
from realm_tf.files import new_file, read_json
from realm_tf.index.embed import CorpusEmbedder
from realm_tf.registry import WARM_STARTS
from realm_tf.run.folder import Run
from realm_tf.text.inputs import joined, pack_pair, pack_single
from realm_tf.training.ict import train_ict
from realm_tf.training.mining import CorpusSearch, LabelledQuestions, make_retrieval_judge

_WORKDIR = flags.DEFINE_string("workdir", None, "A run that is done with ICT.", required=True)
_TARGETS = flags.DEFINE_list("targets", ["ict", "related", "both", "recurring_spans",
                                         "questions"], "Of these.")
_STEPS = flags.DEFINE_integer("steps", 600, "Of each training.")
_RATE = flags.DEFINE_float("learning_rate", 3e-4, "At its peak.")
_SEED = flags.DEFINE_integer("seed", 1, "Of the order of the examples.")
_JSON = flags.DEFINE_string("json", "targets.json", "For the results, which are added.")


_QUESTION_WORDS = ("who", "what", "when", "where", "which", "how many", "what is",
                   "what year")
_AROUND = 8  # word pieces to each side of the mask


def _as_question(batch, tokenizer, query_length: int, kept: float, asks: bool):
  """Of the words around the mask the share that is kept, behind a question word."""
  ids, place = batch.query.ids, tf.range(tf.shape(batch.query.ids)[1])[None]
  seed = tf.stack([tf.reduce_sum(ids), tf.shape(ids)[0]])
  around = tf.abs(place - batch.positions[:, :1]) <= _AROUND
  around &= (ids != tokenizer.mask_id) & (ids != tokenizer.cls_id) & (ids != tokenizer.sep_id)
  around &= batch.query.padding_mask
  around &= tf.random.stateless_uniform(tf.shape(ids), seed) < kept
  words = tf.ragged.boolean_mask(ids, around)
  if asks:
    asked = tokenizer.tokenize(list(_QUESTION_WORDS))
    drawn = tf.random.stateless_uniform([tf.shape(ids)[0]], seed, 0, len(_QUESTION_WORDS),
                                        tf.int32)
    words = tf.concat([tf.cast(tf.gather(asked, drawn), ids.dtype), words], 1)
  return pack_single(words, query_length, tokenizer, 8)


def _related(run: Run, kept: float | None = None, asks: bool = True, own: bool = False):
  """Batches of masked sentences and related blocks, in the shape of ICT's.

  With `kept` they look like questions; with `own` they find their own blocks.
  """
  settings = run.config.pretrain

  def batches(corpus, *, batch_size, query_length, document_length, seed, first_step,
              last_step, **_):
    titles, bodies = RaggedLookup(corpus.title_ids), RaggedLookup(corpus.body_ids)

    def pairs(batch):
      found = batch.row if own else batch.support
      documents = pack_pair(titles.gather(found), bodies.gather(found),
                            document_length, corpus.tokenizer, 8)
      query = batch.query if kept is None else _as_question(
          batch, corpus.tokenizer, query_length, kept, asks)
      return fix_batch_size(ICTBatch(query, documents, found), batch_size)

    return pretraining_batches(
        corpus, run.banned, batch_size=batch_size, query_length=query_length,
        max_masks=settings.max_masks, support=settings.span_blocks, seed=seed,
        first_step=first_step, last_step=last_step, masker="related").map(pairs)

  return batches


def _both(related):
  def batches(corpus, *, batch_size, **settings):
    def together(one, other):
      return fix_batch_size(ICTBatch(
          joined(one.queries, other.queries), joined(one.documents, other.documents),
          tf.concat([one.rows, other.rows], 0)), batch_size)

    return tf.data.Dataset.zip((
        ict_batches(corpus, batch_size=batch_size - batch_size // 2, **settings),
        related(corpus, batch_size=batch_size // 2, **settings))).map(together)

  return batches


def _questions(run: Run):
  """Batches of the run's training questions and a block that answers each."""
  labelled = LabelledQuestions.of(run.questions("train"), run.corpus)
  usable = labelled.usable
  rows = tf.constant([labelled.right(i)[0] for i in usable], tf.int32)
  tokens = run.corpus.tokenizer.tokenize([labelled.texts[i] for i in usable])

  def batches(corpus, *, batch_size, query_length, document_length, seed, first_step,
              last_step, **_):
    titles, bodies = RaggedLookup(corpus.title_ids), RaggedLookup(corpus.body_ids)

    def pairs(step, chosen):
      del step
      right = tf.gather(rows, chosen)
      return fix_batch_size(ICTBatch(
          pack_single(tf.gather(tokens, chosen), query_length, corpus.tokenizer, 8),
          pack_pair(titles.gather(right), bodies.gather(right), document_length,
                    corpus.tokenizer, 8), right), batch_size)

    return shuffled_batches(len(usable), batch_size, seed, first_step, last_step).map(pairs)

  return batches


def _measured(run: Run, model) -> dict[str, float]:
  """Recall of the held-out questions, in shares."""
  embedder = CorpusEmbedder(run.passages, lambda: model.retriever.document_tower,
                            run.config.retriever.document_length,
                            run.config.embed_batch_tokens)

  def embed(on_rows):
    vectors = np.empty([run.corpus.num_blocks, model.retriever.vector_size], np.float32)
    for rows, part in embedder.batches():
      vectors[rows] = part
    return vectors

  questions = LabelledQuestions.of(run.questions("held_out"), run.corpus)
  judge = make_retrieval_judge(run.config, CorpusSearch(model, run.corpus, embed), questions)
  return {name.removeprefix("dev_"): value for name, value in judge.measure(0).items()}


def main(_) -> None:
  run = Run.existing(_WORKDIR.value)
  path = pathlib.Path(_JSON.value)
  results = read_json(path) if path.exists() else {}
  results["machine"] = processor()
  if "start" not in results:
    results["start"] = _measured(run, run.model("ict"))
  related = _related(run)
  WARM_STARTS.register("related", related)
  WARM_STARTS.register("both", _both(related))
  WARM_STARTS.register("asked", _related(run, 0.75))
  WARM_STARTS.register("asked_and_ict", _both(_related(run, 0.75)))
  WARM_STARTS.register("asked_own", _related(run, 0.75, own=True))
  WARM_STARTS.register("window_own", _related(run, 1.0, asks=False, own=True))
  WARM_STARTS.register("questions", _questions(run))
  for target in _TARGETS.value:
    name = f"{target}, {_STEPS.value} steps, {_RATE.value:g}, seed {_SEED.value}"
    if name in results:
      continue
    model = run.model("ict")
    config = dataclasses.replace(run.config, seed=_SEED.value)
    config = config_lib.with_changes(config, {
        "ict.objective": target, "ict.steps": _STEPS.value, "ict.passes": 0.0,
        "ict.learning_rate": _RATE.value, "ict.warmup_steps": max(1, _STEPS.value // 20)})
    train_ict(config, run.corpus, model, path.with_suffix("") / name.replace(", ", "-"))
    results[name] = _measured(run, model)
    with new_file(path, "w") as file:
      file.write(json.dumps(results, indent=2) + "\n")
    print(name, results[name], file=sys.stderr, flush=True)


if __name__ == "__main__":
  app.run(main)
