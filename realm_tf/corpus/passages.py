"""The corpus in the graph: blocks tokenised once, looked up by row in a step.

Row N, one past the last block, is the null document: an empty title and body.
Shape letters: B batch, T tokens, N blocks.
"""

import functools

import numpy as np
import tensorflow as tf

from realm_tf.corpus.store import Corpus
from realm_tf.corpus.tables import Table
from realm_tf.corpus.windows import best_windows, piece_weights
from realm_tf.text.inputs import Packed, SpecialIds, pack_pair
from realm_tf.text.tokenizer import CONTINUATION, Tokenizer
from realm_tf.text.words import words


@functools.cache
def _is_word(char: str) -> bool:
  """Whether a character is a word by itself, even between two letters."""
  return len(words(f"a{char}a")) == 3


def _word_edges(tokenizer: Tokenizer) -> tuple[np.ndarray, np.ndarray]:
  """Which pieces begin a word whatever is before them, and which end one: [V] bool each.

  To BERT "£5" and "トヨタの" are one word each; by `words` they are more.
  """
  texts = [token.removeprefix(CONTINUATION) or token for token in tokenizer.vocabulary]
  begins, ends = (np.array([_is_word(text[place]) for text in texts]) for place in (0, -1))
  return begins | ~tokenizer.continuation, ends


class Passages(tf.Module):
  """Titles and bodies of all blocks, and of the null document."""

  def __init__(self, corpus: Corpus):
    super().__init__(name="passages")
    self.corpus = corpus
    self.num_blocks = corpus.num_blocks
    self.special: SpecialIds = corpus.tokenizer
    self.titles = Table(corpus.title_ids.with_empty_row(), "titles")
    self.bodies = Table(corpus.body_ids.with_empty_row(), "bodies")
    self._begins_word, self._ends_word = map(tf.constant, _word_edges(corpus.tokenizer))
    self.document_lengths = corpus.title_ids.lengths + corpus.body_ids.lengths + 3  # [N]

  @property
  def null_row(self) -> int:
    return self.num_blocks

  def documents(self, rows: tf.Tensor, max_length: int, multiple: int = 8) -> Packed:
    """[B] int32 -> `[CLS] title [SEP] body [SEP]`, what the document tower reads."""
    return pack_pair(self.titles.gather(rows), self.bodies.gather(rows), max_length,
                     self.special, multiple)

  @functools.cached_property
  def _piece_weights(self) -> tf.Tensor:
    tokenizer = self.corpus.tokenizer
    special = (tokenizer.pad_id, tokenizer.cls_id, tokenizer.sep_id, tokenizer.mask_id)
    with tf.init_scope():  # asked for in a graph, it belongs to none
      return tf.constant(piece_weights(self.corpus.body_ids, tokenizer.vocab_size, special))

  def after(self, questions: tf.RaggedTensor, rows: tf.Tensor, max_length: int,
            multiple: int = 8, whole_questions: bool = False, window: int = 0) -> Packed:
    """`[CLS] x [SEP] body [SEP]`, what the encoder reads: the body has no title.

    Args:
      questions: [B, (T)] int32.
      rows: [B, K] int32: the blocks to read with each question.
      max_length: word pieces; bodies are cut before questions are, see `pack_pair`.
      multiple: see `pack_pair`.
      whole_questions: for sentences with masks, whose places are counted: they are cut
        only where they would not fit alone.
      window: so many pieces of each body are read, where it matches the question best (see
        `corpus.windows`); 0: from its beginning.

    Returns:
      B * K packed pairs, those of the first question first.
    """
    owner = tf.repeat(tf.range(tf.shape(rows)[0]), tf.shape(rows)[1])
    questions, bodies = tf.gather(questions, owner), self.bodies.gather(
        tf.reshape(rows, [-1]))
    if window:
      bodies = best_windows(bodies, questions, self._piece_weights, window)
    return pack_pair(questions, bodies, max_length, self.special, multiple, whole_questions)

  def word_edges(self, packed: Packed, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Which pieces of bodies that `after` packed begin a word, and which end one.

    Where a block was cut inside a word, that begins with the block; where `after` cut, it
    does not end.

    Args:
      packed: [R, T].
      rows: [R] int32, their blocks.

    Returns:
      [R, T] bool each; anything outside of the bodies.
    """
    place = tf.range(tf.shape(packed.ids)[1])[None]
    begins = self._begins(packed.ids) | (place == packed.second_start[:, None])
    # Of the body, exclusive.
    end = tf.reduce_sum(tf.cast(packed.padding_mask, tf.int32), 1) - 1
    length = end - packed.second_start
    around_cut = tf.stack(
        [self.bodies.at(rows, length - 1), self.bodies.at(rows, length)], 1)
    goes_on = (length < self.bodies.lengths(rows)) & ~self._begins(around_cut)[:, 1]
    ends = tf.concat([begins[:, 1:], tf.ones_like(begins[:, :1])], 1)
    return begins, ends & ~((place == end[:, None] - 1) & goes_on[:, None])

  def whole_words(self, rows: tf.Tensor, first: tf.Tensor, last: tf.Tensor
                  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Widens spans of pieces to the words that they are in.

    Args:
      rows: [B] int32, blocks.
      first, last: [B] int32, inclusive.

    Returns:
      [B] int32 each; 0 and -1 where the block is empty.
    """
    ids = self.bodies.gather(rows).to_tensor()  # [B, T]
    place = tf.range(tf.shape(ids)[1])[None]
    begins = self._begins(ids) | (place == 0)
    before = tf.where(begins & (place <= first[:, None]), place, 0)
    after = tf.where(begins & (place > last[:, None]), place, tf.int32.max)
    return (tf.maximum(tf.reduce_max(before, 1), 0),
            tf.minimum(tf.reduce_min(after, 1), self.bodies.lengths(rows)) - 1)

  def _begins(self, ids: tf.Tensor) -> tf.Tensor:
    """Which pieces of rows [B, T] begin a word."""
    after_word = tf.gather(self._ends_word, ids[:, :-1])
    after_word = tf.concat([tf.zeros_like(ids[:, :1], tf.bool), after_word], 1)
    return tf.gather(self._begins_word, ids) | after_word
