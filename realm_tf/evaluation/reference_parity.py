"""Our models against a reference: the same weights, the same inputs, its numbers.

A reference is a folder with `io.npz` (inputs and results of Hugging Face's REALM)
and `embedder/`, `scorer/`, `encoder/`, `reader/` (config.json, model.safetensors).
All sizes come from there; what it lacks is left out, and named. Our models compute in
double precision here, so that what differs by rounding is the reference's: in single
precision, relevances of some hundred differ by 1e-4 between any two programs. Shape
letters: B batch, K candidates, P rows, T tokens, M masked positions, L widths, V vocabulary.
"""

import contextlib
import dataclasses
import pathlib
import zipfile
from typing import Iterator

import numpy as np
import tensorflow as tf
import tf_keras

from realm_tf import files
from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.models import losses
from realm_tf.models.reader import Reader
from realm_tf.models.retriever import Retriever
from realm_tf.text.inputs import Packed

TOLERANCE = 1e-4


@dataclasses.dataclass(frozen=True)
class Comparison:
  """One quantity: the largest absolute difference, NaN where one side has it.

  `part` is the model that it is of. `largest` is the largest absolute value of the
  reference, to judge the difference by. `difference` is None where the reference does
  not have the quantity.
  """
  part: str
  quantity: str
  difference: float | None
  largest: float | None = None

  @property
  def holds(self) -> bool:
    return self.difference is None or self.difference <= TOLERANCE


class _Reference:
  """The folder, and the arrays of its `io.npz`."""

  def __init__(self, folder: PathLike):
    self.folder = pathlib.Path(folder)
    self.dtype = "float64"
    path = self.folder / "io.npz"
    try:
      with np.load(path, allow_pickle=False) as arrays:
        self.arrays = {name: arrays[name] for name in arrays}
    except FileNotFoundError:
      raise UserError(f"{path}: no such file; expected a reference with io.npz and the "
                      "folders embedder, scorer, encoder, reader") from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
      raise UserError(f"{path}: not a whole npz file ({error})") from None

  def has(self, *names: str) -> bool:
    return all(name in self.arrays for name in names)

  def __getitem__(self, name: str) -> np.ndarray:
    if name not in self.arrays:
      raise UserError(f"{self.folder / 'io.npz'}: array '{name}' is missing")
    return self.arrays[name]

  def packed(self, name: str, rows: int | None = None) -> Packed:
    """The inputs of that name, [..., T] -> [P, T]; `rows` keeps the first ones."""
    ids, mask, segments = (
        self[f"{name}_{part}"].reshape(-1, self[f"{name}_{part}"].shape[-1])[:rows]
        for part in ("ids", "mask", "segments"))
    return Packed(tf.constant(ids, tf.int32), tf.constant(mask > 0),
                  tf.constant(segments, tf.int32), tf.zeros([len(ids)], tf.int32))

  def compare(self, quantity: str, name: str, computed: tf.types.experimental.TensorLike
              ) -> Comparison:
    """Our value beside the array of that name."""
    part = name.partition("_")[0]
    if not self.has(name):
      return Comparison(part, quantity, None)
    expected, value = np.asarray(self[name], np.float64), np.asarray(computed, np.float64)
    if value.size != expected.size or (value.squeeze().shape != expected.squeeze().shape):
      raise UserError(f"{self.folder / 'io.npz'}: array '{name}' has shape "
                      f"{list(expected.shape)}, expected {list(value.shape)}")
    difference = np.abs(value.reshape(expected.shape) - expected)
    return Comparison(part, quantity, float(difference.max(initial=0.0)),
                      float(np.abs(expected).max(initial=0.0)))


@contextlib.contextmanager
def _arithmetic(dtype: str) -> Iterator[None]:
  """Layers that are made here have this dtype."""
  before = tf_keras.backend.floatx()
  tf_keras.backend.set_floatx(dtype)
  try:
    yield
  finally:
    tf_keras.backend.set_floatx(before)


