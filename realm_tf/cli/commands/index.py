"""`realm index`: embeddings of the corpus by the newest model."""

from typing import Sequence

from absl import flags

from realm_tf.cli.commands import verify
from realm_tf.cli.opening import FLAGS, define_redo, no_more, open_run

SUMMARY = "Embed the corpus by the newest model of the run."
EXAMPLE = "realm index --workdir=runs/demo"


def define_flags() -> None:
  flags.DEFINE_bool("verify", False, "Check what is there, as `realm verify` does.")
  flags.DEFINE_string("block_emb", None, "Folder or checkpoint with block_emb, the published "
                      "embeddings of the same blocks: a sample is embedded and compared.")
  verify.define_flags()
  define_redo("index")


def run(arguments: Sequence[str]) -> None:
  if FLAGS.verify:
    verify.run(arguments)
    return
  no_more(arguments)
  opened = open_run()
  from realm_tf.run import adopt, redo, stages
  if FLAGS.block_emb:
    adopt.adopt(opened, FLAGS.block_emb)
  stages.index(opened)
  redo.finish(opened.path, ["index"])
  print(f"index: done, see {opened.path}")
