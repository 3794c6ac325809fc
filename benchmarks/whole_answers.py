"""Whole answers, from a question's text to an answer's: ours beside transformers and FAISS.

    python benchmarks/whole_answers.py --workdir=runs/wiki26k --questions=dev.jsonl \\
      --systems=float32=export/1,int8=export8/1 --json=whole_answers.json

Ours are `native` exports of a run, each asked as `realm serve` asks it: requests wait in a
queue, and what waits together runs together. The others are a pipeline such as one writes
first (`deployed/answer.py`), of the run's sizes (MiniLM-L6), over as many texts, in PyTorch,
ONNX Runtime and OpenVINO; each client calls it by itself. All read as many blocks for a
question, of at most so many word pieces. No HTTP is between. Processes of their own take
turns; so many clients (threads) ask real questions for so many seconds each. All have all
processors. An export with `@graph` behind its folder is asked by TensorFlow's own batching,
`tf.nondifferentiable_batch_function`. `--blocks=1000000` gives the others so many texts, the
run's over and over, beside exports that have as many (`export_scale.py`).
"""

import json
import pathlib
import sys
import tempfile

import peers
from absl import app, flags
from encoder_load import ask
from machine import processor

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run, for its texts.")
_WEIGHTS = flags.DEFINE_string("weights", "data/weights/minilm", "Of MiniLM-L6.")
_QUESTIONS = flags.DEFINE_string("questions", None, "File of real ones.")
_SYSTEMS = flags.DEFINE_list("systems", None, "Exports: name=folder of a version, ...")
_PEERS = flags.DEFINE_list(
    "peers", ["pytorch float32", "onnxruntime float32", "onnxruntime int8",
              "openvino float32", "openvino int8"], "What answers beside ours.")
_BLOCKS = flags.DEFINE_integer("blocks", None, "Texts of the others; the run's by default.")
_READ = flags.DEFINE_integer("read", 5, "Blocks that are read for a question.")
_LENGTH = flags.DEFINE_integer("length", 224, "Word pieces of a question and a block.")
_CLIENTS = flags.DEFINE_list("clients", ["1", "8", "64"], "How many ask at once.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "How often each is measured.")
_SECONDS = flags.DEFINE_float("seconds", 5, "That each number of clients asks.")
_JSON = flags.DEFINE_string("json", None, "Where to write the numbers.")
_OURS = flags.DEFINE_string("ours", None, "Measure this export; used by the script itself.")
_WORK = flags.DEFINE_string("work", None, "Folder for it; used by the script itself.")

_MOST = 200  # questions


def _measure_ours() -> None:
  from realm_tf.server.batching import Batcher
  from realm_tf.server.server_settings import Batching
  folder, _, batching = _OURS.value.partition("@")
  if batching:
    answer, close = _batched_in_the_graph(folder, Batching()), lambda: None
  else:
    answer, close = _batched_by_a_queue(folder, Batcher(Batching()))
  asked = json.loads(pathlib.Path(_WORK.value, "asked.json").read_text(encoding="utf-8"))
  print(json.dumps(ask(answer, [(question,) for question in asked["questions"]],
                       [int(count) for count in _CLIENTS.value], _SECONDS.value)))
  close()


def _batched_by_a_queue(folder: str, batcher):
  import realm_tf
  model = realm_tf.load(folder)

  def answer(question: str) -> str:
    return batcher.submit("answer", 1, question, lambda asked: model.answer(
        asked, read_blocks=_READ.value)).result()["answer"]

  return answer, batcher.close


def _batched_in_the_graph(folder: str, settings):
  """By TensorFlow's own batching, of the function that `realm_tf.load` calls."""
  import tensorflow as tf

  from realm_tf.serving.saved_model import load_saved_model
  model = load_saved_model(folder)

  @tf.nondifferentiable_batch_function(
      num_batch_threads=settings.num_batch_threads, max_batch_size=settings.max_batch_size,
      batch_timeout_micros=settings.batch_timeout_micros,
      max_enqueued_batches=settings.max_enqueued_batches)
  def answers(questions):
    return tf.nest.flatten(model.answer(questions, [1], [_READ.value], [0.0]))[0]

  run = tf.function(answers, input_signature=[tf.TensorSpec([1], tf.string)])
  return lambda question: run(tf.constant([question])).numpy()[0]


def _write_asked(folder: str) -> int:
  """How many blocks there are."""
  from realm_tf.datasets.questions import read_questions
  from realm_tf.run.folder import Run
  texts = [text.decode() for text in Run.existing(_WORKDIR.value).corpus.texts.tolist()]
  questions = [question.question for question in read_questions(_QUESTIONS.value)[:_MOST]]
  blocks = _BLOCKS.value or len(texts)
  pathlib.Path(folder, "asked.json").write_text(
      json.dumps({"texts": texts, "blocks": blocks, "questions": questions}),
      encoding="utf-8")
  return blocks


def _commands(folder: str) -> dict[str, list[str]]:
  clients, seconds = ",".join(_CLIENTS.value), str(_SECONDS.value)
  commands = {f"faiss + {peer}": [
      peers.deployed_python(), peers.peer_script("answer.py", "deployed"), peer,
      _WEIGHTS.value, folder, str(_READ.value), str(_LENGTH.value), clients, seconds]
              for peer in _PEERS.value}
  for system in _SYSTEMS.value:
    name, _, export = system.partition("=")
    commands[f"ours {name}"] = [
        sys.executable, __file__, f"--ours={export}", f"--work={folder}",
        f"--read={_READ.value}", f"--clients={clients}", f"--seconds={seconds}"]
  return commands


def main(_) -> None:
  if _OURS.value:
    _measure_ours()
    return
  with tempfile.TemporaryDirectory() as folder:
    blocks = _write_asked(folder)
    measured = peers.take_turns(_commands(folder), _ROUNDS.value)
  result = {"processor": processor(), "blocks": blocks, "read": _READ.value,
            "rounds": _ROUNDS.value, "seconds": _SECONDS.value, "systems": measured}
  if _JSON.value:
    pathlib.Path(_JSON.value).write_text(json.dumps(result, indent=2) + "\n",
                                         encoding="utf-8")
  print(result["processor"], f"{blocks} blocks, {_READ.value} read for a question")
  for name, rounds in measured.items():
    for count in _CLIENTS.value:
      for times in (one[count] for one in rounds):
        print(f"{name:28s} {count:>3s} clients: p50 {times['p50']:.1f}, p95 "
              f"{times['p95']:.1f}, p99 {times['p99']:.1f}, least {times['least']:.1f} ms; "
              f"{times['per_second']:.1f} a second")


if __name__ == "__main__":
  app.run(main)
