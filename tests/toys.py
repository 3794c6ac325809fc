"""Models of a line each, as SavedModels, and a server of them in this process.

They are those of TensorFlow Serving's documentation: half_plus_three, and one of three named
inputs; and some whose inputs or outputs are odd.
"""

import contextlib

import tensorflow as tf
from starlette.testclient import TestClient

from realm_tf.server.app import make_app
from realm_tf.server.batching import Batcher
from realm_tf.server.lifecycle import Lifecycle
from realm_tf.server.prometheus import Gauges
from realm_tf.server.server_settings import Batching, Limits
from realm_tf.server.service import Service
from realm_tf.server.signature_calls import read_signatures
from realm_tf.server.source import FolderSource

_TWICE = tf.constant(2)


class Toys(tf.Module):

  @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
  def half_plus_three(self, x):
    return {"y": 0.5 * x + 3.0}

  @tf.function(input_signature=[
      tf.TensorSpec([None], tf.string, "tag"), tf.TensorSpec([None, 5], tf.int64, "signal"),
      tf.TensorSpec([None, 2, 2], tf.int32, "sensor")])
  def three(self, tag, signal, sensor):
    return {"name": tag, "raw_bytes": tag, "sum": tf.reduce_sum(signal, 1), "sensor": sensor}

  @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "texts"),
                                tf.TensorSpec([], tf.int32, "times")])
  def repeat(self, texts, times=_TWICE):
    return {"many": tf.repeat(texts[:, None], times, 1)}

  @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, "a"),
                                tf.TensorSpec([], tf.bool, "b")])
  def odd(self, a, b):
    return {"a": a, "b": b}


class Loaded:
  reads = True

  def __init__(self, version, old):
    del old
    self.number, self.mark = version.number, version.mark
    self._saved = tf.saved_model.load(str(version.folder))
    self.signatures = read_signatures(version.folder, self._saved.signatures)

  def run(self, name, inputs):
    return self.signatures[name].run(inputs)


@contextlib.contextmanager
def client(base):
  """Of a server whose model is half_plus_three, version 123, in the folder `base`."""
  toys = Toys()
  tf.saved_model.save(toys, str(base / "00000123"), {
      "serving_default": toys.half_plus_three, "three": toys.three, "repeat": toys.repeat,
      "odd": toys.odd})
  lifecycle = Lifecycle(FolderSource(base), Loaded, "toys")
  lifecycle.start()
  batcher = Batcher(Batching())
  yield TestClient(make_app(
      Service("half_plus_three", lifecycle, batcher, Limits(max_questions=8), ("stable",)),
      Gauges()), base_url="http://localhost", raise_server_exceptions=False)
  batcher.close()
