"""What was retrieved for a few masked sentences, as Markdown for TensorBoard.

Shape letters: B batch, K candidates.
"""

import numpy as np

from realm_tf.corpus.store import Corpus
from realm_tf.examples.pretraining import PretrainingBatch

_PASSAGE_CHARACTERS = 200


def retrieved_examples(corpus: Corpus, batch: PretrainingBatch, rows: np.ndarray,
                       prior: np.ndarray, posterior: np.ndarray, most: int = 4) -> str:
  """A table per sentence: each candidate with p(z|x) and p(z|x,y).

  Args:
    corpus: for the texts.
    batch: B masked sentences, of which the first `most` are shown.
    rows: [B, K] block ids; candidate 0 is the null document.
    prior, posterior: [B, K] probabilities.
    most: how many sentences.
  """
  parts = []
  for i in range(min(most, len(rows))):
    query = _words(corpus, batch.query.ids[i].numpy()[batch.query.mask[i].numpy()][1:-1])
    answer = _words(corpus, batch.labels[i].numpy()[batch.weights[i].numpy() > 0])
    lines = [f"**{query}** answer: *{answer}*", "",
             "| p(z given x) | p(z given x, y) | title | passage |", "|--:|--:|---|---|"]
    for k, row in enumerate(rows[i]):
      title, text = ("(null document)", "") if k == 0 else (
          corpus.titles[row].decode(), corpus.texts[row].decode()[:_PASSAGE_CHARACTERS])
      lines.append(f"| {prior[i, k]:.3f} | {posterior[i, k]:.3f} | {_cell(title)} "
                   f"| {_cell(text)} |")
    parts.append("\n".join(lines))
  return "\n\n".join(parts)


def _words(corpus: Corpus, ids: np.ndarray) -> str:
  pieces = (corpus.tokenizer.vocabulary[number] for number in ids)
  return " ".join(pieces).replace(" ##", "")


def _cell(text: str) -> str:
  return " ".join(text.replace("|", "\\|").split())
