"""`realm init`: a folder for own documents."""

import shlex
from typing import Sequence

from absl import flags

from realm_tf.cli import config_flags
from realm_tf.cli.opening import FLAGS
from realm_tf.errors import UserError

SUMMARY = "Begin a run of your documents, with questions or without."
EXAMPLE = "realm init runs/mine --documents=docs/ --questions=questions.jsonl"


def define_flags() -> None:
  flags.DEFINE_string("documents", None, "File or folder of documents: text, Markdown, "
                      "HTML, PDF, Word, wiki dumps; JSONL, TSV or CSV with a field or column "
                      "text, and id and title where there are any.")
  flags.DEFINE_string("questions", "", "JSON lines, an array or CSV, with "
                      "question and answer, to train on.")
  flags.DEFINE_string("eval_questions", "", "Such a file to measure by; by default a share "
                      "of --questions.")
  flags.DEFINE_string("model", None, "A run, whose trained model is used as it is, or where "
                      "there are --questions trained further.")
  flags.DEFINE_string("reader", None, "A run, such as the demo's, whose trained reader "
                      "learns on from your documents.")


def run(arguments: Sequence[str]) -> None:
  folders = [*arguments, *([FLAGS.workdir] if FLAGS.workdir else [])]
  if len(folders) != 1:
    raise UserError("name one folder: realm init DIR --documents=PATH")
  if not FLAGS.documents:
    raise UserError("--documents is missing: name a file or folder of documents")
  if FLAGS.config is not None:
    raise UserError("--config: `realm init` writes one; a run of a config that is there "
                    "begins with `realm run`")
  begin_arguments = (folders[0], FLAGS.documents, FLAGS.questions, FLAGS.eval_questions,
                     config_flags.given())
  if FLAGS.model is not None and FLAGS.reader is not None:
    raise UserError("--model, --reader: name one; --model brings the reader too")
  if FLAGS.reader is not None:
    from realm_tf.run.carried import begin_reading
    path = begin_reading(FLAGS.reader, *begin_arguments)
  elif FLAGS.model is not None:
    from realm_tf.run.carried import begin_from
    path = begin_from(FLAGS.model, *begin_arguments)
  else:
    from realm_tf.run.begin import begin
    path = begin(*begin_arguments)
  from realm_tf.corpus.readers import in_words
  if found := in_words(FLAGS.documents, config_flags.given().get("corpus.format", "auto")):
    print(f"{FLAGS.documents}: {found}")
  workdir = f"--workdir={shlex.quote(folders[0])}"
  print(f"{path}: what the run is made of; look at it, then\n"
        f"  realm run {workdir}              makes all of it\n"
        f"  realm search {workdir} \"...\"     finds passages at once")
