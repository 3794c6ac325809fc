"""Our pre-training step of given sizes (see `step_sizes`), for benchmarks."""


def teraflop(s, queries, documents, pairs) -> float:
  """Of the products of a step, forward and backward, for sequences of these lengths."""
  forward = s["batch"] * s["candidates"] * s["masks"] * s["hidden"] * s["vocabulary"] * 2
  for lengths in (queries, documents, pairs):
    for length in lengths:
      forward += length * s["layers"] * (24 * s["hidden"] ** 2 + 4 * length * s["hidden"])
  return 3 * forward / 1e12


def make_step(s, precision: str, lengths, recompute: bool = False, compiled: bool = False):
  """A pre-training step on random tokens of these lengths; `compiled`: as a whole, by XLA."""
  import tensorflow as tf
  step, batch = _step(s, precision, recompute), random_batch(s, lengths)
  return tf.function(lambda: step(*batch), jit_compile=compiled or None, autograph=False)


def make_steps(s, precision: str):
  """A step on what `random_batch` gives, in one trace for batches of all lengths."""
  import tensorflow as tf
  return tf.function(_step(s, precision), autograph=False, reduce_retracing=True)


def random_batch(s, lengths):
  """Queries, documents and pairs of these lengths, of random tokens."""
  import tensorflow as tf

  from realm_tf.text.inputs import Packed

  def packed(lengths) -> Packed:
    ids = tf.random.uniform([len(lengths), max(lengths)], 1000, s["vocabulary"], tf.int32)
    return Packed(ids, tf.sequence_mask(lengths), tf.zeros_like(ids), tf.constant(lengths))

  return tuple(map(packed, lengths))


def _step(s, precision: str, recompute: bool = False):
  import tensorflow as tf

  from realm_tf.config import PretrainConfig
  from realm_tf.models import losses
  from realm_tf.models.bert import BertConfig
  from realm_tf.models.reader import Reader
  from realm_tf.models.retriever import Retriever
  from realm_tf.training.optimizer import make_optimizer

  bert = BertConfig(s["vocabulary"], s["hidden"], s["layers"], s["heads"], 4 * s["hidden"],
                    hidden_act="gelu_new")
  retriever, encoder = (model(bert, precision=precision, recompute=recompute)
                        for model in (Retriever, Reader))
  rows = s["batch"] * s["candidates"]
  positions = tf.tile(tf.range(3, 3 + s["masks"])[None], [rows, 1])
  ones = tf.ones([rows, s["masks"]])
  variables = [*retriever.trainable_variables, *encoder.bert.trainable_variables,
               *encoder.masked_lm.trainable_variables]
  optimizer = make_optimizer(PretrainConfig(learning_rate=3e-5)).build(variables)

  def step(queries, documents, pairs):
    labels = tf.gather(pairs.ids, positions, batch_dims=1)
    with tf.GradientTape() as tape:
      query_vectors, document_vectors = retriever((queries, documents))
      scores = tf.einsum("bd,bkd->bk", query_vectors, tf.reshape(
          document_vectors, [s["batch"], s["candidates"], -1]))
      log_probs = tf.reshape(encoder.mask_log_probs(pairs, positions, labels, ones),
                             [s["batch"], s["candidates"], -1])
      loss = tf.reduce_mean(losses.per_mask_loss(scores, log_probs, ones[:s["batch"]]))
    optimizer.apply(tape.gradient(loss, variables), variables)
    return loss

  return step
