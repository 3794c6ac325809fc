"""The commands of `realm`: what each is for, its flags, an example, what it runs.

Nothing here imports TensorFlow before a command runs, so that `--help` is quick.
"""

import dataclasses
import json
from typing import Callable, Sequence

from absl import flags
from ml_collections import config_flags

from realm_tf import config as config_lib
from realm_tf.errors import UserError

FLAGS = flags.FLAGS


@dataclasses.dataclass(frozen=True)
class Command:
  """One word behind `realm`."""
  summary: str
  example: str
  # Is given the words that are not flags; may return an exit code.
  run: Callable[[Sequence[str]], int | None]
  define_flags: Callable[[], None] = lambda: None


def define_run_flags() -> None:
  """The two flags that every command has."""
  config_flags.DEFINE_config_file(
      "config", None, "Config file, such as configs/demo.py; single fields are set by "
      "--config.pretrain.steps=200. Not needed where --workdir holds a run.")
  flags.DEFINE_string("workdir", None, "Folder of the run: stages leave their results "
                      "there and find those of earlier stages.")


# The words behind `realm` of the command that runs; set by `main`, noted in its run.
command_line: list[str] = []


def _open_run(writes: bool = True):
  """The run that --config and --workdir name.

  A command that `writes` into its folder leaves a record there of how it was started.
  """
  from realm_tf.cli import history  # pylint: disable=import-outside-toplevel
  from realm_tf.cli.run_folder import RunFolder  # pylint: disable=import-outside-toplevel
  if not FLAGS.workdir:
    raise UserError("--workdir is missing: name the folder of the run")
  if FLAGS.config is None:
    opened = RunFolder.existing(FLAGS.workdir)
  else:
    opened = RunFolder(config_lib.from_dict(FLAGS.config.to_dict()), FLAGS.workdir)
  if writes:
    history.record(opened.path, command_line)
  return opened


def _open_to_use(writes: bool = True):
  """The run, and which of a stage's models --checkpoint means."""
  opened = _open_run(writes)
  opened.checkpoint = FLAGS.checkpoint
  return opened


def _define_checkpoint() -> None:
  flags.DEFINE_enum("checkpoint", "last", ["last", "best"], "last: the model at the end of "
                    "the stage; best: the one kept by config.best_metric while it trained.")


def _define_strategy() -> None:
  flags.DEFINE_enum("strategy", "one_device",
                    ["one_device", "mirrored", "multi_worker", "tpu"],
                    "tf.distribute: mirrored trains on all GPUs of this machine, "
                    "multi_worker on the processes that TF_CONFIG names, tpu on a TPU.")
  flags.DEFINE_string("tpu", "local", "The TPU's name or grpc:// address; local on a TPU VM.")
  flags.DEFINE_string("tpu_zone", None, "The zone of a TPU that has a name.")
  flags.DEFINE_string("tpu_project", None, "The project of a TPU that has a name.")


def _open_training_run(one_process: bool = False):
  """The run, with the strategy that --strategy names."""
  if FLAGS.strategy == "one_device":
    return _open_run()
  if one_process and FLAGS.strategy == "multi_worker":
    raise UserError("--strategy=multi_worker: run the stages one by one, each on all "
                    "workers: realm ict, realm pretrain, realm finetune")
  if one_process and FLAGS.strategy == "tpu":
    raise UserError("--strategy=tpu: run the stages one by one, realm ict, realm pretrain, "
                    "realm finetune; what comes after them needs no TPU")
  from realm_tf.training import replicas  # pylint: disable=import-outside-toplevel
  # Before anything runs: TensorFlow must know of all workers first.
  strategy = replicas.make_strategy(FLAGS.strategy, FLAGS.tpu, FLAGS.tpu_zone,
                                    FLAGS.tpu_project)
  opened = _open_run()
  opened.strategy = strategy
  return opened


def _training(name: str) -> Callable[[Sequence[str]], None]:
  run = _stage(name, _open_training_run)

  def train(arguments: Sequence[str]) -> None:
    if FLAGS.strategy != "multi_worker":
      return run(arguments)
    from realm_tf.training import replicas  # pylint: disable=import-outside-toplevel
    with replicas.naming_who_failed():
      return run(arguments)

  return train


