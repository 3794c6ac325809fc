"""REALM: retriever and reader as one model of p(y|x) (Guu et al. 2020, section 3).

Shape letters: B batch, K candidates, E banned rows, W beam, D projection, M masks.
"""

import dataclasses
from typing import Any, Mapping, Sequence

import tensorflow as tf
import tf_keras

from realm_tf.corpus.passages import Passages
from realm_tf.errors import UserError
from realm_tf.examples.answered import AnsweredBatch, answered_batches
from realm_tf.examples.pretraining import PretrainingBatch
from realm_tf.files import PathLike
from realm_tf.models import losses, open_qa, pretrained, scores, texts
from realm_tf.models.losses import MarginalLoss
from realm_tf.models.open_qa import Beam, BeamScores
from realm_tf.models.reader import Reader
from realm_tf.models.retriever import Retriever
from realm_tf.models.scores import READS, Index, Reads, Scores
from realm_tf.models.task import Task
from realm_tf.models.tower import Tower
from realm_tf.registry import LOSSES
from realm_tf.text.inputs import pack_single


@dataclasses.dataclass(frozen=True)
class Documents:
  """What a `Realm` retrieves from. It is neither saved nor counted with the model."""
  passages: Passages
  index: Index


@tf_keras.saving.register_keras_serializable(package="realm_tf")
class Realm(Task):
  """Retriever, f(x, z), and reader, p(y|z, x).

  `use` gives it documents to retrieve. `fit` then learns

  * from a data set of masked sentences (`examples.pretraining.pretraining_batches`): the
    marginal loss over the null document and the best others by the index;
  * from questions and answers, `fit(x=questions, y=answers)`, an answer being a text or
    a list of texts: the losses of ORQA (`models.open_qa`). The document tower and the index
    stay as they are, so the towers must be two: see `Retriever.untie_towers`.

  Retriever and reader are models of their own, which may be compiled and fitted by
  themselves. `compute_loss` may be replaced by that of a subclass.

  Args:
    retriever: f(x, z).
    encoder: p(y|z, x), the paper's knowledge-augmented encoder.
    candidates: K, the null document counted.
    beam_size: W, blocks in the retriever's loss, where it learns from questions.
    read_blocks: of these, those that are read.
    max_spans: correct spans used per block.
  """
  measured = ("retrieval_utility", "best_retrieval_utility", "null_probability",
              "prior_entropy", "mask_log_prob_null", "retriever_loss", "reader_loss",
              "beam_has_answer", "read_has_answer", "exact_span")

  def __init__(self, retriever: Retriever, encoder: Reader, *, candidates: int = 8,
               beam_size: int = 5000, read_blocks: int = 5, max_spans: int = 8,
               name: str = "realm"):
    super().__init__(retriever.bert_config, retriever.tokenizer, name=name)
    words, others = retriever.tokenizer, encoder.tokenizer
    if words and others and words is not others and words.hash != others.hash:
      raise UserError("retriever and encoder have different vocabularies: both read the same "
                      "word pieces, so take weights that were made for one vocabulary")
    self.retriever, self.encoder = retriever, encoder
    self.candidates, self.beam_size = candidates, beam_size
    self.read_blocks, self.max_spans = read_blocks, max_spans
    self.built = True

  @property
  def strategy(self) -> tf.distribute.Strategy:
    """By which it is trained: that in whose scope it was made."""
    return self.distribute_strategy

  def make_tower(self) -> Tower:
    """A second tower of the same shape, for the copy that embeds the corpus."""
    return self.retriever.make_tower("copy", self.retriever.embed_precision)

  def use(self, passages: Passages, index: Index) -> None:
    """Gives it the documents that it retrieves from now on; neither is saved with it.

    Args:
      passages: a corpus in the graph.
      index: of these, by the document tower. What keeps it fresh while the model learns
        is no business of the model.
    """
    self._untracked.documents = Documents(passages, index)
    self.train_function = self.test_function = None  # they hold what was used before

  @property
  def documents(self) -> Documents:
    """What `use` gave it last; ValueError if nothing."""
    documents = getattr(self._untracked, "documents", None)
    if documents is None:
      raise ValueError("it has no documents to retrieve: call use(passages, index) first")
    return documents

  # What it computes.

  def call(self, inputs: Reads | Beam) -> Scores | BeamScores:
    """What the losses are made of, of all that is read."""
    if isinstance(inputs, Beam):
      return open_qa.score_beam(self.retriever, self.encoder, inputs, self._read_blocks())
    return scores.score_reads(self.retriever, self.encoder, inputs)

  def reads(self, passages: Passages, batch: PretrainingBatch, rows: tf.Tensor, length: int,
            window: int = 0) -> Reads:
    """What is read of masked sentences with candidates [B, K]; see `scores.pack_reads`."""
    return scores.pack_reads(self.retriever, self.encoder, passages, batch, rows, length,
                             window)

  # What `fit` does; see `Task`.

  def batches(self, x: Any, y: Any, batch_size: int, shuffle: bool) -> tf.data.Dataset:
    """Of questions and answers, or a data set of batches."""
    if isinstance(x, tf.data.Dataset):
      return x
    return answered_batches(texts.as_list(x), y, self.documents.passages.corpus, batch_size,
                            self.encoder.max_length, shuffle)

  def prepare(self, batch: PretrainingBatch | AnsweredBatch) -> tuple[Reads | Beam, None]:
    if isinstance(batch, PretrainingBatch):
      return self._reads_of(batch), None
    if isinstance(batch, AnsweredBatch):
      return self._beam_of(batch), None
    raise ValueError("expected questions and answers, or a data set of PretrainingBatch; "
                     f"got {type(batch).__name__}")

  def _reads_of(self, batch: PretrainingBatch) -> Reads:
    """With the null document, then the best others: [B, K]."""
    passages, index = self.documents.passages, self.documents.index
    queries = self.retriever.embed_queries(batch.query)
    rows = scores.top_candidates(index, passages, queries, batch.banned, self.candidates)
    return self.reads(passages, batch, rows, self.encoder.max_length)

  def _beam_of(self, batch: AnsweredBatch) -> Beam:
    if self.retriever.shares_towers:
      raise ValueError("questions train the query tower, and the document tower must stay as "
                       "the index knows it: call retriever.untie_towers() before compile()")
    passages, index = self.documents.passages, self.documents.index
    ids = scores.without_special_tokens(batch.question)
    question = pack_single(ids, self.retriever.query_length, passages.special)
    beam_size = min(self.beam_size, passages.num_blocks)
    _, rows = index.search(self.retriever.embed_queries(question), beam_size)
    holds, pairs, correct = open_qa.pack_beam(
        passages, batch.places(passages.num_blocks), tf.range(tf.shape(rows)[0]), ids, rows,
        read_blocks=self._read_blocks(), length=self.encoder.max_length,
        width=self.encoder.max_span_width, max_spans=self.max_spans)
    return Beam(question, index.gather(rows), holds, pairs, correct)

  def _read_blocks(self) -> int:
    return min(self.read_blocks, self.beam_size, self.documents.passages.num_blocks)

  def compile(self, optimizer="rmsprop", loss: str | MarginalLoss = "joint",
              **options) -> None:
    """As Keras does.

    Args:
      optimizer: Keras's, or `training.optimizer.AdamW`.
      loss: of masked sentences: "joint" or "per_mask", see `losses`, or another function
        of f(x, z) [B, K], log p(y_j|z, x) [B, K, M] and weights [B, M] to [B].
      **options: Keras's.
    """
    if isinstance(loss, str) and loss not in LOSSES:
      raise ValueError(f"loss: expected one of {', '.join(LOSSES)}, or a function; got "
                       f"'{loss}'")
    super().compile(optimizer, LOSSES[loss] if isinstance(loss, str) else loss, **options)

  def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None) -> tf.Tensor:
    """The mean loss of a batch.

    Args:
      x: `scores.Reads` of masked sentences, or `open_qa.Beam` of questions.
      y, sample_weight: Keras's; there are none.
      y_pred: `scores.Scores`, or `open_qa.BeamScores`.
    """
    del y, sample_weight
    if isinstance(x, Beam):
      return tf.reduce_mean(tf.add_n(open_qa.both_losses(x, y_pred)))
    return losses.mean_marginal(self.loss, y_pred.relevance, y_pred.log_probs, x.weights)

  def measure(self, x: Any, y: Any, y_pred: Any) -> dict[str, tf.Tensor]:
    del y
    if isinstance(x, Reads):
      return losses.marginal_metrics(y_pred.relevance, y_pred.log_probs, x.weights)
    retriever_loss, reader_loss = map(tf.reduce_mean, open_qa.both_losses(x, y_pred))
    return {"retriever_loss": retriever_loss, "reader_loss": reader_loss,
            **open_qa.beam_metrics(x, y_pred, self._read_blocks())}

  # How it is saved.

  def get_config(self) -> dict[str, Any]:
    config = super().get_config()
    del config["tokenizer"], config["bert"]  # those of the parts
    return config | {
        "retriever": tf_keras.saving.serialize_keras_object(self.retriever),
        "encoder": tf_keras.saving.serialize_keras_object(self.encoder),
        **self.parameters()}

  def parameters(self) -> dict[str, int]:
    """The arguments of the constructor that are numbers."""
    return {"candidates": self.candidates, "beam_size": self.beam_size,
            "read_blocks": self.read_blocks, "max_spans": self.max_spans}

  @classmethod
  def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Realm":
    parts = {part: tf_keras.saving.deserialize_keras_object(config[part], custom_objects)
             for part in ("retriever", "encoder")}
    return cls(**config | parts)

  def save_spec(self, dynamic_batch: bool = True) -> tuple[list, dict]:
    """What Keras traces `call` with, so that a model is saved that was never called."""
    del dynamic_batch
    return [READS], {}

  def save_pretrained(self, folder: PathLike) -> None:
    """Writes weights (Hugging Face's names) and sizes into `folder`."""
    pretrained.save(folder, self.retriever, self.encoder, self.parameters())

  @classmethod
  def from_pretrained(cls, folder: PathLike, retriever: Mapping[str, Any] | None = None,
                      encoder: Mapping[str, Any] | None = None, **arguments: Any) -> "Realm":
    """Both models with the weights of a folder; see `models.pretrained`.

    Args:
      folder: of `save_pretrained`, of an open-QA model, or of a BERT for both.
      retriever, encoder: arguments of theirs, besides those that the folder gives.
      **arguments: of this one.
    """
    parts: Sequence[Any] = (Retriever.from_pretrained(folder, **retriever or {}),
                            Reader.from_pretrained(folder, **encoder or {}))
    return cls(*parts, **pretrained.parameters(folder) | arguments)
