"""What TensorFlow Serving does with an export: its layout, ops, protos, and no Python.

TensorFlow Serving itself cannot be had here. A C program on TensorFlow's C API stands for it,
and its own messages, from `tensorflow-serving-api`.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

import realm_tf
from realm_tf.errors import UserError
from realm_tf.serving import record
from realm_tf.serving import saved_model as serving

pytestmark = pytest.mark.slow

_ROOT = pathlib.Path(__file__).parents[2]
_QUESTIONS = ["what is the capital of france", "who lives by the river?", "Où est é?"]
_TEXT = pathlib.Path(tensorflow_text.__file__).parent / "python" / "ops"


@pytest.fixture(name="ask", scope="module")
def _ask():
  """The program, compiled: flavour's libraries, version, questions -> what it prints."""
  if not shutil.which("cc") or not shutil.which("make"):
    pytest.skip("no C compiler (cc) and make: the C program was not tried")
  subprocess.run(["make", "-s", "build/ask", f"VENV={sys.prefix}"], cwd=_ROOT, check=True)

  def ask(libraries, version, *questions):
    return subprocess.run(
        [_ROOT / "build" / "ask", *(f"--library={path}" for path in libraries), version,
         *questions], capture_output=True, text=True, check=False,
        env={"PATH": "", "TF_CPP_MIN_LOG_LEVEL": "3"})

  return ask


@pytest.mark.parametrize("flavour", ["portable", "native"])
def test_a_c_program_answers_as_python_does(world, ask, flavour):
  folder = world.exported(flavour)
  libraries = [_TEXT / "_fast_wordpiece_tokenizer.so", _TEXT / "_normalize_ops.so"]
  if flavour == "native":
    libraries.append(_ROOT / "realm_tf" / "_realm_ops.so")
  completed = ask(libraries, folder / "1", *_QUESTIONS)
  assert completed.returncode == 0, completed.stderr
  lines = [line.split("\t") for line in completed.stdout.splitlines()]
  for (answer, probability, title, start, end), expected in zip(
      lines, realm_tf.load(folder).answer(_QUESTIONS), strict=True):
    assert (answer, title, int(start), int(end)) == (
        expected["answer"], expected["title"], expected["start"], expected["end"])
    assert float(probability) == pytest.approx(expected["probability"], abs=1e-4)
    assert expected["passage"][int(start):int(end)] == answer


def test_what_the_c_program_cannot_load_is_named(world, ask, tmp_path):
  (tmp_path / "saved_model.pb").write_bytes(b"nothing")
  for version in (tmp_path, tmp_path / "none"):
    completed = ask([], version, "who?")
    assert completed.returncode == 2
    assert "ask: " in completed.stderr and str(version) in completed.stderr
  completed = ask([tmp_path / "none.so"], world.folder, "who?")
  assert completed.returncode == 2 and "none.so" in completed.stderr


def _ops(version):
  graph = saved_model_pb2.SavedModel.FromString(
      (version / "saved_model.pb").read_bytes()).meta_graphs[0].graph_def
  return {node.op for node in graph.node}.union(
      *({node.op for node in function.node_def} for function in graph.library.function))


_STOCK = """
import ctypes, sys
class Buffer(ctypes.Structure):
  _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_size_t)]
for name in ("framework", "cc"):
  library = ctypes.CDLL(f"{sys.argv[1]}/libtensorflow_{name}.so.2", ctypes.RTLD_GLOBAL)
library.TF_GetAllOpList.restype = ctypes.POINTER(Buffer)
found = library.TF_GetAllOpList().contents
sys.stdout.buffer.write(ctypes.string_at(found.data, found.length))
"""


def test_a_portable_export_has_no_op_but_those_that_tensorflow_serving_links(world):
  from tensorflow.core.framework import op_def_pb2
  text = json.loads((pathlib.Path(__file__).with_name(
      "tensorflow_serving_ops.json")).read_text())["tensorflow_text"]
  linked = {op for ops in text.values() for op in ops}
  stock = subprocess.run([sys.executable, "-c", _STOCK, pathlib.Path(tf.__file__).parent],
                         capture_output=True, check=True).stdout
  stock = {op.name for op in op_def_pb2.OpList.FromString(stock).op}
  assert len(stock) > 1000 and not any("Realm>" in op for op in stock | linked)
  ops = _ops(world.exported("portable") / "1")
  assert ops - stock <= linked and ops - stock
  for flavour, prefix in (("native", "Realm>"), ("scann", "Scann>")):
    others = _ops(world.exported(flavour) / "1") - stock - linked
    assert others and {op[:len(prefix)] for op in others} == {prefix}


def _predict(model, request):
  """What TensorFlow Serving makes of a Predict request: the signature's tensors, defaults
  for what is left out, all outputs."""
  signature = saved_model_pb2.SavedModel.FromString(
      (model.folder / "saved_model.pb").read_bytes()).meta_graphs[0].signature_def[
          request.model_spec.signature_name or "serving_default"]
  assert set(request.inputs) <= set(signature.inputs)
  inputs = {name: request.inputs.get(name, signature.defaults.get(name))
            for name in signature.inputs}
  assert None not in inputs.values()
  outputs = model.signatures[request.model_spec.signature_name or "serving_default"](
      **{name: tf.constant(tf.make_ndarray(value)) for name, value in inputs.items()})
  response = predict_pb2.PredictResponse(model_spec=request.model_spec)
  for name, value in outputs.items():
    response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
  return predict_pb2.PredictResponse.FromString(response.SerializeToString())