def compare_with_reference(folder: PathLike, dtype: str = "float64") -> list[Comparison]:
  """Compares quantity by quantity, our models computing in `dtype`.

  Raises:
    UserError: the folder is not a reference, or does not fit together.
  """
  reference = _Reference(folder)
  parts = (("embedder", _embedder, "ids"), ("scorer", _scorer, "query_ids"),
           ("encoder", _encoder, "ids"), ("reader", _reader, "ids"))
  present = [(name, run) for name, run, inputs in parts
             if (reference.folder / name).is_dir() and reference.has(f"{name}_{inputs}")]
  if not present:
    raise UserError(f"{folder}: nothing to compare: none of "
                    f"{', '.join(name for name, _, _ in parts)} is there with its inputs")
  reference.dtype = dtype
  with _arithmetic(dtype):
    return [comparison for _, run in present for comparison in run(reference)]


def _embedder(reference: _Reference) -> Iterator[Comparison]:
  tower = Retriever.from_pretrained(reference.folder / "embedder").document_tower
  yield reference.compare("projected embeddings", "embedder_projected",
                          tower(reference.packed("embedder")))


def _scorer(reference: _Reference) -> Iterator[Comparison]:
  retriever = Retriever.from_pretrained(reference.folder / "scorer")
  queries, documents = retriever((reference.packed("scorer_query"),
                                  reference.packed("scorer_doc")))
  shape = reference["scorer_doc_ids"].shape[:2]
  documents = tf.reshape(documents, [*shape, -1])
  yield reference.compare("relevance", "scorer_relevance",
                          tf.einsum("bd,bkd->bk", queries, documents))


def _encoder(reference: _Reference) -> Iterator[Comparison]:
  folder = reference.folder / "encoder"
  encoder = Reader.from_pretrained(folder)
  yield from _masked_logits(reference, encoder)
  loss, by_relevance, by_words = _masked_lm_loss(reference, encoder)
  yield reference.compare("loss per_mask", "encoder_loss_per_mask", loss)
  yield reference.compare("gradient of loss per_mask by relevance",
                          "encoder_grad_relevance", by_relevance)
  name = "encoder_grad_word_embeddings"
  pad = files.read_object(folder / "config.json").get("pad_token_id")
  if reference.has(name) and (reference["encoder_ids"] == pad).any():
    # nn.Embedding keeps its padding row from learning where it is looked up.
    by_words[pad] = reference[name][pad]
  yield reference.compare("gradient of loss per_mask by word embeddings", name,
                          by_words)


