"""AdamW as BERT is trained with it (Devlin et al. 2019, appendix A.2)."""

from typing import Sequence

import tensorflow as tf
import tf_keras

from realm_tf.config import OptimizerConfig


class WarmupLinearDecay(tf_keras.optimizers.schedules.LearningRateSchedule):
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


class AdamW(tf_keras.optimizers.legacy.Adam):
  """Adam with decoupled weight decay (Loshchilov & Hutter 2019), on Keras's Adam.

  It is the legacy one because that is a single fused kernel per variable; the newer
  ones are a dozen passes over memory, more than the rest of a small model's step.
  Norms and biases do not decay.
  """

  def __init__(self, schedule: WarmupLinearDecay, weight_decay: float, clip_norm: float):
    super().__init__(schedule, epsilon=1e-6, name="AdamW")
    self._weight_decay, self._clip_norm = weight_decay, clip_norm

  def apply(self, gradients: Sequence[tf.Tensor | tf.IndexedSlices | None],
            variables: Sequence[tf.Variable]) -> tf.Tensor:
    """Clips by the global norm, then updates; returns the norm before clipping."""
    pairs = [(tf.convert_to_tensor(g), v) for g, v in zip(gradients, variables)
             if g is not None]
    clipped, norm = tf.clip_by_global_norm([g for g, _ in pairs], self._clip_norm)
    self.apply_gradients(zip(clipped, [v for _, v in pairs]))
    return norm

  def _resource_apply_dense(self, grad, var, apply_state=None):
    if self._weight_decay and var.shape.rank > 1:
      rate = self._decayed_lr(var.dtype.base_dtype) * self._weight_decay
      with tf.control_dependencies([var.assign_sub(rate * var, read_value=False)]):
        return super()._resource_apply_dense(grad, var, apply_state)
    return super()._resource_apply_dense(grad, var, apply_state)

  def get_config(self):
    return {**super().get_config(), "weight_decay": self._weight_decay,
            "clip_norm": self._clip_norm}


def make_optimizer(config: OptimizerConfig, share: float = 1.0, warmup_steps: int = 0
                   ) -> AdamW:
  """The optimizer of a stage.

  Args:
    config: of the stage.
    share: of its peak learning rate.
    warmup_steps: instead of the config's, if above 0.
  """
  schedule = WarmupLinearDecay(share * config.learning_rate,
                               warmup_steps or config.warmup_steps, config.steps)
  return AdamW(schedule, config.weight_decay, config.clip_norm)
