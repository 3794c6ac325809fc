"""all-MiniLM-L6 as it is deployed elsewhere; run by `benchmarks/serving.py`, not by itself.

    python encoder.py SYSTEM WEIGHTS FOLDER CLIENTS SECONDS

Needs what requirements.txt names, and nothing of realm_tf. Models are made once, in the
folder: ONNX by torch's exporter, int8 by onnxruntime's dynamic quantisation (a scale per
column) and by NNCF's with the passages as its calibration.
"""

import pathlib
import sys

import numpy as np
import torch
from transformers import BertModel

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import encoder_load  # noqa: E402

_NAMES = ("ids", "mask", "segments")
_CALIBRATION = 300  # passages


class Pooled(torch.nn.Module):
  """The mean over the tokens of a row."""

  def __init__(self, folder):
    super().__init__()
    self.bert = BertModel.from_pretrained(folder, attn_implementation="eager").eval()

  def forward(self, ids, mask, segments):
    hidden = self.bert(input_ids=ids, attention_mask=mask, token_type_ids=segments)[0]
    weights = mask[:, :, None].to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1)


def onnx_file(weights, folder):
  path = folder / "model.onnx"
  if not path.exists():
    example = [torch.ones([2, 8], dtype=torch.long)] * 3
    torch.onnx.export(
        Pooled(weights), tuple(example), str(path), input_names=_NAMES,
        output_names=["vectors"], dynamo=False, opset_version=17,
        dynamic_axes={name: {0: "batch", 1: "length"} for name in _NAMES})
  return path


def pytorch(weights, folder, precision):
  model = Pooled(weights)
  if precision == "bfloat16":
    model = model.to(torch.bfloat16)

  def embed(*inputs):
    with torch.inference_mode():
      return model(*map(torch.from_numpy, inputs)).float().numpy()

  return embed


def onnxruntime(weights, folder, precision):
  import onnxruntime as ort
  path = onnx_file(weights, folder)
  if precision == "int8":
    from onnxruntime.quantization import quantize_dynamic
    whole, path = path, folder / "int8.onnx"
    if not path.exists():
      quantize_dynamic(whole, path, per_channel=True)
  session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
  return lambda *inputs: session.run(None, dict(zip(_NAMES, inputs)))[0]


def openvino(weights, folder, precision):
  import openvino as ov
  model = ov.Core().read_model(onnx_file(weights, folder))
  if precision == "int8":
    import nncf
    path = folder / "int8.xml"
    if not path.exists():
      rows = encoder_load.rows_of(f"{folder}/passages.npz")[:_CALIBRATION]
      data = nncf.Dataset(
          rows, lambda row: dict(zip(_NAMES, encoder_load.padded([row]), strict=True)))
      ov.save_model(nncf.quantize(model, data, model_type=nncf.ModelType.TRANSFORMER,
                                  subset_size=_CALIBRATION), path)
    model = ov.Core().read_model(path)
  options = {"PERFORMANCE_HINT": "LATENCY"}
  if precision == "float32":
    options["INFERENCE_PRECISION_HINT"] = "f32"
  compiled = ov.Core().compile_model(model, "CPU", options)
  import threading
  own = threading.local()  # a request is of one thread at a time

  def embed(*inputs):
    if not hasattr(own, "request"):
      own.request = compiled.create_infer_request()
    return np.array(own.request.infer(dict(zip(_NAMES, inputs)))[0])

  return embed


def main(system, weights, folder, clients, seconds):
  name, _, precision = system.partition(" ")
  embed = globals()[name](weights, pathlib.Path(folder), precision)
  encoder_load.measure(embed, folder, system, [int(count) for count in clients.split(",")],
                       float(seconds))


if __name__ == "__main__":
  main(*sys.argv[1:])