@pytest.fixture(name="loaded", scope="module")
def _loaded(world):
  loaded = serving.load_saved_model(world.exported("portable"))
  loaded.folder = world.exported("portable") / "1"
  return loaded


def test_a_predict_message_is_answered(world, loaded):
  request = predict_pb2.PredictRequest()
  request.model_spec.name = "realm"
  request.inputs["questions"].CopyFrom(tf.make_tensor_proto(_QUESTIONS))
  live = world.answerer().answer(tf.constant(_QUESTIONS), 5)
  outputs = _predict(loaded, request).outputs
  assert tf.make_ndarray(outputs["answer"]).tolist() == live.answer[:, 0].numpy().tolist()
  assert tf.make_ndarray(outputs["top_title"]).tolist() == live.title.numpy().tolist()
  request.model_spec.signature_name = "answer"  # what is left out has defaults
  request.inputs["top_n"].CopyFrom(tf.make_tensor_proto([2]))
  again = _predict(loaded, request).outputs
  assert tf.make_ndarray(again["top_answer"]).tolist() == live.answer[:, :2].numpy().tolist()
  np.testing.assert_allclose(tf.make_ndarray(again["top_probability"]),
                             live.probability[:, :2], rtol=1e-4)


def test_warm_up_requests_ask_every_signature_one_question_at_a_time(loaded):
  path = loaded.folder / "assets.extra" / "tf_serving_warmup_requests"
  logs = [prediction_log_pb2.PredictionLog.FromString(log.numpy())
          for log in tf.data.TFRecordDataset(str(path))]
  assert 5 < len(logs) <= 1000
  names = {log.predict_log.request.model_spec.signature_name for log in logs}
  assert names == set(loaded.signatures)
  for log in logs:
    request = log.predict_log.request
    signature = record.signatures(loaded.folder)[request.model_spec.signature_name]
    assert set(request.inputs) == set(signature["inputs"])
    # As batching wants it, whatever its parameters are.
    assert {value.tensor_shape.dim[0].size for value in request.inputs.values()} == {1}
    assert all(tf.make_ndarray(value).shape[0] == 1 for value in
               _predict(loaded, request).outputs.values())


def test_a_version_is_checked_by_its_own_warm_up_answers(world, tmp_path):
  shutil.copytree(world.exported("portable"), tmp_path / "copy")
  model = realm_tf.load(tmp_path / "copy")
  model.check()
  path = tmp_path / "copy" / "1" / "assets.extra" / "realm_warmup.json"
  warmup = json.loads(path.read_text())
  assert len(warmup["questions"]) == len(warmup["answers"]) == 16
  assert {name for spans in warmup["answers"] for listed in spans for name in listed} == {
      "answer", "probability"}
  for change in ({"answer": "something else"}, {"probability": 0.9}):
    changed = json.loads(path.read_text())
    changed["answers"][3] = [spans | change for spans in changed["answers"][3]]
    path.write_text(json.dumps(changed))
    with pytest.raises(UserError, match="does not answer as when it was written: to '"):
      model.check()
    path.write_text(json.dumps(warmup))
  with pytest.raises(UserError, match="realm_warmup.json: not what was written there"):
    record.check_export(tmp_path / "copy" / "1")  # by its checksum: the spaces are others


def test_the_record_says_what_an_export_is(world, loaded):
  facts = realm_tf.load(loaded.folder).facts
  assert facts["flavour"] == "portable" and facts["versions"]["tensorflow"] == "2.20.0"
  assert facts["corpus"] == {"hash": world.corpus.hash, "blocks": 25, "documents": 25}
  assert facts["signatures"]["answer"]["inputs"]["top_n"] == {
      "dtype": "int32", "shape": [-1], "default": [5]}
  assert facts["signatures"]["embed"]["outputs"]["embedding"]["shape"] == [-1, 16]
  assert set(facts["signatures"]) == set(loaded.signatures)
  others = [json.loads((world.exported(flavour) / "1" / "realm_export.json").read_text())
            for flavour in ("native", "scann")]
  for other in others:  # one model, one table
    assert other["model"] == facts["model"] and other["corpus"] == facts["corpus"]
    assert other["index"]["hash"] == facts["index"]["hash"]
  assert [other["index"]["kind"] for other in others] == ["exact", "scann"]
  assert "scann" in others[1]["versions"] and "scann" not in facts["versions"]


def test_what_no_signature_reads_is_not_in_an_export(world):
  """The word head, titles in word pieces, the step of the index; texts are no constants."""
  answerer = world.answerer()
  version = world.exported("portable") / "1"
  saved = [shape for name, shape in tf.train.list_variables(
      os.fspath(version / "variables" / "variables")) if "VARIABLE_VALUE" in name]
  unread = [variable for part in (
      answerer.model.encoder.masked_lm, answerer.passages.titles)
            for variable in part.variables] + [answerer.index.step]
  read = len(answerer.variables) - len(unread)
  assert len(unread) == 8 and len(saved) == read
  assert len(record.read_record(version)["variables"]) == read
  graph = (version / "saved_model.pb").read_bytes()
  texts = (version / "variables" / "variables.data-00000-of-00001").read_bytes()
  assert world.corpus.texts[3] in texts and world.corpus.texts[3] not in graph