def _masked_logits(reference: _Reference, encoder: Reader
                   ) -> Iterator[Comparison]:
  packed = reference.packed("encoder")
  rows = len(packed.ids)
  masked = reference["encoder_mlm_mask"] > 0  # [B, T]
  places = np.argwhere(np.repeat(masked, rows // len(masked), axis=0))  # [P * M, 2]
  hidden = encoder.bert(packed.ids, packed.padding_mask, packed.segments)
  logits = encoder.masked_lm(tf.gather_nd(hidden, places), encoder.bert.word_embeddings)
  if reference.has("encoder_logits"):
    all_logits = reference["encoder_logits"]
    all_logits = all_logits.reshape(rows, -1, all_logits.shape[-1])
    reference.arrays["encoder_logits at masks"] = all_logits[places[:, 0], places[:, 1]]
  yield reference.compare("masked-LM logits at the masked positions",
                          "encoder_logits at masks", logits)


def _masked_lm_loss(reference: _Reference, encoder: Reader
                    ) -> tuple[tf.Tensor, tf.Tensor, np.ndarray]:
  """The loss `per_mask`, averaged as Hugging Face does, and its gradients."""
  relevance = tf.Variable(reference["encoder_relevance"].astype(reference.dtype))  # [B, K]
  batch, candidates = relevance.shape
  mask = reference["encoder_mlm_mask"].astype(reference.dtype)
  most = max(1, int((mask > 0).sum(1).max()))
  positions = np.argsort(-mask, axis=1, kind="stable")[:, :most].astype(np.int32)
  weights = np.take_along_axis(mask, positions, 1)  # [B, M]
  labels = np.take_along_axis(reference["encoder_labels"], positions, 1).astype(np.int32)
  repeated = [tf.constant(np.repeat(value, candidates, axis=0))
              for value in (positions, labels, weights)]
  with tf.GradientTape() as tape:
    log_probs = encoder.mask_log_probs(reference.packed("encoder"), *repeated)
    log_probs = tf.reshape(log_probs, [batch, candidates, most])
    per_mask = losses.per_mask_loss(relevance, log_probs, tf.constant(weights))
    loss = tf.math.divide_no_nan(tf.reduce_sum(per_mask), weights.sum())
  by_relevance, by_words = tape.gradient(
      loss, [relevance, encoder.bert.word_embeddings],
      unconnected_gradients=tf.UnconnectedGradients.ZERO)
  return loss, by_relevance, tf.convert_to_tensor(by_words).numpy()


def _reader(reference: _Reference) -> Iterator[Comparison]:
  encoder = Reader.from_pretrained(reference.folder / "reader")
  relevance = tf.Variable(reference["reader_relevance"].astype(reference.dtype))  # [searched]
  rows = _rows_read(reference)
  packed = reference.packed("reader", rows)
  with tf.GradientTape() as tape:
    hidden = encoder.bert(packed.ids, packed.padding_mask, packed.segments)
    spans = encoder.span_head(hidden, tf.constant(reference["reader_block_mask"][:rows] > 0))
    # Hugging Face lists the spans by width, then by start.
    logits = tf.transpose(spans, [0, 2, 1]) + relevance[:rows, None, None]  # [P, L, T]
    retriever_loss, reader_loss = _reader_losses(reference, relevance, logits)
    loss = retriever_loss + reader_loss
  gradient = tape.gradient(loss, relevance,
                           unconnected_gradients=tf.UnconnectedGradients.ZERO)
  yield reference.compare("retriever loss", "reader_retriever_loss", retriever_loss)
  yield reference.compare("reader loss", "reader_reader_loss", reader_loss)
  yield reference.compare("sum of both losses", "reader_loss", loss)
  yield reference.compare("gradient of both losses by relevance", "reader_grad_relevance",
                          tf.convert_to_tensor(gradient))
  yield from _prediction(reference, logits.numpy())


def _rows_read(reference: _Reference) -> int:
  """How many of the searched blocks the reader read."""
  path = reference.folder / "reader" / "config.json"
  wanted = files.read_object(path).get("reader_beam_size", 5)
  return min(wanted, len(reference["reader_ids"]), len(reference["reader_relevance"]))


def _reader_losses(reference: _Reference, relevance: tf.Tensor, logits: tf.Tensor
                   ) -> tuple[tf.Tensor, tf.Tensor]:
  rows, widths, length = logits.shape
  correct = np.zeros([rows, widths, length], bool)
  for row in range(rows):
    for start, end in zip(reference["reader_gold_starts"][row],
                          reference["reader_gold_ends"][row], strict=True):
      if 0 <= start <= end < min(length, start + widths):
        correct[row, end - start, start] = True
  return (losses.marginal_loss(relevance[None], reference["reader_has_answer"][None] > 0)[0],
          losses.marginal_loss(tf.reshape(logits, [1, -1]), correct.reshape(1, -1))[0])


def _prediction(reference: _Reference, logits: np.ndarray) -> Iterator[Comparison]:
  row, width, start = np.unravel_index(np.argmax(logits), logits.shape)
  before = sum(logits.shape[2] - narrower for narrower in range(width))
  for quantity, name, value in (
      ("predicted block", "reader_block_idx", row),
      ("predicted span", "reader_candidate", before + start),
      ("start of the predicted span", "reader_start", start),
      ("end of the predicted span", "reader_end", start + width)):
    yield reference.compare(quantity, name, value)
