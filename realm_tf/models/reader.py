"""The reader: a BERT over question and passage together.

The paper calls it the knowledge-augmented encoder. With a masked-LM head it predicts
masked words (pre-training), with a span head it finds answers (REALM, section 3.1; ORQA,
section 3). Shape letters: P rows of question-passage pairs, B batch of these, T tokens, M
masks, L span widths, F span hidden, V vocabulary, H hidden.
"""

from typing import Any, Mapping, NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras

from realm_tf.examples.span_batches import SpanBatch, span_batches
from realm_tf.files import PathLike
from realm_tf.models import losses, pretrained, texts
from realm_tf.models.bert import Bert, BertConfig, make_bert
from realm_tf.models.heads import MaskedLanguageModel, SpanHead
from realm_tf.models.task import Task
from realm_tf.models.texts import Texts
from realm_tf.text.inputs import Packed, pack_pair, packed_spec
from realm_tf.text.tokenizer import Tokenizer


class Span(NamedTuple):
  """An answer and where it stands."""
  answer: str  # cut from the passage; empty where it has no word
  score: float  # logit; minus infinity where the passage has no word
  start: int  # character (Unicode code point) of the passage
  end: int  # exclusive


@tf_keras.saving.register_keras_serializable(package="realm_tf")
class Reader(Task):
  """A BERT with a masked-LM head and a span head.

  `fit` learns where answers stand in passages: of all spans of a passage, one softmax, in
  which all places of the answer are right. It takes `fit(x=(questions, passages),
  y=answers)`, see `examples.span_batches`, or a data set of `SpanBatch`.

  Args:
    bert: its sizes, a `BertConfig` or its fields by name; or a `Bert`.
    span_hidden_size: F.
    max_span_width: L, word pieces of the longest answer.
    span_norm_eps: of the span head's norm.
    max_length: word pieces of question and passage together, special ones counted; longer
      ones are cut. By default 320, as published, or as many as the BERT has positions.
    precision, recompute, dropout: see `Bert`, of one that is made here; `dropout` is its
      `rate`.
    tokenizer: reads texts; see `Task`.
  """
  measured = ("exact_span",)

  def __init__(self, bert: BertConfig | Mapping[str, Any] | Bert, *,
               span_hidden_size: int = 256, max_span_width: int = 10,
               span_norm_eps: float = 1e-3, max_length: int | None = None,
               precision: str = "float32", recompute: bool = False, dropout: float = 0.0,
               tokenizer: Tokenizer | None = None, name: str = "reader"):
    bert = make_bert(bert, precision, recompute, rate=dropout)
    super().__init__(bert.config, tokenizer, name=name)
    self.bert = bert
    self.span_hidden_size, self.max_span_width = span_hidden_size, max_span_width
    self.span_norm_eps = span_norm_eps
    self.max_length = self.bert.length(max_length, 320, "max_length")
    self.masked_lm = MaskedLanguageModel(self.bert_config, name="masked_lm")
    self.span_head = SpanHead(self.bert_config.hidden_size, span_hidden_size, max_span_width,
                              span_norm_eps, name="span_head")
    self.built = True

  def call(self, packed: Packed) -> tf.Tensor:
    """The logits of all spans; see `span_logits`."""
    return self.span_logits(packed)

  def mask_log_probs(self, packed: Packed, positions: tf.Tensor, labels: tf.Tensor,
                     weights: tf.Tensor) -> tf.Tensor:
    """log p(y_j | z, x): logits are computed at the masked positions only.

    Args:
      packed: question-passage pairs, [P, T].
      positions, labels: [P, M] int32.
      weights: [P, M] float32, 0 on padding, for which no logits are made.

    Returns:
      [P, M] float32; 0 on padding.
    """
    return self.mask_log_probs_of(self.hidden(packed), positions, labels, weights)

  def mask_log_probs_padded(self, packed: Packed, positions: tf.Tensor, labels: tf.Tensor,
                            weights: tf.Tensor) -> tf.Tensor:
    """As `mask_log_probs`; makes logits on padding too, so no shape depends on the data."""
    return self.mask_log_probs_of(self.hidden(packed), positions, labels, weights,
                                  padded=True)

  def mask_log_probs_of(self, hidden: tf.Tensor, positions: tf.Tensor, labels: tf.Tensor,
                        weights: tf.Tensor, padded: bool = False) -> tf.Tensor:
    """As `mask_log_probs`, or `mask_log_probs_padded`, of [P, T, H] states."""
    if not padded:
      real, logits = self._at_masks(hidden, positions, weights)
      nats = tf.nn.sparse_softmax_cross_entropy_with_logits(
          tf.gather_nd(labels, real), logits)
      return tf.scatter_nd(real, -nats, tf.shape(weights, tf.int64))
    at_masks = tf.gather(hidden, positions, batch_dims=1)  # [P, M, H]
    logits = self.masked_lm(tf.reshape(at_masks, [-1, hidden.shape[-1]]),
                            self.bert.word_embeddings)
    nats = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.reshape(labels, [-1]), logits)
    return -tf.reshape(nats, tf.shape(weights)) * weights

  def mask_distributions(self, packed: Packed, positions: tf.Tensor, weights: tf.Tensor
                         ) -> tf.Tensor:
    """log p(. | z, x) at each mask: as `mask_log_probs`, but [P, M, V]."""
    real, logits = self._at_masks(self.hidden(packed), positions, weights)
    shape = tf.concat([tf.shape(weights, tf.int64), tf.shape(logits, tf.int64)[1:]], 0)
    return tf.scatter_nd(real, tf.nn.log_softmax(logits), shape)

  def hidden(self, packed: Packed) -> tf.Tensor:
    """The states that all heads read: [P, T] -> [P, T, H]."""
    return self.bert(packed.ids, packed.padding_mask, packed.segments)

  def _at_masks(self, hidden: tf.Tensor, positions: tf.Tensor, weights: tf.Tensor
                ) -> tuple[tf.Tensor, tf.Tensor]:
    """The P masks that are no padding: row and mask [P, 2] int64, logits [P, V]."""
    real = tf.where(weights > 0)
    row = tf.cast(real[:, :1], tf.int32)
    at_masks = tf.gather_nd(
        hidden, tf.concat([row, tf.gather_nd(positions, real)[:, None]], 1))  # [P, H]
    return real, self.masked_lm(at_masks, self.bert.word_embeddings)

  def span_logits(self, packed: Packed) -> tf.Tensor:
    """[P, T] -> [P, T, L]: the score of each span of the passage."""
    return self.span_logits_of(self.hidden(packed), packed)

  def span_logits_of(self, hidden: tf.Tensor, packed: Packed) -> tf.Tensor:
    """As `span_logits`, of [P, T, H] states."""
    place = tf.range(tf.shape(packed.ids)[1])[None]
    # The last token of a packed pair is [SEP]: no answer ends there.
    end = tf.reduce_sum(tf.cast(packed.padding_mask, tf.int32), -1)[:, None] - 1
    return self.span_head(
        hidden, (place >= packed.second_start[:, None]) & (place < end))

  def read(self, questions: Texts, passages: Texts, batch_tokens: int = texts.BATCH_TOKENS
           ) -> list[Span]:
    """The best span of each passage as the answer to its question.

    Args:
      questions, passages: as many of both.
      batch_tokens: about how many word pieces are read at a time.
    """
    columns = [texts.as_list(questions), texts.as_list(passages)]
    if len(columns[0]) != len(columns[1]):
      raise ValueError(f"{len(columns[0])} questions, but {len(columns[1])} passages")
    tokenizer, best = self._need_tokenizer(), self._graph(self._best)
    spans: list[Any] = [None] * len(columns[1])
    for places, ids in texts.token_batches(tokenizer, columns, self.max_length,
                                           batch_tokens):
      scores, firsts, lasts = (part.numpy() for part in best(self._pack(*ids)))
      batch = [columns[1][place] for place in places]
      _, starts, ends = (part.to_list() for part in tokenizer.tokenize_with_offsets(batch))
      for i, place in enumerate(places):
        spans[place] = _cut(batch[i], scores[i], firsts[i], lasts[i], starts[i], ends[i])
    return spans

  def _best(self, packed: Packed) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Score, and first and last piece of the passage, of the best spans: [P] each."""
    logits = self.span_logits(packed)
    width = tf.shape(logits)[2]
    logits = tf.reshape(logits, [tf.shape(logits)[0], -1])
    best = tf.argmax(logits, 1, tf.int32)
    first = best // width - packed.second_start
    return tf.reduce_max(logits, 1), first, first + best % width

  def pack(self, questions: tf.Tensor, passages: tf.Tensor) -> Packed:
    """[P] string both -> `[CLS] question [SEP] passage [SEP]`, in the graph or outside."""
    return self._pack(*map(self._need_tokenizer().tokenize, (questions, passages)))

  def _pack(self, questions: tf.RaggedTensor, passages: tf.RaggedTensor) -> Packed:
    return pack_pair(questions, passages, self.max_length, self._need_tokenizer())

  # What `fit` does; see `Task`.

  def batches(self, x: Any, y: Any, batch_size: int, shuffle: bool) -> tf.data.Dataset:
    """Of (questions, passages) and answers, or a data set of `SpanBatch`."""
    if isinstance(x, tf.data.Dataset):
      return x
    questions, passages = map(texts.as_list, x)
    return span_batches(questions, passages, y, self._need_tokenizer(), batch_size,
                        self.max_length, self.max_span_width, shuffle)

  def prepare(self, batch: SpanBatch) -> tuple[Packed, tf.Tensor]:
    return batch.pairs, batch.correct

  def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None) -> tf.Tensor:
    """-log p of all right spans of a passage together, on average.

    Args:
      x: packed pairs.
      y: [B, T, L] bool, which spans are right.
      y_pred: [B, T, L] logits.
      sample_weight: Keras's; there are none.
    """
    del x, sample_weight
    return tf.reduce_mean(losses.marginal_loss(_flat(y_pred), _flat(y)))

  def measure(self, x: Any, y: Any, y_pred: Any) -> dict[str, tf.Tensor]:
    best = tf.argmax(_flat(y_pred), 1)
    return {"exact_span": losses.share(tf.gather(_flat(y), best, batch_dims=1))}

  # How it is saved.

  def get_config(self) -> dict[str, Any]:
    return super().get_config() | {
        "span_hidden_size": self.span_hidden_size, "max_span_width": self.max_span_width,
        "span_norm_eps": self.span_norm_eps, "max_length": self.max_length,
        "precision": self.bert.precision, "recompute": self.bert.recompute,
        "dropout": self.bert.rate}

  def save_spec(self, dynamic_batch: bool = True) -> tuple[list, dict]:
    """What Keras traces `call` with, so that a model is saved that was never called."""
    del dynamic_batch
    return [packed_spec()], {}

  @classmethod
  def from_pretrained(cls, folder: PathLike, **arguments: Any) -> "Reader":
    """A reader with the weights of a folder; see `models.pretrained`."""
    return pretrained.reader(cls, folder, **arguments)


def _flat(spans: tf.Tensor) -> tf.Tensor:
  return tf.reshape(spans, [tf.shape(spans)[0], -1])


def _cut(passage: bytes, score: np.float32, first: int, last: int, starts: list[int],
         ends: list[int]) -> Span:
  """The span of pieces `first` to `last`; all pieces stand at these bytes of the passage."""
  if not np.isfinite(score):
    return Span("", -float("inf"), 0, 0)
  start = len(passage[:starts[first]].decode("utf-8", "replace"))
  answer = passage[starts[first]:ends[last]].decode("utf-8", "replace")
  return Span(answer, float(score), start, start + len(answer))
