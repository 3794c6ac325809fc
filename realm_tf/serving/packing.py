"""The BERTs of a native export, packed for our op, and the rows by which they are rounded.

Eight bits are chosen for rows such as a BERT will see (`ops.rounding`): blocks, spread over
the corpus, as the document tower and the reader see them; the beginnings of their bodies are
the questions.
"""

import numpy as np
import tensorflow as tf

from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.models.bert import Bert
from realm_tf.models.multiplied import Rows, gram_matrices
from realm_tf.ops.bert import PRECISIONS, PackedBert
from realm_tf.text.inputs import Packed, pack_single

_BLOCKS = 128
_AT_ONCE = 16
_QUESTION = 12  # word pieces


def packed_berts(answerer: QuestionAnswerer, precision: str) -> dict[int, PackedBert]:
  """By the id of each BERT what is packed of it, where it can be.

  Args:
    precision: "float32" or "int8"; "": that in which each BERT answers, where it is one of
      these.
  """
  model = answerer.model
  berts = [*(tower.bert for tower in model.retriever.towers), model.encoder.bert]
  precisions = {id(bert): (bert, precision or bert.dtype_of_rows().name) for bert in berts}
  return {key: bert.pack(
      chosen, gram_matrices(bert, _rows(answerer, bert)) if chosen == "int8" else ())
          for key, (bert, chosen) in precisions.items()
          if chosen in PRECISIONS and bert.word_embeddings.dtype == tf.float32}


def _rows(answerer: QuestionAnswerer, bert: Bert) -> list[Rows]:
  model, passages = answerer.model, answerer.passages
  blocks = np.unique(np.linspace(0, answerer.num_blocks - 1, _BLOCKS).astype(np.int32))
  batches: list[Packed] = []
  for first in range(0, len(blocks), _AT_ONCE):
    part = tf.constant(blocks[first:first + _AT_ONCE])
    questions = passages.bodies.gather(part)[:, :_QUESTION]
    if bert is model.encoder.bert:
      batches.append(passages.after(questions, part[:, None], model.encoder.max_length))
    if bert is model.retriever.query_tower.bert:
      batches.append(pack_single(questions, model.retriever.query_length, passages.special))
    if any(bert is tower.bert for tower in model.retriever.towers):
      batches.append(passages.documents(part, model.retriever.document_length))
  return [(batch.ids, batch.padding_mask, batch.segments) for batch in batches]
