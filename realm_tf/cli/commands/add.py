"""`realm add`: more documents for a run that is trained already."""

from typing import Sequence

from absl import flags

from realm_tf.cli.opening import FLAGS, at_work, check_there, define_strict, no_more, open_run
from realm_tf.errors import UserError

SUMMARY = "Add documents, or replace those of the same id; only they are embedded."
EXAMPLE = "realm add --workdir=runs/demo --documents=new.jsonl"


def define_flags() -> None:
  flags.DEFINE_string("documents", None, "JSONL with id, title, text, a folder of documents, "
                      "or another kind that `realm corpus` reads.")
  define_strict()


def run(arguments: Sequence[str]) -> None:
  no_more(arguments)
  if not FLAGS.documents:
    raise UserError("--documents: name what to read: JSONL with id, title, text, or a "
                    "folder of documents")
  check_there("documents", "a file or folder of documents")
  opened = open_run(writes=False)
  from realm_tf.run import documents, old_export
  with at_work(opened):
    print(documents.add(opened, FLAGS.documents, FLAGS.strict))
  if line := old_export.advice(opened):
    print(line)
