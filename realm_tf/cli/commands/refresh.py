"""`realm refresh`: the index of a trainer, from a process of its own."""

from typing import Sequence

from absl import flags

from realm_tf.cli.opening import FLAGS, no_more, open_run

SUMMARY = "Re-embed the corpus by each checkpoint of a pre-training with refresh=job."
EXAMPLE = "realm refresh --workdir=runs/demo --config.refresh.mode=job"


def define_flags() -> None:
  flags.DEFINE_bool("once", False, "Embed the newest checkpoint and end.")
  flags.DEFINE_integer("nice", 10, "How far the job steps back behind the trainer.",
                       lower_bound=0, upper_bound=19)
  flags.DEFINE_string("beam", None, "Embed by an Apache Beam pipeline with these options, "
                      "such as --beam='--runner=FlinkRunner'; workers must see WORKDIR.")


def run(arguments: Sequence[str]) -> None:
  no_more(arguments)
  opened = open_run()
  from realm_tf.run.refresh_job import refresh
  count = refresh(opened, FLAGS.once, FLAGS.nice, FLAGS.beam)
  print(f"refresh: done, {count} checkpoints embedded, see {opened.path}/pretrain/index")
