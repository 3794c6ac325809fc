"""Texts as people give them to a model, and how any number of them is worked through.

Shape letters: B batch, T tokens.
"""

from typing import Any, Iterator, Sequence, TypeAlias

import numpy as np
import tensorflow as tf

from realm_tf.text.batching import length_batches
from realm_tf.text.tokenizer import Tokenizer

Texts: TypeAlias = Sequence[str] | Sequence[bytes] | np.ndarray | tf.Tensor

BATCH_TOKENS = 8192  # in memory at a time, padding counted
_TOKENISED = 16384  # texts whose tokens are in memory at a time


def as_list(texts: Texts) -> list[bytes]:
  """The texts one by one, in UTF-8; half of a surrogate pair, which is no text, is a "?".

  Raises:
    ValueError: it is a single text, whose letters would be taken for texts.
  """
  if isinstance(texts, tf.Tensor):
    texts = texts.numpy()
  if isinstance(texts, (str, bytes)):
    raise ValueError("expected a list of texts, got a single one: write [text]")
  return [text if isinstance(text, bytes) else text.encode("utf-8", "replace")
          for text in texts]


def columns_of(documents: Any) -> tuple[Any, Any]:
  """Titles and texts of `texts` or `(titles, texts)`; empty titles where none are given."""
  if isinstance(documents, tuple) and len(documents) == 2 and not isinstance(
      documents[0], (str, bytes)):
    titles, texts = documents
    if not tf.is_symbolic_tensor(texts) and len(titles) != len(texts):
      raise ValueError(f"{len(titles)} titles, but {len(texts)} texts")
    return titles, texts
  if tf.is_symbolic_tensor(documents):
    return tf.zeros_like(documents), documents
  texts = as_list(documents)
  return [""] * len(texts), texts


def token_batches(tokenizer: Tokenizer, columns: Sequence[Sequence[Any]], longest: int,
                  batch_tokens: int) -> Iterator[tuple[np.ndarray, list[tf.RaggedTensor]]]:
  """Tokenises texts, some at a time; like lengths are together, the longest first.

  Args:
    tokenizer: of the model.
    columns: of N texts each, which are read together.
    longest: word pieces of a packed row at most.
    batch_tokens: about how many a batch may have, padding counted.

  Yields:
    Which of the N texts they are, [B] int, and their ids, [B, (T)] int32 for each column.
  """
  for first in range(0, len(columns[0]), _TOKENISED):
    ids = [tokenizer.tokenize(column[first:first + _TOKENISED]) for column in columns]
    special = len(columns) + 1
    lengths = np.sum([part.row_lengths() for part in ids], 0) + special
    for places in length_batches(np.minimum(lengths, longest), batch_tokens):
      yield first + places, [tf.gather(part, places) for part in ids]