def _stage(name: str, open_run: Callable = _open_run) -> Callable[[Sequence[str]], None]:
  def run(arguments: Sequence[str]) -> None:
    _no_more(arguments)
    opened = open_run()
    from realm_tf.cli import stages  # pylint: disable=import-outside-toplevel
    if name in ("ict", "pretrain", "finetune") and opened.is_done(name):
      print(f"{name}: done already, see {opened.path / name}")
      return
    getattr(stages, name)(opened)
    print(f"{name}: done, see {opened.path}")
  return run


def _no_more(arguments: Sequence[str]) -> None:
  if arguments:
    raise UserError(f"'{arguments[0]}': expected flags only (--name=value)")


def _run(arguments: Sequence[str]) -> None:
  _no_more(arguments)
  opened = _open_training_run(one_process=True)
  from realm_tf.cli.whole_run import whole_run  # pylint: disable=import-outside-toplevel
  whole_run(opened)


def _evaluate(arguments: Sequence[str]) -> None:
  _no_more(arguments)
  opened = _open_to_use()
  from realm_tf.cli import stages  # pylint: disable=import-outside-toplevel
  stage = FLAGS.stage or opened.newest_stage()
  found = stages.evaluate(opened, stage)
  width = max(map(len, found))
  for name, value in found.items():
    print(f"{name:{width}s} {value:.4f}" if isinstance(value, float)
          else f"{name:{width}s} {value}")


def _define_evaluate() -> None:
  flags.DEFINE_string("stage", None, "ict, pretrain or finetune; the newest by default.")
  _define_checkpoint()


def _diagnose(arguments: Sequence[str]) -> None:
  _no_more(arguments)
  opened = _open_run()
  from realm_tf import files  # pylint: disable=import-outside-toplevel
  from realm_tf.cli import diagnosing  # pylint: disable=import-outside-toplevel
  from realm_tf.evaluation import diagnosis_report  # pylint: disable=import-outside-toplevel
  stage = FLAGS.stage or opened.stage_before("finetune")
  found = diagnosing.diagnose(opened, stage, FLAGS.sentences, FLAGS.blocks)
  print(diagnosis_report.table(found))
  written = diagnosing.json_path(opened, stage)
  print(f"\nsee {written} and {written.with_suffix('.png')}")
  if FLAGS.json:
    files.write_json(FLAGS.json, found)


def _define_diagnose() -> None:
  flags.DEFINE_string("stage", None, "ict or pretrain; the newest of them by default.")
  flags.DEFINE_integer("sentences", None, "How many; config.diagnosis.sentences by default.",
                       lower_bound=1)
  flags.DEFINE_integer("blocks", None, "How many are summed for each sentence, 0 for all; "
                       "config.diagnosis.blocks by default.", lower_bound=0)
  flags.DEFINE_string("json", None, "Write the figures to this file too.")


def _report(arguments: Sequence[str]) -> None:
  _no_more(arguments)
  opened = _open_run(writes=False)
  from realm_tf.cli import reporting  # pylint: disable=import-outside-toplevel
  print(reporting.report(opened, FLAGS.output))


def _define_report() -> None:
  flags.DEFINE_string("output", None, "The HTML file; WORKDIR/report.html by default.")


def _predict(arguments: Sequence[str]) -> None:
  _no_more(arguments)
  if not FLAGS.questions or not FLAGS.output:
    raise UserError("--questions and --output: name the file to read and the one to write")
  opened = _open_to_use(writes=False)
  from realm_tf.cli.asking import predict  # pylint: disable=import-outside-toplevel
  predict(opened, FLAGS.questions, FLAGS.output)


def _define_predict() -> None:
  flags.DEFINE_string("questions", None, "JSONL with a field question; answer may be there.")
  flags.DEFINE_string("output", None, "JSONL to write: prediction, score, passages.")
  _define_checkpoint()


def _ask(arguments: Sequence[str]) -> None:
  if not arguments:
    raise UserError('give a question: realm ask --workdir=DIR "Who wrote Hamlet?"')
  from realm_tf.cli import asking  # pylint: disable=import-outside-toplevel
  if FLAGS.export and FLAGS.checkpoint != "last":
    raise UserError("--checkpoint: an export has one model only; give it to `realm export`")
  if FLAGS.export:
    asking.ask_export(FLAGS.export, arguments, FLAGS.json)
  else:
    asking.ask_run(_open_to_use(writes=False), arguments, FLAGS.json)


def _define_ask() -> None:
  flags.DEFINE_string("export", None, "Ask an exported SavedModel instead of a run.")
  flags.DEFINE_bool("json", False, "Print one JSON object per question.")
  _define_checkpoint()


