"""The retriever: two towers into one vector space (REALM, section 3.1).

f(x, z) = Embed_input(x) . Embed_doc(z), each a `Tower`. Shape letters: B batch, T tokens,
D dimensions of a vector.
"""

from typing import Any, Callable, Mapping

import numpy as np
import tensorflow as tf
import tf_keras

from realm_tf.corpus.store import Corpus
from realm_tf.corpus.word_statistics import word_statistics
from realm_tf.examples.ict_pairs import ICTBatch
from realm_tf.files import PathLike
from realm_tf.models import losses, pretrained, texts
from realm_tf.models.bert import Bert, BertConfig, make_bert
from realm_tf.models.task import Task
from realm_tf.models.texts import Texts
from realm_tf.models.tower import Tower
from realm_tf.text.inputs import Packed, joined, pack_pair, pack_single, packed_spec
from realm_tf.text.tokenizer import Tokenizer


@tf_keras.saving.register_keras_serializable(package="realm_tf")
class Retriever(Task):
  """Query and document towers; one and the same where `shared_towers`.

  `fit` learns that each query finds its own document among those of the batch (of its
  replica): the Inverse Cloze Task, or any pairs of texts. It takes a data set of
  `ICTBatch` (see `examples.ict_pairs.ict_batches`), or `fit(x=queries, y=documents)`, lists
  of texts, where `documents` may be `(titles, texts)`.

  Args:
    bert: sizes of each tower's BERT, a `BertConfig` or its fields by name; or a `Bert`,
      which becomes that of the query tower.
    pooling: "pooler", "cls" or "mean"; see `Tower`.
    projection_size: dimensions that are learnt.
    lexical_size, lexical_weight: further dimensions of a vector, for its words, and what
      BM25 weighs in a score; `adapt` must see a corpus then. D is the sum of both sizes.
    shared_towers: whether queries and documents are embedded by the same weights.
    document_bert: a `Bert` for the document tower, where it is not shared.
    query_length, document_length: word pieces, special ones counted; longer texts are cut.
      By default 64 and 288, as published, or as many as the BERT has positions.
    precision, recompute, dropout: see `Bert`, of those that are made here; `dropout` is its
      `rate`.
    embed_precision: of the copy that embeds the corpus; by default `precision`.
    tokenizer: reads texts; see `Task`.
  """
  measured = ("in_batch_accuracy",)

  def __init__(self, bert: BertConfig | Mapping[str, Any] | Bert, *, pooling: str = "pooler",
               projection_size: int = 128, lexical_size: int = 0,
               lexical_weight: float = 0.6, shared_towers: bool = True,
               document_bert: Bert | None = None, query_length: int | None = None,
               document_length: int | None = None, precision: str = "float32",
               embed_precision: str = "", recompute: bool = False, dropout: float = 0.0,
               tokenizer: Tokenizer | None = None, name: str = "retriever"):
    query_tower, document_tower = ("tower",) * 2 if shared_towers else (
        "query_tower", "document_tower")
    bert = make_bert(bert, precision, recompute, query_tower, dropout)
    super().__init__(bert.config, tokenizer, name=name)
    self.pooling, self.projection_size = pooling, projection_size
    self.lexical_size, self.lexical_weight = lexical_size, lexical_weight
    self.query_length = bert.length(query_length, 64, "query_length")
    self.document_length = bert.length(document_length, 288, "document_length")
    self.precision, self.recompute = bert.precision, bert.recompute
    self.dropout = bert.rate
    self.embed_precision = embed_precision
    self.query_tower = self._tower(bert, query_tower)
    self.document_tower = self.query_tower if shared_towers else (
        self._tower(document_bert, document_tower) if document_bert
        else self.make_tower(document_tower))
    self.built = True

  def make_tower(self, name: str, precision: str = "") -> Tower:
    """Another tower of the same shape, with weights of its own; by default as precise."""
    bert = make_bert(self.bert_config, precision or self.precision, self.recompute, name,
                     self.dropout)
    return self._tower(bert, name)

  def _tower(self, bert: Bert, name: str) -> Tower:
    return Tower(bert, self.pooling, self.projection_size, self.lexical_size,
                 self.lexical_weight, name=name)

  @property
  def vector_size(self) -> int:
    """D."""
    return self.document_tower.size

  def adapt(self, corpus: Corpus) -> None:
    """Weighs words as a corpus has them, where `lexical_size` is not 0.

    To be called once, before training: what was embedded by other weights is of another
    model. A model that is saved has them with it.
    """
    lexical = [tower.lexical for tower in self.towers if tower.lexical]
    if lexical:
      statistics = word_statistics(corpus)
      for layer in lexical:
        layer.adapt(statistics)

  @property
  def shares_towers(self) -> bool:
    return self.query_tower is self.document_tower

  @property
  def towers(self) -> list[Tower]:
    """The query tower, and the document tower where that is another."""
    return [self.query_tower] if self.shares_towers else [self.query_tower,
                                                          self.document_tower]

  def scale_scores(self, scale: float) -> None:
    """Lets a vector's product with itself be about `scale`, as a multiple of cosines.

    A layer norm ends a tower, so that is D as it is initialised: 19 nats for a difference of
    .05 in cosine where D is 384, beside which no reader's logit is heard. The norm's own
    gain is set, which is learnt as it always was: nothing is added to the model, the index
    or what is exchanged.
    """
    for tower in self.towers:
      gain, offset = tower.norm.gamma, tower.norm.beta
      current_scale = tf.reduce_sum(gain ** 2 + offset ** 2)
      for variable in (gain, offset):
        variable.assign(variable * tf.sqrt(scale / current_scale))

  def untie_towers(self) -> None:
    """Gives a shared retriever a query tower of its own, with the same weights.

    Fine-tuning trains Embed_input and keeps Embed_doc as the index knows it. To be called
    before `compile`, since it makes variables.
    """
    if not self.shares_towers:
      return
    self.query_tower = self.make_tower("query_tower")
    for copy, live in zip(self.query_tower.variables, self.document_tower.variables,
                          strict=True):
      copy.assign(live)

  # What it computes.

  def call(self, inputs: tuple[Packed, Packed]) -> tuple[tf.Tensor, tf.Tensor]:
    """Queries and documents at once: [B, T] and [B', T'] -> [B, D] and [B', D] float32."""
    queries, documents = inputs
    if not self.shares_towers or not self.query_tower.bert.packs:
      return self.query_tower(queries), self.document_tower(documents)
    # One pass instead of two: rows are packed, so padding costs nothing.
    vectors = self.query_tower(joined(queries, documents))
    count = tf.shape(queries.ids)[0]
    return vectors[:count], vectors[count:]

  def embed_queries(self, queries: Packed | Texts, batch_tokens: int = texts.BATCH_TOKENS
                    ) -> tf.Tensor:
    """Packed rows [B, T] or B texts -> [B, D] float32.

    Texts are embedded in batches of about `batch_tokens` word pieces, like lengths
    together; in a graph, all at once.
    """
    if isinstance(queries, Packed):
      return self.query_tower(queries)
    if tf.is_symbolic_tensor(queries):
      return self.query_tower(self.pack_queries(queries))
    return self._embed(self.query_tower, [texts.as_list(queries)], self._pack_query,
                       self.query_length, batch_tokens)

  def embed_documents(self, documents: Packed | Texts | tuple[Texts, Texts],
                      batch_tokens: int = texts.BATCH_TOKENS) -> tf.Tensor:
    """As `embed_queries`; texts may come with titles: `(titles, texts)`."""
    if isinstance(documents, Packed):
      return self.document_tower(documents)
    titles, bodies = texts.columns_of(documents)
    if tf.is_symbolic_tensor(bodies):
      return self.document_tower(self.pack_documents((titles, bodies)))
    return self._embed(self.document_tower, [texts.as_list(titles), texts.as_list(bodies)],
                       self._pack_document, self.document_length, batch_tokens)

  def _embed(self, tower: Tower, columns: list[list], pack: Callable[..., Packed],
             longest: int, batch_tokens: int) -> tf.Tensor:
    vectors = np.empty([len(columns[0]), self.vector_size], np.float32)
    embed = self._graph(tower)
    for places, ids in texts.token_batches(self._need_tokenizer(), columns, longest,
                                           batch_tokens):
      vectors[places] = embed(pack(*ids)).numpy()
    return tf.constant(vectors)

  # Texts to packed rows.

  def pack_queries(self, queries: tf.Tensor) -> Packed:
    """[B] string -> [B, T], in the graph or outside."""
    return self._pack_query(self._need_tokenizer().tokenize(queries))

  def pack_documents(self, documents: Any) -> Packed:
    """[B] string, or titles and texts -> [B, T]."""
    tokenize = self._need_tokenizer().tokenize
    return self._pack_document(*map(tokenize, texts.columns_of(documents)))

  def _pack_query(self, ids: tf.RaggedTensor) -> Packed:
    return pack_single(ids, self.query_length, self._need_tokenizer())

  def _pack_document(self, titles: tf.RaggedTensor, bodies: tf.RaggedTensor) -> Packed:
    return pack_pair(titles, bodies, self.document_length, self._need_tokenizer())

  def pack_pairs(self, queries: tf.Tensor, documents: Any) -> ICTBatch:
    """[B] string and as many documents -> what a step learns from; equal texts are one."""
    titles, bodies = texts.columns_of(documents)
    named = tf.strings.join([titles, bodies], "\n")
    names = tf.strings.to_hash_bucket_fast(named, tf.int32.max)
    return ICTBatch(self.pack_queries(queries), self.pack_documents((titles, bodies)),
                    tf.cast(names, tf.int32))

  # What `fit` does; see `Task`.

  def batches(self, x: Any, y: Any, batch_size: int, shuffle: bool) -> tf.data.Dataset:
    """Of queries and documents, or of a data set of `ICTBatch` or of pairs of texts."""
    if isinstance(x, tf.data.Dataset):
      if isinstance(x.element_spec, ICTBatch):
        return x
      pairs = x
    else:
      queries, columns = texts.as_list(x), tuple(map(texts.as_list, texts.columns_of(y)))
      pairs = tf.data.Dataset.from_tensor_slices((queries, columns))
      pairs = (pairs.shuffle(len(queries)) if shuffle else pairs).batch(batch_size)
    return pairs.map(self.pack_pairs, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)

  def prepare(self, batch: ICTBatch) -> tuple[tuple[Packed, Packed], tf.Tensor]:
    return (batch.queries, batch.all_documents), batch.all_rows

  def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None) -> tf.Tensor:
    """-log p of each query's own document, on average.

    Args:
      x: queries and documents, packed.
      y: [B'] int32, which document each is.
      y_pred: vectors of queries [B, D] and documents [B', D].
      sample_weight: Keras's; there are none.
    """
    del x, sample_weight
    queries, documents = y_pred
    return losses.in_batch_softmax(queries, documents, y)

  def measure(self, x: Any, y: Any, y_pred: Any) -> dict[str, tf.Tensor]:
    del x, y
    return {"in_batch_accuracy": losses.in_batch_accuracy(*y_pred)}

  # How it is saved.

  def get_config(self) -> dict[str, Any]:
    return super().get_config() | {
        "pooling": self.pooling, "projection_size": self.projection_size,
        "lexical_size": self.lexical_size, "lexical_weight": self.lexical_weight,
        "shared_towers": self.shares_towers,
        "query_length": self.query_length, "document_length": self.document_length,
        "precision": self.precision, "embed_precision": self.embed_precision,
        "recompute": self.recompute, "dropout": self.dropout}

  def save_spec(self, dynamic_batch: bool = True) -> tuple[list, dict]:
    """What Keras traces `call` with, so that a model is saved that was never called."""
    del dynamic_batch
    return [(packed_spec("query_"), packed_spec("document_"))], {}

  @classmethod
  def from_pretrained(cls, folder: PathLike, **arguments: Any) -> "Retriever":
    """A retriever with the weights of a folder; see `models.pretrained`."""
    return pretrained.retriever(cls, folder, **arguments)
