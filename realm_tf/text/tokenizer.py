"""WordPiece in the graph, with byte offsets into the original text.

Shape letters: B batch, T tokens, V vocabulary.
"""

import functools
import hashlib
import json
import pathlib
from typing import NamedTuple, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.text import fast_normalizer, normalizer

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CONTINUATION = "##"


def check_vocabulary(vocabulary: Sequence[str], name: str) -> None:
  """Raises `UserError`, which says `name`, where it is no WordPiece vocabulary."""
  missing = [token for token in SPECIAL_TOKENS if token not in vocabulary]
  if missing:
    raise UserError(f"{name}: not a WordPiece vocabulary: {', '.join(missing)} "
                    "missing; expected one token per line, as in BERT's vocab.txt")
  line_of: dict[str, int] = {}
  for line, token in enumerate(vocabulary, 1):
    if not token:
      raise UserError(f"{name}:{line}: empty token; expected one token per line")
    if token in line_of:
      raise UserError(f"{name}:{line}: token '{token}' is there already, in line "
                      f"{line_of[token]}; expected each token once")
    line_of[token] = line


def read_vocabulary(path: PathLike) -> list[str]:
  """Reads a WordPiece vocabulary, one token per line.

  Raises:
    UserError: missing, not UTF-8, an empty line, a duplicate, or a special token
      ([PAD] [UNK] [CLS] [SEP] [MASK]) that is not there.
  """
  path = pathlib.Path(path)
  try:
    text = path.read_bytes().decode("utf-8")
  except OSError as error:
    raise UserError(f"{path}: cannot be read ({error.strerror})") from None
  except UnicodeDecodeError as error:
    raise UserError(f"{path}: not UTF-8 (byte {error.start}); expected a WordPiece "
                    "vocabulary, one token per line") from None
  # Not splitlines(): a vocabulary may hold U+2028 and the like as tokens.
  vocabulary = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
  check_vocabulary(vocabulary, str(path))
  return vocabulary


class Pieces(NamedTuple):
  """The pieces of B texts, end to end."""
  ids: np.ndarray     # [T] int32
  starts: np.ndarray  # [T] int64: bytes of the texts, end to end
  ends: np.ndarray    # [T] int64: exclusive
  splits: np.ndarray  # [B + 1] int64: where those of each text begin
  char_places: np.ndarray  # [C + 1] int64: where each character of the texts begins


class Tokenizer(tf.Module):
  """Text to WordPiece ids, the same as those of BERT's own tokenizer.

  All methods are graph operations and can be exported in a SavedModel. No special
  tokens are added, and none are read: "[SEP]" in a text is three tokens.

  Attributes:
    vocabulary: the V tokens, in the order of their ids.
    continuation: `[V]` bool array: the piece goes on with a word ('##...').
    hash: SHA-256 of vocabulary and settings, in hexadecimal.
  """

  def __init__(self, vocabulary: Sequence[str], lower_case: bool = True):
    """Raises `UserError` where `vocabulary` is not a WordPiece vocabulary."""
    super().__init__()
    check_vocabulary(vocabulary, "vocabulary")
    # Wrapped: tf.Module would track, and so copy, a list attribute.
    self._vocabulary = tuple(vocabulary)
    self.lower_case = lower_case
    (self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id) = (
        self._vocabulary.index(token) for token in SPECIAL_TOKENS)
    self._normalizer = normalizer.Normalizer(lower_case)
    with tf.init_scope():
      self._wordpieces = tf_text.FastWordpieceTokenizer(
          list(vocabulary), suffix_indicator=CONTINUATION, unknown_token="[UNK]",
          # TF Text counts bytes, BERT characters: the normalizer sees to those.
          max_bytes_per_word=4 * normalizer.MAX_WORD_CHARS, token_out_type=tf.int32)

  @classmethod
  def from_file(cls, path: PathLike, lower_case: bool = True) -> "Tokenizer":
    """Makes a tokenizer of a vocabulary file; errors as of `read_vocabulary`."""
    return cls(read_vocabulary(path), lower_case)

  @property
  def vocabulary(self) -> tuple[str, ...]:
    return self._vocabulary

  @property
  def vocab_size(self) -> int:
    return len(self._vocabulary)

  @property
  def special_ids(self) -> tuple[int, ...]:
    """Of the tokens that are no words, [UNK] among them."""
    return self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id

  @functools.cached_property
  def continuation(self) -> np.ndarray:
    return np.array([token.startswith(CONTINUATION) for token in self._vocabulary])

  @property
  def hash(self) -> str:
    settings = {"lower_case": self.lower_case, "vocabulary": self._vocabulary}
    text = json.dumps(settings, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()

  def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
    """Tokenises texts `[B]` string -> ids `[B, (T)]` int32."""
    texts = tf.convert_to_tensor(texts, tf.string)
    return self._wordpieces.tokenize(self._normalizer(texts))

  def tokenize_with_offsets(
      self, texts: tf.Tensor
  ) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
    """Tokenises and says where each piece stands in the text as it was given.

    `text[start:end]` on the UTF-8 bytes is the surface of a piece, accents and all.
    A character that falls into several pieces (Hangul) is the surface of each.

    Args:
      texts: `[B]` string, UTF-8.

    Returns:
      ids, starts, ends: `[B, (T)]` int32 each; `ends` is exclusive.
    """
    texts = tf.convert_to_tensor(texts, tf.string)
    normalized = self._normalizer.with_map(texts)
    ids, starts, ends = self._wordpieces.tokenize_with_offsets(normalized.texts)
    base = tf.gather(normalized.byte_splits, ids.value_rowids())  # [T]
    first = base + tf.cast(starts.values, tf.int64)
    last = base + tf.cast(ends.values, tf.int64) - 1
    return (ids, ids.with_values(tf.gather(normalized.byte_starts, first)),
            ids.with_values(tf.gather(normalized.byte_ends, last)))

  def pieces(self, texts: Sequence[str]) -> Pieces:
    """As `tokenize_with_offsets`, of texts that UTF-8 can hold; sooner, and in no graph."""
    normalized = fast_normalizer.normalize_with_map(texts, self.lower_case)
    ids, starts, ends = self._wordpieces.tokenize_with_offsets(
        tf.constant(normalized.texts, tf.string, [len(texts)]))
    splits = ids.row_splits.numpy()
    base = np.repeat(normalized.splits[:-1], np.diff(splits))
    first = normalized.source[base + starts.values.numpy()]
    last = normalized.source[base + ends.values.numpy() - 1]
    return Pieces(ids.values.numpy(), normalized.char_places[first],
                  normalized.char_ends[last], splits, normalized.char_places)
