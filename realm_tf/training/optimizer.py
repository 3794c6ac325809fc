"""AdamW as BERT is trained with it (Devlin et al. 2019, appendix A.2)."""

from typing import Any, Iterable, Iterator, Mapping, Sequence, TypeAlias

import tensorflow as tf
import tf_keras

from realm_tf.config import OptimizerConfig
from realm_tf.distribute import shares
from realm_tf.models.bert import Bert
from realm_tf.ops import compiling, library
from realm_tf.ops.adam_w import adam_w, adam_w_by_xla, sum_of_squares

Gradients = Mapping[str, Sequence[tf.Tensor | tf.IndexedSlices | None]]
LearningRateSchedule: TypeAlias = tf_keras.optimizers.schedules.LearningRateSchedule
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-6
_AT_A_TIME = 16  # variables that XLA updates


@tf_keras.saving.register_keras_serializable(package="realm_tf")
class WarmupLinearDecay(LearningRateSchedule):
  """Rises linearly to the peak over the warm-up, then falls linearly to 0."""

  def __init__(self, peak: float, warmup_steps: int, steps: int):
    super().__init__()
    self._peak, self._warmup, self._steps = peak, warmup_steps, steps

  def __call__(self, step):
    step = tf.cast(step, tf.float32)
    rise = (step + 1.0) / max(1.0, float(self._warmup))
    fall = (self._steps - step) / max(1.0, float(self._steps - self._warmup))
    return self._peak * tf.clip_by_value(tf.minimum(rise, fall), 0.0, 1.0)

  def get_config(self):
    return {"peak": self._peak, "warmup_steps": self._warmup, "steps": self._steps}


