"""A BERT as it is deployed elsewhere: by PyTorch, ONNX Runtime or OpenVINO.

Needs what requirements.txt names, and nothing of realm_tf. Models are made once, in a folder:
ONNX by torch's exporter, int8 by onnxruntime's dynamic quantisation (a scale per column) and
by NNCF's with rows of text as its calibration.
"""

import pathlib
import sys
import threading

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import encoder_load  # noqa: E402

_NAMES = ("ids", "mask", "segments")
_CALIBRATION = 300  # rows


def engine(system, module, folder, name, rows, clients=1):
  """Ids, mask and segments, [B, T] int64 each -> what a module makes of them, an array.

  Args:
    system: "pytorch", "onnxruntime" or "openvino", a space and a precision.
    module: of three inputs and one output.
    folder, name: where what is made of the module is kept.
    rows: of text, to calibrate by.
    clients: how many ask at once, where a system wants to know.
  """
  which, _, precision = system.partition(" ")
  if which == "pytorch":
    return _pytorch(module, precision)
  path = _onnx_file(module, pathlib.Path(folder), name)
  return (_onnxruntime(path, precision) if which == "onnxruntime"
          else _openvino(path, precision, rows, clients))


def _onnx_file(module, folder, name):
  path = folder / f"{name}.onnx"
  if not path.exists():
    example = [torch.ones([2, 8], dtype=torch.long)] * 3
    torch.onnx.export(
        module, tuple(example), str(path), input_names=list(_NAMES), output_names=["output"],
        dynamo=False, opset_version=17,
        dynamic_axes={name: {0: "batch", 1: "length"} for name in _NAMES})
  return path


def _pytorch(module, precision):
  if precision == "bfloat16":
    module = module.to(torch.bfloat16)

  def run(*inputs):
    with torch.inference_mode():
      return module(*map(torch.from_numpy, inputs)).float().numpy()

  return run


def _onnxruntime(path, precision):
  import onnxruntime as ort
  if precision == "int8":
    from onnxruntime.quantization import quantize_dynamic
    whole, path = path, path.with_suffix(".int8.onnx")
    if not path.exists():
      quantize_dynamic(whole, path, per_channel=True)
  session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
  return lambda *inputs: session.run(None, dict(zip(_NAMES, inputs)))[0]


def _openvino(path, precision, rows, clients):
  import openvino as ov
  model = ov.Core().read_model(path)
  if precision == "int8":
    import nncf
    whole, path = model, path.with_suffix(".int8.xml")
    if not path.exists():
      data = nncf.Dataset(
          rows[:_CALIBRATION],
          lambda row: dict(zip(_NAMES, encoder_load.padded([row]), strict=True)))
      ov.save_model(nncf.quantize(whole, data, model_type=nncf.ModelType.TRANSFORMER,
                                  subset_size=_CALIBRATION), path)
    model = ov.Core().read_model(path)
  options = {"PERFORMANCE_HINT": "LATENCY" if clients == 1 else "THROUGHPUT"}
  if precision == "float32":
    options["INFERENCE_PRECISION_HINT"] = "f32"
  compiled = ov.Core().compile_model(model, "CPU", options)
  own = threading.local()  # a request is of one thread at a time

  def run(*inputs):
    if not hasattr(own, "request"):
      own.request = compiled.create_infer_request()
    return np.array(own.request.infer(dict(zip(_NAMES, inputs)))[0])

  return run


class Pooled(torch.nn.Module):
  """The mean over the tokens of a row: [B, H]."""

  def __init__(self, bert):
    super().__init__()
    self.bert = bert.eval()

  def forward(self, ids, mask, segments):
    hidden = self.bert(input_ids=ids, attention_mask=mask, token_type_ids=segments)[0]
    weights = mask[:, :, None].to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1)
