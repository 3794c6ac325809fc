"""TensorBoard's event files, read as what they are: records of protocol buffers."""

import pathlib
from typing import Any

import tensorflow as tf
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorflow.core.util import event_pb2

Scalars = dict[str, dict[int, float]]  # by name and step


def read_events(folder: pathlib.Path) -> tuple[Scalars, dict[str, Any]]:
  """The scalars, of which the newest of a step counts, and the hyper-parameters."""
  scalars: Scalars = {}
  settings: dict[str, Any] = {}
  files = sorted(folder.glob("events.out.tfevents.*"), key=lambda path: path.stat().st_mtime)
  for record in tf.data.TFRecordDataset([str(path) for path in files]):
    event = event_pb2.Event.FromString(record.numpy())
    for value in event.summary.value:
      plugin = value.metadata.plugin_data
      if plugin.plugin_name == "hparams":
        started = plugin_data_pb2.HParamsPluginData.FromString(plugin.content)
        settings |= {name: getattr(parameter, parameter.WhichOneof("kind"))
                     for name, parameter in started.session_start_info.hparams.items()}
      elif value.HasField("tensor") and value.tensor.dtype == tf.float32.as_datatype_enum:
        scalars.setdefault(value.tag, {})[event.step] = float(tf.make_ndarray(value.tensor))
  return scalars, settings