def _export(arguments: Sequence[str]) -> None:
  _no_more(arguments)
  opened = _open_to_use()
  from realm_tf.cli import exporting  # pylint: disable=import-outside-toplevel
  print(exporting.export_run(opened, FLAGS.flavour, FLAGS.output))


def _index(arguments: Sequence[str]) -> None:
  if FLAGS.verify:
    _verify(arguments)
    return
  if FLAGS.block_emb:
    _no_more(arguments)
    from realm_tf.cli import adopting  # pylint: disable=import-outside-toplevel
    adopting.adopt(_open_run(), FLAGS.block_emb)
  _stage("index")(arguments)


def _define_index() -> None:
  flags.DEFINE_bool("verify", False, "Check what is there, as `realm verify` does.")
  flags.DEFINE_string("block_emb", None, "Folder or checkpoint with block_emb, the published "
                      "embeddings of the same blocks: a sample is embedded and compared.")
  _define_verify()


def _verify(arguments: Sequence[str]) -> None:
  _no_more(arguments)
  from realm_tf.cli import verifying  # pylint: disable=import-outside-toplevel
  for line in verifying.verify(_open_run(writes=False), FLAGS.sample):
    print(line)


def _define_verify() -> None:
  flags.DEFINE_integer("sample", 64, "Rows of each index that are embedded again.",
                       lower_bound=1)


def _refresh(arguments: Sequence[str]) -> None:
  _no_more(arguments)
  opened = _open_run()
  from realm_tf.cli.refreshing import refresh  # pylint: disable=import-outside-toplevel
  made = refresh(opened, FLAGS.once, FLAGS.nice, FLAGS.beam)
  print(f"refresh: done, {made} checkpoints embedded, see {opened.path}/pretrain/index")


def _define_refresh() -> None:
  flags.DEFINE_bool("once", False, "Embed the newest checkpoint and end.")
  flags.DEFINE_integer("nice", 10, "How far the job steps back behind the trainer.",
                       lower_bound=0, upper_bound=19)
  flags.DEFINE_string("beam", None, "Embed by an Apache Beam pipeline with these options, "
                      "such as --beam='--runner=FlinkRunner'; workers must see WORKDIR.")


def _add(arguments: Sequence[str]) -> None:
  _no_more(arguments)
  if not FLAGS.documents:
    raise UserError("--documents: name the file to read: JSONL with id, title, text")
  opened = _open_run()
  from realm_tf.cli import documents  # pylint: disable=import-outside-toplevel
  print(documents.add(opened, FLAGS.documents))


def _define_add() -> None:
  flags.DEFINE_string("documents", None, "JSONL with id, title, text, or another kind that "
                      "`realm corpus` reads.")


def _delete(arguments: Sequence[str]) -> None:
  ids = list(arguments)
  if FLAGS.ids:
    try:
      with open(FLAGS.ids, encoding="utf-8") as file:
        ids += [line.strip() for line in file if line.strip()]
    except UnicodeDecodeError as error:
      raise UserError(f"{FLAGS.ids}: not UTF-8 (byte {error.start})") from None
  if not ids:
    raise UserError("name the documents: realm delete --workdir=DIR ID..., or --ids=FILE")
  opened = _open_run()
  from realm_tf.cli import documents  # pylint: disable=import-outside-toplevel
  print(documents.delete(opened, ids))


def _define_delete() -> None:
  flags.DEFINE_string("ids", None, "File with one document id per line.")


def _compact(arguments: Sequence[str]) -> None:
  _no_more(arguments)
  opened = _open_run()
  from realm_tf.cli import documents  # pylint: disable=import-outside-toplevel
  print(documents.compact(opened))


def _define_export() -> None:
  flags.DEFINE_enum("flavour", "portable", ["portable", "native", "scann"],
                    "portable: stock TensorFlow and TF Text ops; native: our op; scann: "
                    "ScaNN's.")
  flags.DEFINE_string("output", None, "Folder of the SavedModel; WORKDIR/export by default.")
  _define_checkpoint()


def _score(arguments: Sequence[str]) -> None:
  _no_more(arguments)
  if not FLAGS.questions or not FLAGS.predictions:
    raise UserError("--questions and --predictions: name both files")
  from realm_tf.evaluation import published, questions  # pylint: disable=import-outside-toplevel
  found = published.score_predictions(questions.read_questions(FLAGS.questions),
                                      published.read_predictions(FLAGS.predictions))
  print(json.dumps(found) if FLAGS.json else
        "\n".join(f"{name:20s} {value}" for name, value in found.items()))


