"""What Retriever, Reader and Realm have in common as models of Keras.

As a task of KerasHub does, each takes texts in `fit` and `evaluate`, which it tokenises
beforehand, and is saved with its sizes and its vocabulary.

The commands (`realm_tf.training`) have the same models compute the same losses, but in steps
of their own. There one search on the host serves the whole batch of all replicas; a batch may
be learnt from part by part (`accumulate`), ICT's negatives being those of all replicas and
parts; pre-training clips retriever and encoder each by its own norm; and a step is a function
of config and number, so that a run that was stopped ends as if it had not been. None of that
has a place in Keras's loop. What stands in both is written once: `losses`, `scores`,
`open_qa`, and the models themselves.
"""

import dataclasses
import types
from typing import Any, Callable

import tensorflow as tf
import tf_keras

from realm_tf.errors import UserError
from realm_tf.models.bert import BertConfig
from realm_tf.ops import compiling, transformer
from realm_tf.text.inputs import Packed, packed_spec
from realm_tf.text.tokenizer import Tokenizer

_BATCH_SIZE = 32  # Keras's own


class Task(tf_keras.Model):
  """A model that says how its loss is computed, and what is measured besides.

  A subclass gives `batches`, `prepare`, `call`, `compute_loss` and `measure`. Its variables
  are there once its constructor has returned.

  Args:
    bert_config: sizes of its BERT.
    tokenizer: by which it reads texts, if it can; it is no part of checkpoints.
    **options: Keras's.
  """
  measured: tuple[str, ...] = ()  # of what `measure` returns

  def __init__(self, bert_config: BertConfig, tokenizer: Tokenizer | None = None, **options):
    super().__init__(**options)
    if tokenizer and tokenizer.vocab_size > bert_config.vocab_size:
      raise UserError(f"a vocabulary of {tokenizer.vocab_size} word pieces, but the BERT has "
                      f"{bert_config.vocab_size}: it is another's")
    self.bert_config = bert_config
    # TensorFlow would put into every checkpoint and export what is an attribute of a model.
    self._untracked = types.SimpleNamespace(tokenizer=tokenizer, means={}, graphs={})

  @property
  def tokenizer(self) -> Tokenizer | None:
    return self._untracked.tokenizer

  def _need_tokenizer(self) -> Tokenizer:
    if self.tokenizer is None:
      raise ValueError(f"{type(self).__name__}: it has no tokenizer, and so reads no texts; "
                       "give tokenizer=, or packed tokens")
    return self.tokenizer

  def _graph(self, function: Callable[[Packed], Any]) -> Callable[[Packed], Any]:
    """`function` of packed rows, traced once for whatever number and length of rows."""
    key = (function, transformer.choose_kernels(tf.float32),
           compiling.compiles(self.bert_config.hidden_size))
    graphs = self._untracked.graphs
    if key not in graphs:
      graphs[key] = tf.function(function, input_signature=[packed_spec()])
    return graphs[key]

  # What `fit` does.

  def batches(self, x: Any, y: Any, batch_size: int, shuffle: bool) -> tf.data.Dataset:
    """What `fit(x, y)` and `evaluate(x, y)` go through; a data set of batches stays one."""
    raise NotImplementedError

  def prepare(self, batch: Any) -> tuple[Any, Any]:
    """From a batch to the inputs of `call` and the targets of the loss; has no gradient."""
    raise NotImplementedError

  def measure(self, x: Any, y: Any, y_pred: Any) -> dict[str, tf.Tensor]:
    """Scalars that `fit` reports besides the loss, by the names in `measured`."""
    raise NotImplementedError

  def compile(self, optimizer="rmsprop", loss=None, **options) -> None:
    """As Keras does; makes the variables of the optimizer, too."""
    # Keras takes a data set of three fields for one with weights, and would warn of them.
    super().compile(optimizer, loss, **{"weighted_metrics": [], **options})
    with self.distribute_strategy.scope():
      if hasattr(self.optimizer, "build"):
        self.optimizer.build(self.trainable_variables)
      self._untracked.means = {name: tf_keras.metrics.Mean(name=name)
                               for name in ("loss", *self.measured)}

  def compile_from_config(self, config: dict[str, Any]) -> None:
    """As Keras does for models that leave `compile` as it is."""
    self.compile(**tf_keras.saving.deserialize_keras_object(config))

  @property
  def metrics(self) -> list[tf_keras.metrics.Metric]:
    return [*self._untracked.means.values(), *super().metrics]

  def fit(self, x=None, y=None, batch_size=None, epochs=1, verbose="auto", callbacks=None,
          validation_split=0.0, validation_data=None, shuffle=True, **options):
    """As Keras does; of texts, see `batches`, or of a data set of batches."""
    if validation_split:
      x, y, validation_data = _split(x, y, validation_split)
    if validation_data is not None:
      validation_data = self.batches(
          *_pair(validation_data), options.pop("validation_batch_size", None)
          or batch_size or _BATCH_SIZE, shuffle=False)
    return super().fit(self.batches(x, y, batch_size or _BATCH_SIZE, shuffle), epochs=epochs,
                       verbose=verbose, callbacks=callbacks, validation_data=validation_data,
                       **options)

  def evaluate(self, x=None, y=None, batch_size=None, **options):
    """As `fit`, but learns nothing; returns the loss and the metrics."""
    return super().evaluate(self.batches(x, y, batch_size or _BATCH_SIZE, shuffle=False),
                            **options)

  def train_step(self, data: Any) -> dict[str, tf.Tensor]:
    """Learns from one batch; of several replicas each has a share of it."""
    x, y = self.prepare(data)
    with tf.GradientTape() as tape:
      y_pred, loss = self._outcome(x, y, training=True)
      # Optimizers add up what the replicas make of their shares.
      part = loss / tf.distribute.get_replica_context().num_replicas_in_sync
    variables = self.trainable_variables
    pairs = zip(tape.gradient(part, variables), variables)
    # What a loss does not depend on, such as another head, is left as it is.
    self.optimizer.apply_gradients([(g, v) for g, v in pairs if g is not None])
    return self._report(x, y, y_pred, loss)

  def test_step(self, data: Any) -> dict[str, tf.Tensor]:
    x, y = self.prepare(data)
    return self._report(x, y, *self._outcome(x, y, training=False))

  def _outcome(self, x: Any, y: Any, training: bool) -> tuple[Any, tf.Tensor]:
    y_pred = self(x, training=training)
    loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=None)
    return y_pred, tf.add_n([loss, *self.losses])  # with what layers of a user's add

  def _report(self, x: Any, y: Any, y_pred: Any, loss: tf.Tensor) -> dict[str, tf.Tensor]:
    """The means over the examples of an epoch so far."""
    examples = tf.shape(tf.nest.flatten(x)[0])[0]
    means = {"loss": loss} | self.measure(x, y, y_pred)
    for name, value in means.items():
      self._untracked.means[name].update_state(value, sample_weight=examples)
    return {name: self._untracked.means[name].result() for name in means}

  # How it is saved.

  def get_config(self) -> dict[str, Any]:
    """The arguments of the constructor, as plain values."""
    tokenizer = self.tokenizer
    return {"name": self.name, "bert": dataclasses.asdict(self.bert_config),
            "tokenizer": tokenizer and {"vocabulary": list(tokenizer.vocabulary),
                                        "lower_case": tokenizer.lower_case}}

  @classmethod
  def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Task":
    del custom_objects
    config = dict(config)
    if config.get("tokenizer"):
      config["tokenizer"] = Tokenizer(**config["tokenizer"])
    return cls(**config)


def _pair(data: Any) -> tuple[Any, Any]:
  return (data, None) if isinstance(data, tf.data.Dataset) else tuple(data[:2])


def _split(x: Any, y: Any, share: float) -> tuple[Any, Any, tuple[Any, Any]]:
  """The first examples to learn from, and the last ones."""
  if isinstance(x, tf.data.Dataset):
    raise ValueError("validation_split: a data set cannot be split; give validation_data")

  def cut(values: Any, first: bool) -> Any:
    if isinstance(values, tuple):  # of columns
      return tuple(cut(column, first) for column in values)
    place = round(len(values) * (1 - share))
    return values[:place] if first else values[place:]

  return cut(x, True), cut(y, True), (cut(x, False), cut(y, False))
