"""What was retrieved for a few masked sentences, for people to read.

Shape letters: B batch, K candidates.
"""

from typing import Any, Callable, Sequence

import numpy as np
import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.examples.pretraining import PretrainingBatch
from realm_tf.index.interface import RowIndex
from realm_tf.models import losses
from realm_tf.models.realm import Realm
from realm_tf.models.scores import relevance
from realm_tf.training.candidates import configured_candidates
from realm_tf.training.held_out_sentences import Sample
from realm_tf.training.likelihood import configured_log_probs, configured_relevance
from realm_tf.training.log import Log

_PASSAGE_CHARACTERS = 300
_RECORDS_PER_SHOW = 10  # of the curves; each show costs about a step


def show_retrieved(config: RealmConfig, model: Realm, index: RowIndex, passages: Passages,
                   corpus: Corpus, sample: Sample, log: Log) -> Callable[[int], None]:
  """Writes at some steps what is retrieved for a fixed sample of masked sentences.

  Returns:
    To be called after each record of the curves, with the number of steps done.
  """
  first_batch = sample.batches[0]

  @tf.function(input_signature=[sample.spec])
  def inspect(batch: PretrainingBatch):
    """Candidates [B, K] with p(z|x) and p(z|x,y)."""
    queries = model.retriever.embed_queries(batch.query)
    rows = configured_candidates(config, model, index, passages, queries, batch.banned)
    prior = losses.log_prior(configured_relevance(
        config, relevance(model.retriever, passages, queries, rows)))
    log_probs = configured_log_probs(config, model.encoder, passages, batch, rows)
    answer = tf.einsum("bkm,bm->bk", log_probs, batch.weights)
    return rows, tf.exp(prior), tf.nn.softmax(prior + answer)

  def show(step: int) -> None:
    if len(log.rows) % _RECORDS_PER_SHOW == 0 or step == config.pretrain.steps:
      inspected = (value.numpy() for value in inspect(first_batch))
      examples = retrieved_examples(corpus, first_batch, *inspected)
      log.text("retrieved", as_markdown(examples), step)
      log.example({"sentences": examples}, step)

  return show


def retrieved_examples(corpus: Corpus, batch: PretrainingBatch, rows: np.ndarray,
                       prior: np.ndarray, posterior: np.ndarray, most: int = 4
                       ) -> list[dict[str, Any]]:
  """Each sentence with its candidates, p(z|x) and p(z|x,y), as plain values.

  Args:
    corpus: for the texts.
    batch: B masked sentences, of which the first `most` are shown.
    rows: [B, K] block ids; candidate 0 is the null document.
    prior, posterior: [B, K] probabilities.
    most: how many sentences.

  Returns:
    `sentence`, `answer` and `candidates`, of which each has `title`, `text` (its
    beginning; the null document has neither), `prior` and `posterior`.
  """
  examples = []
  for i in range(min(most, len(rows))):
    sentence = batch.sentence.ids[i].numpy()[batch.sentence.padding_mask[i].numpy()][1:-1]
    answer = batch.labels[i].numpy()[batch.weights[i].numpy() > 0]
    examples.append({
        "sentence": _words(corpus, sentence), "answer": _words(corpus, answer),
        "candidates": [
            {**_passage(corpus, k, row), "prior": round(float(prior[i, k]), 4),
             "posterior": round(float(posterior[i, k]), 4)}
            for k, row in enumerate(rows[i])]})
  return examples


def as_markdown(examples: Sequence[dict[str, Any]]) -> str:
  """A table per sentence, for TensorBoard."""
  parts = []
  for example in examples:
    lines = [f"**{example['sentence']}** answer: *{example['answer']}*", "",
             "| p(z given x) | p(z given x, y) | title | passage |", "|--:|--:|---|---|"]
    lines += [
        f"| {candidate['prior']:.3f} | {candidate['posterior']:.3f} "
        f"| {_cell(candidate['title'] or '(null document)')} | {_cell(candidate['text'])} |"
        for candidate in example["candidates"]]
    parts.append("\n".join(lines))
  return "\n\n".join(parts)


def _passage(corpus: Corpus, k: int, row: int) -> dict[str, str]:
  if k == 0:
    return {"title": "", "text": ""}
  return {"title": corpus.titles[row].decode(),
          "text": corpus.texts[row].decode()[:_PASSAGE_CHARACTERS]}


def _words(corpus: Corpus, ids: np.ndarray) -> str:
  pieces = (corpus.tokenizer.vocabulary[number] for number in ids)
  return " ".join(pieces).replace(" ##", "")


def _cell(text: str) -> str:
  return " ".join(text.replace("|", "\\|").split())
