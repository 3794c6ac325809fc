"""Warm-start examples by recurring spans (Spider: Ram et al. 2022, arXiv 2112.07708).

A query is a window of a block around a salient span, which is then left out of it or not;
it is to find another block that holds the span, among the documents of the batch and one
more for each: a block of the same article that does not hold it. Unlike an ICT query it
shares no sentence with its document, only the subject.

Where the paper takes all n-grams that recur, spans here are those that the tagger of the
corpus finds. Shape letters: B batch, T tokens, C draws.
"""

import tensorflow as tf

from realm_tf.config import ICTConfig
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.tables import Table, at, columns, variable
from realm_tf.errors import UserError
from realm_tf.examples import order
from realm_tf.examples.ict_pairs import ICTBatch, cut
from realm_tf.examples.recurring import Windows, articles, held_spans, recurring_spans
from realm_tf.examples.salient_support import Support
from realm_tf.text.inputs import pack_pair, pack_single

_DRAWS = 4  # blocks of the article that are looked at for one without the span


def recurring_span_batches(
    corpus: Corpus, *, batch_size: int, query_length: int, document_length: int, seed: int,
    first_step: int, last_step: int, fixed_lengths: bool = False,
    settings: ICTConfig | None = None, removal_rate: float | None = None) -> tf.data.Dataset:
  """Yields an `ICTBatch` per step; the same (seed, step) gives the same batch.

  Args:
    corpus: with salient spans.
    batch_size: B.
    query_length, document_length: word pieces, special tokens counted.
    seed, first_step, last_step: see `order.shuffled_batches`.
    fixed_lengths: T is the lengths given in every batch.
    settings: of them `span_blocks`, `query_window`, `span_removal_rate`, `hard_negatives`.
    removal_rate: of ICT's sentences, without meaning here.

  Raises:
    UserError: no span recurs.
  """
  del removal_rate
  settings = settings or ICTConfig()
  spans = recurring_spans(corpus, settings.span_blocks)
  if not len(spans.row):
    raise UserError("ICT: no salient span recurs in another block of the corpus (in so many "
                    f"as config.ict.span_blocks={settings.span_blocks} says); set "
                    "--config.ict.objective=ict, or --config.ict.steps=0")
  table, support = columns(spans[:4]), Support(*columns(spans.support))
  titles, bodies = Table(corpus.title_ids), Table(corpus.body_ids)
  windows = Windows(corpus.tokenizer)
  negatives = _Negatives(corpus) if settings.hard_negatives else None
  special, multiple = corpus.tokenizer, 0 if fixed_lengths else 8
  shortest, longest = settings.query_window
  removal = settings.span_removal_rate

  def document(rows: tf.Tensor):
    return pack_pair(titles.gather(rows), bodies.gather(rows), document_length, special,
                     multiple)

  def batch(step: tf.Tensor, chosen: tf.Tensor) -> ICTBatch:
    row, start, end, name = at(table, chosen)
    draws = tf.reshape(order.uniform(step, seed, (4 + _DRAWS) * batch_size),
                       [4 + _DRAWS, batch_size])
    body = bodies.gather(row)
    body_end = tf.cast(body.row_lengths(), tf.int32)
    length = shortest + tf.cast(draws[0] * (longest - shortest + 1), tf.int32)
    first, last = windows.draw(body, tf.zeros_like(start), body_end, start, end, length,
                               draws[1])
    window = cut(body, first, last, keep_inside=True)
    removed = draws[2] < removal
    query = cut(window, start - first, tf.where(removed, end, start) - first,
                keep_inside=False)
    positives = support.another(chosen, draws[3])
    examples = ICTBatch(pack_single(query, query_length, special, multiple),
                        document(positives), positives)
    if negatives and negatives.exist:
      others = negatives.choose(row, name, draws[4:])
      examples = examples._replace(negatives=document(others), negative_rows=others)
    return order.fix_batch_size(examples, batch_size)

  return order.shuffled_batches(
      len(spans.row), batch_size, seed, first_step, last_step
  ).map(batch, num_parallel_calls=2, deterministic=True).prefetch(4)


class _Negatives:
  """Blocks of a query's article without its span; where none is found, any other block."""

  def __init__(self, corpus: Corpus):
    by_article = articles(corpus)
    self.exist = bool((by_article.end - by_article.first > 1).any())
    self._rows, self._edges = variable(by_article.rows), columns(by_article[2:])
    self._size = corpus.num_blocks
    self._held = variable(held_spans(corpus).keys)

  def choose(self, row: tf.Tensor, name: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """[B], [B] int32, [C, B] float32 in [0, 1) -> [B] int32."""
    first, end = at(self._edges, row)
    place = first + tf.cast(draws * tf.cast(end - first, tf.float32), tf.int32)
    drawn_rows, = at([self._rows], place)  # [C, B]
    usable = ~self._holds(place, name)  # its own block holds it
    best = tf.gather(tf.transpose(drawn_rows), tf.argmax(usable), batch_dims=1)
    size = tf.constant(self._size)
    other = tf.cast(draws[0] * tf.cast(size - 1, tf.float32), tf.int32)
    return tf.where(tf.reduce_any(usable, 0), best, (row + 1 + other) % size)

  def _holds(self, place: tf.Tensor, name: tf.Tensor) -> tf.Tensor:
    """Whether the span is salient in the blocks there: [C, B], [B] -> [C, B] bool."""
    wanted = tf.cast(name, tf.int64) * self._size + tf.cast(place, tf.int64)
    held = self._held.read_value()
    place = tf.searchsorted(held, tf.reshape(wanted, [-1]))
    return tf.reshape(tf.gather(held, place), tf.shape(wanted)) == wanted
