"""Writes checkpoints as TensorFlow 1 did, under the names of Google's releases."""

import pathlib
import re
from collections.abc import Mapping

import numpy as np
import tensorflow as tf


def write_checkpoint(prefix: pathlib.Path, variables: Mapping[str, np.ndarray]) -> None:
  """Saves variables of these names by TensorFlow 1's own saver."""
  prefix.parent.mkdir(parents=True, exist_ok=True)
  with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    tf_variables = [tf.compat.v1.get_variable(name, initializer=value, use_resource=False)
                    for name, value in variables.items()]
    session.run(tf.compat.v1.global_variables_initializer())
    tf.compat.v1.train.Saver(tf_variables).save(session, str(prefix), write_meta_graph=False,
                                                write_state=False)


def google_variables(tensors: Mapping[str, np.ndarray], scopes: Mapping[str, str]
                     ) -> dict[str, np.ndarray]:
  """Hugging Face's tensors as Google names and shapes them.

  Args:
    tensors: values by Hugging Face's names.
    scopes: prefix of a name there -> scope here; tensors under none are left out.
  """
  variables = {}
  for name, value in tensors.items():
    prefix = next((p for p in scopes if name.startswith(p)), None)
    if prefix is None or name.endswith(("position_ids", "decoder.weight")):
      continue
    path, value = _google_path(name, value)
    inner = path.removeprefix(prefix.replace(".", "/"))
    variables[scopes[prefix] + re.sub(r"layer/(\d+)/", r"layer_\1/", inner)] = value
  return variables


def _google_path(name: str, value: np.ndarray) -> tuple[str, np.ndarray]:
  scope, _, leaf = name.replace(".", "/").rpartition("/")
  if scope.endswith("_embeddings"):
    return scope, value
  if scope.endswith(("LayerNorm", "layer_normalization")):
    return f"{scope}/{'gamma' if leaf == 'weight' else 'beta'}", value
  if scope.endswith("predictions"):
    return f"{scope}/output_bias", value
  return (f"{scope}/bias", value) if leaf == "bias" else (f"{scope}/kernel", value.T)
