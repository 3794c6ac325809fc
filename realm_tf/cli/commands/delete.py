"""`realm delete`: documents that a run shall find no more."""

from typing import Sequence

from absl import flags

from realm_tf.cli.opening import FLAGS, at_work, open_run
from realm_tf.errors import UserError

SUMMARY = "Delete documents by their ids, or by where they came from."
EXAMPLE = "realm delete --workdir=runs/demo id-17 id-18"


def define_flags() -> None:
  flags.DEFINE_string("ids", None, "File with one document id per line.")
  flags.DEFINE_string("source", None, "Delete what came from this file or folder: one that "
                      "was read, or one within a folder that was.")


def run(arguments: Sequence[str]) -> None:
  ids = list(arguments)
  if FLAGS.ids:
    from realm_tf.corpus.readers import read_ids
    ids += read_ids(FLAGS.ids)
  if not ids and not FLAGS.source:
    raise UserError("name the documents: realm delete --workdir=DIR ID..., --ids=FILE, or "
                    "--source=PATH")
  opened = open_run(writes=False)
  from realm_tf.run import documents, old_export
  with at_work(opened):
    print(documents.delete(opened, ids, FLAGS.source))
  if line := old_export.advice(opened):
    print(line)