def _define_score() -> None:
  flags.DEFINE_string("questions", None, "JSONL with question and answer.")
  flags.DEFINE_string("predictions", None, "JSONL with question and prediction.")
  flags.DEFINE_bool("json", False, "Print one JSON object.")


def _resplit(arguments: Sequence[str]) -> None:
  _no_more(arguments)
  if not FLAGS.questions or not FLAGS.name or not FLAGS.output:
    raise UserError("--questions, --name and --output: name the training set, the data set "
                    "and the folder to write to")
  from realm_tf.evaluation import published  # pylint: disable=import-outside-toplevel
  for part, count in published.resplit(FLAGS.questions, FLAGS.name, FLAGS.output).items():
    print(f"{part}: {count} questions")


def _define_resplit() -> None:
  flags.DEFINE_string("questions", None, "JSONL with question and answer, the training set.")
  flags.DEFINE_string("name", None, "NaturalQuestions, WebQuestions or CuratedTrec.")
  flags.DEFINE_string("output", None, "Folder for NAME.resplit.train.jsonl and .dev.jsonl.")


def _parity(arguments: Sequence[str]) -> int:
  _no_more(arguments)
  if not FLAGS.reference:
    raise UserError("--reference: name the folder with io.npz and the models")
  from realm_tf.cli import parity  # pylint: disable=import-outside-toplevel
  return 0 if parity.check(FLAGS.reference, FLAGS.dtype, FLAGS.json) else 1


def _define_parity() -> None:
  flags.DEFINE_string("reference", None, "Folder with io.npz and the models embedder, "
                      "scorer, encoder, reader.")
  flags.DEFINE_enum("dtype", "float64", ["float64", "float32"], "In which our models "
                    "compute: float64 leaves the rounding to the reference.")
  flags.DEFINE_bool("json", False, "Print one JSON object.")


def _import(arguments: Sequence[str]) -> None:
  _no_more(arguments)
  if not FLAGS.source or not FLAGS.output:
    raise UserError("--source and --output: name what to read and the folder to write")
  from realm_tf.cli import weights  # pylint: disable=import-outside-toplevel
  weights.import_folder(FLAGS.source, FLAGS.output, FLAGS.kind, FLAGS.sizes,
                        FLAGS.vocabulary, FLAGS.json)


def _define_import() -> None:
  flags.DEFINE_multi_string(
      "source", None, "Hugging Face folder, or TensorFlow 1 checkpoint or hub module. "
      "Give it again to put together an open-QA model (embedder, reader, block_emb) or, "
      "with --kind=scorer, two towers (of documents, of queries).")
  flags.DEFINE_string("output", None, "Folder to write: config.json, model.safetensors.")
  flags.DEFINE_string("kind", None, "embedder, scorer, encoder, reader, openqa, bert or "
                      "block_emb; told from the names by default.")
  flags.DEFINE_string("sizes", None, "config.json or bert_config.json, where none is beside "
                      "the weights; by default sizes are told from shapes.")
  flags.DEFINE_string("vocabulary", None, "vocab.txt, where none is beside the weights.")
  flags.DEFINE_bool("json", False, "Print one JSON object: what became of every tensor.")


def _export_weights(arguments: Sequence[str]) -> None:
  _no_more(arguments)
  if not FLAGS.output:
    raise UserError("--output: name the folder to write")
  if FLAGS.weights:
    from realm_tf.cli import weights  # pylint: disable=import-outside-toplevel
    weights.import_folder([FLAGS.weights], FLAGS.output, FLAGS.kind, None, None, FLAGS.json)
    return
  opened = _open_run()
  from realm_tf.cli import weights  # pylint: disable=import-outside-toplevel
  weights.export_run(opened, FLAGS.stage or opened.newest_stage(), FLAGS.kind, FLAGS.output)


def _define_export_weights() -> None:
  flags.DEFINE_string("weights", None, "Export an imported folder instead of a run.")
  flags.DEFINE_string("stage", None, "ict, pretrain or finetune; the newest by default.")
  flags.DEFINE_string("kind", None, "embedder, query_embedder, scorer, encoder, reader or "
                      "openqa; all of them by default, each in a folder of its own.")
  flags.DEFINE_string("output", None, "Folder to write; it may not exist yet.")
  flags.DEFINE_bool("json", False, "Of --weights: print what became of every tensor.")


