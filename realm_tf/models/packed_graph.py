"""Functions of packed rows as graphs, for whatever number and length of rows.

Shape letters: B rows, T tokens.
"""

from typing import Any, Callable

import tensorflow as tf

from realm_tf.ops import compiling
from realm_tf.text.inputs import Packed, packed_spec


def packed_graph(function: Callable[[Packed], Any], most: int) -> Callable[[Packed], Any]:
  """`function` as a graph, to be called outside of graphs.

  It is one for all [B, T]. Where XLA compiles, it is one for each of few shapes, to which
  rows are padded: attention of a shape that is known is cuDNN's, see `ops.flash_attention`.

  Args:
    function: from packed rows to any structure of tensors with B rows.
    most: tokens that a row may have.
  """
  if not compiling.compiles():
    return tf.function(function, input_signature=[packed_spec()])
  graph = tf.function(function)

  def run(packed: Packed) -> Any:
    count = packed.ids.shape[0]
    ids, padding_mask, segments = compiling.bucketed(packed[:3], most)
    padded = Packed(ids, padding_mask, segments,
                    tf.pad(packed.second_start, [[0, ids.shape[0] - count]]))
    results = graph.get_concrete_function(padded)(padded)
    return tf.nest.map_structure(lambda values: values[:count], results)

  return run