@tf_keras.saving.register_keras_serializable(package="realm_tf")
class AdamW(tf_keras.optimizers.legacy.Adam):
  """Adam with decoupled weight decay (Loshchilov & Hutter 2019), on Keras's Adam.

  Unlike BERT's own code it corrects the bias of Adam's moments.

  It is the legacy one because that is a single fused kernel per variable; the newer
  ones are a dozen passes over memory, more than the rest of a small model's step. On CPUs
  it is our own kernel, which clips and decays in the same pass.
  Norms and biases do not decay. A model may be compiled with it.

  Args:
    learning_rate: a number, or a schedule such as `WarmupLinearDecay`.
    weight_decay: share of a weight by which it shrinks, times the learning rate.
    clip_norm: of the whole gradient.
    layer_rates: variables with the share of the learning rate that is theirs; the product
      where one is named more than once. All others have the whole of it. They are no part of
      the config with which Keras saves it.
    name: of the optimizer.
  """

  def __init__(self, learning_rate: float | LearningRateSchedule,
               weight_decay: float = 0.01, clip_norm: float = 1.0,
               layer_rates: Sequence[tuple[tf.Variable, float]] = (), name: str = "AdamW"):
    super().__init__(learning_rate, _BETA1, _BETA2, _EPSILON, name=name)
    self._weight_decay, self._clip_norm = weight_decay, clip_norm
    # Keras updates the copy on each device by itself.
    self._shares: dict[Any, float] = {}
    for variable, rate in layer_rates:
      for copy in (variable, *getattr(variable, "values", ())):
        self._shares[copy.ref()] = rate * self._shares.get(copy.ref(), 1.0)

  def rate_at(self, step: int) -> float:
    """The learning rate of a step, of variables that have the whole of it."""
    rate = self._get_hyper("learning_rate")
    return float(rate(step) if callable(rate) else rate)

  def build(self, variables: Sequence[tf.Variable]) -> "AdamW":
    """Makes the moments of these variables now, in the scope of their strategy.

    Else restoring a checkpoint would make them, one broadcast between the processes for
    each; so it takes and gives nothing that another process waits for.
    """
    self._create_all_weights(variables)
    return self

  def apply(self, gradients: Sequence[tf.Tensor | tf.IndexedSlices | None],
            variables: Sequence[tf.Variable]) -> tf.Tensor:
    """Averages over the replicas, clips by the global norm, then updates.

    Returns:
      The norm before clipping, of the averaged gradient.
    """
    return self.apply_by_part({"": gradients}, {"": variables})[0]

  def apply_gradients(self, grads_and_vars, name=None,
                      experimental_aggregate_gradients: bool = True):
    """Keras's interface: adds up over the replicas, clips by the global norm, updates."""
    if not experimental_aggregate_gradients:
      return super().apply_gradients(grads_and_vars, name, False)
    count = tf.distribute.get_replica_context().num_replicas_in_sync
    gradients, variables = zip(*((tf.convert_to_tensor(g) * count, v)
                                 for g, v in grads_and_vars if g is not None))
    return self.apply(gradients, variables)

  def apply_by_part(self, gradients: Gradients, variables: Mapping[str, Sequence[tf.Variable]]
                    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """As `apply`, of named parts of a model; returns the norm of each part besides."""
    pairs = {name: [(tf.convert_to_tensor(g), v) for g, v in zip(gradients[name], part)
                    if g is not None] for name, part in variables.items()}
    means = shares.all_mean({name: [g for g, _ in part] for name, part in pairs.items()})
    compiles = _compiles([v for part in pairs.values() for _, v in part])
    norms = {name: _norm(part, compiles) for name, part in means.items()}
    norm = (tf.linalg.global_norm(list(norms.values())) if len(norms) > 1
            else next(iter(norms.values())))
    scale = self._clip_norm / tf.maximum(norm, self._clip_norm)
    averaged = [(g, v) for name, part in pairs.items()
                for g, (_, v) in zip(means[name], part)]
    if _fit_our_kernels([v for _, v in averaged], compiles):
      self._update(averaged, scale, compiles)
    else:
      # Keras would add up the replicas' gradients, which are all the same by now.
      self.apply_gradients([(g * scale, v) for g, v in averaged],
                           experimental_aggregate_gradients=False)
    return norm, norms

  def _update(self, pairs: Sequence[tuple[tf.Tensor, tf.Variable]], scale: tf.Tensor,
              compiles: bool) -> None:
    """Scales the gradients, decays and updates in one pass over each float32 variable, by
    our kernel or XLA's."""
    with tf.init_scope():
      self.build([variable for _, variable in pairs])
    coefficients = self._fallback_apply_state("", tf.float32)
    powers = coefficients["beta_1_power"], coefficients["beta_2_power"]
    correction = tf.sqrt(1 - powers[1]) / (1 - powers[0])
    constants = {"scale": scale, "beta1": _BETA1, "beta2": _BETA2, "epsilon": _EPSILON}
    if compiles:
      for some in _some_at_a_time(pairs):
        gradients, variables = zip(*some)
        moments = ([self.get_slot(v, name) for v in variables] for name in ("m", "v"))
        rates, decays = (coefficients["lr_t"] * tf.constant(part) for part in zip(*map(
            self._rates, variables)))
        adam_w_by_xla(variables, *moments, gradients, rates=rates * correction,
                      decays=decays, **constants)
    else:
      for gradient, variable in pairs:
        rate, decay = (coefficients["lr_t"] * part for part in self._rates(variable))
        adam_w(variable, self.get_slot(variable, "m"), self.get_slot(variable, "v"),
               gradient, rate=rate * correction, decay=decay, **constants)
    self.iterations.assign_add(1)

  def _rates(self, variable: tf.Variable) -> tuple[float, float]:
    """The learning rate of a variable, and by how much it shrinks: shares of the rate."""
    share = self._shares.get(variable.ref(), 1.0)
    return share, share * (self._weight_decay if variable.shape.rank > 1 else 0.0)

  def _resource_apply_dense(self, grad, var, apply_state=None):
    """Keras's update of one variable, which decays first."""
    key = var.device, var.dtype.base_dtype
    coefficients = (apply_state or {}).get(key) or self._fallback_apply_state(*key)
    rate, decay = (coefficients["lr_t"] * part for part in self._rates(var))
    with tf.control_dependencies([var.assign_sub(decay * var, read_value=False)]):
      return super()._resource_apply_dense(grad, var, {key: {**coefficients, "lr_t": rate}})

  def get_config(self):
    return {"name": self._name, "weight_decay": self._weight_decay,
            "clip_norm": self._clip_norm,
            "learning_rate": self._serialize_hyperparameter("learning_rate")}


def _fit_our_kernels(variables: Iterable[tf.Variable], compiles: bool) -> bool:
  """Whether ours or XLA's can update them here: else it is Keras's."""
  # With more replicas, a value of a step may not go into the update.
  alone = tf.distribute.get_replica_context().num_replicas_in_sync == 1
  return alone and (library.can_compute(tf.float32) or compiles) and all(
      v.dtype == tf.float32 and v.constraint is None for v in variables)


def _compiles(variables: Iterable[tf.Variable]) -> bool:
  """Whether XLA compiles their update; outside of a graph it would at each call."""
  # A BERT's matrices are H wide or high, and of other sizes those of [H, F] and [V, H] are.
  hidden = max((min(v.shape) for v in variables if v.shape.rank == 2), default=0)
  return compiling.compiles(hidden) and not tf.executing_eagerly()


def _norm(tensors: Sequence[tf.Tensor], compiles: bool) -> tf.Tensor:
  """Of all their elements, a scalar."""
  if not compiles:
    return tf.linalg.global_norm(tensors)
  return tf.sqrt(tf.add_n([sum_of_squares(some) for some in _some_at_a_time(tensors)]))


def _some_at_a_time(values: Sequence[Any]) -> Iterator[list[Any]]:
  """As many as a layer of a BERT has variables: it has them in the same order in all of its
  layers, so most of the lists have the same shapes and are compiled as one."""
  for first in range(0, len(values), _AT_A_TIME):
    yield list(values[first:first + _AT_A_TIME])


def layer_rates(bert: Bert, decay: float) -> Iterator[tuple[tf.Variable, float]]:
  """Each variable of a BERT with its share of the learning rate.

  `decay` for the last of L layers, `decay` ** L for the first, `decay` ** (L + 1) for the
  embeddings (Clark et al. 2020, ELECTRA, appendix A.1); heads have the whole rate.
  """
  below = len(bert.layers)
  inside = {variable.ref() for layer in bert.layers for variable in layer.variables}
  for variable in bert.variables:
    if variable.ref() not in inside:
      yield variable, decay ** (below + 1)
  for depth, layer in enumerate(bert.layers):
    for variable in layer.variables:
      yield variable, decay ** (below - depth)


def make_optimizer(config: OptimizerConfig, berts: Sequence[Bert] = (), share: float = 1.0,
                   warmup_steps: int = 0,
                   variable_rates: Sequence[tuple[tf.Variable, float]] = ()) -> AdamW:
  """The optimizer of a stage.

  Args:
    config: of the stage.
    berts: that it trains, for `config.layer_decay`.
    share: of its peak learning rate.
    warmup_steps: instead of the config's, if above 0.
    variable_rates: variables with a share of this learning rate.
  """
  schedule = WarmupLinearDecay(share * config.learning_rate,
                               warmup_steps or config.warmup_steps, config.steps)
  rates = list(variable_rates)
  if config.layer_decay != 1:
    rates += [pair for bert in berts for pair in layer_rates(bert, config.layer_decay)]
  return AdamW(schedule, config.weight_decay, config.clip_norm, rates)