_DEMO = "--config=configs/demo.py --workdir=runs/demo"

COMMANDS = {
    "run": Command(
        "Run all stages of a config in order; what is there already is not made again.",
        f"realm run {_DEMO}", _run, _define_strategy),
    "corpus": Command(
        "Cut documents into blocks and write the corpus store.",
        f"realm corpus {_DEMO}", _stage("corpus")),
    "ict": Command(
        "Warm-start the retriever by the Inverse Cloze Task.", f"realm ict {_DEMO}",
        _training("ict"), _define_strategy),
    "pretrain": Command(
        "Pre-train retriever and encoder together, with asynchronous index refresh.",
        f"realm pretrain {_DEMO} --config.pretrain.steps=200", _training("pretrain"),
        _define_strategy),
    "finetune": Command(
        "Fine-tune on questions and answers; document tower and index stay frozen.",
        f"realm finetune {_DEMO}", _training("finetune"), _define_strategy),
    "index": Command(
        "Embed the corpus by the newest model of the run.",
        "realm index --workdir=runs/demo", _index, _define_index),
    "refresh": Command(
        "Re-embed the corpus by each checkpoint of a pre-training with refresh=job.",
        "realm refresh --workdir=runs/demo", _refresh, _define_refresh),
    "add": Command(
        "Add documents, or replace those of the same id; only they are embedded.",
        "realm add --workdir=runs/demo --documents=new.jsonl", _add, _define_add),
    "delete": Command(
        "Delete documents by their ids.",
        "realm delete --workdir=runs/demo id-17 id-18", _delete, _define_delete),
    "compact": Command(
        "Drop deleted documents from the files.", "realm compact --workdir=runs/demo",
        _compact),
    "verify": Command(
        "Check every file against its checksum, and the index against its tower.",
        "realm verify --workdir=runs/demo", _verify, _define_verify),
    "evaluate": Command(
        "Measure recall, exact match and F1 on the held-out questions.",
        "realm evaluate --workdir=runs/demo --stage=pretrain", _evaluate, _define_evaluate),
    "diagnose": Command(
        "Measure the gradient of a truncated and stale retrieval against the full sum.",
        "realm diagnose --workdir=runs/demo --stage=pretrain --blocks=0", _diagnose,
        _define_diagnose),
    "report": Command(
        "Make one HTML page of a run: curves, recall, staleness, examples, answers.",
        "realm report --workdir=runs/demo", _report, _define_report),
    "predict": Command(
        "Answer a file of questions.",
        "realm predict --workdir=runs/demo --questions=q.jsonl --output=answers.jsonl",
        _predict, _define_predict),
    "ask": Command(
        "Ask questions; print the answer and the passage that says so.",
        'realm ask --workdir=runs/demo "What is the capital of Peru?"', _ask, _define_ask),
    "export": Command(
        "Export a SavedModel from question strings to answers.",
        "realm export --workdir=runs/demo --flavour=portable", _export, _define_export),
    "score": Command(
        "Score a file of predictions as ORQA's script does: missing ones are wrong, the "
        "answers of CuratedTREC are regular expressions.",
        "realm score --questions=CuratedTrec.resplit.test.jsonl --predictions=answers.jsonl",
        _score, _define_score),
    "resplit": Command(
        "Split a training set into train and dev as ORQA does, by a hash of the question.",
        "realm resplit --questions=NQ-open.train.jsonl --name=NaturalQuestions --output=data",
        _resplit, _define_resplit),
    "import": Command(
        "Import published weights (Hugging Face or TensorFlow 1) as a folder that "
        "config.retriever.weights and config.encoder.weights may name.",
        "realm import --source=realm-cc-news-pretrained-embedder --output=weights/embedder",
        _import, _define_import),
    "export-weights": Command(
        "Export the weights of a run as folders of Hugging Face's Transformers.",
        "realm export-weights --workdir=runs/demo --stage=finetune --kind=reader "
        "--output=reader", _export_weights, _define_export_weights),
    "parity": Command(
        "Compare our models with a reference of the published system, number by number; "
        "exit code 1 above a difference of 1e-4.",
        "realm parity --reference=tests/reference --json", _parity, _define_parity),
}


