"""`realm import`: published weights -> a folder that a config may name."""

from typing import Sequence

from absl import flags

from realm_tf.cli.opening import FLAGS, no_more
from realm_tf.errors import UserError

SUMMARY = ("Import published weights (Hugging Face or TensorFlow 1) as a folder that "
           "config.retriever.weights and config.encoder.weights may name.")
EXAMPLE = "realm import --source=realm-cc-news-pretrained-embedder --output=weights/embedder"


def define_flags() -> None:
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


def run(arguments: Sequence[str]) -> None:
  no_more(arguments)
  if not FLAGS.source or not FLAGS.output:
    raise UserError("--source and --output: name what to read and the folder to write")
  from realm_tf.run import outputs
  outputs.check_output(FLAGS.output)
  from realm_tf.cli.import_report import print_report
  from realm_tf.exchange.importing import import_weights
  print_report(import_weights(FLAGS.source, FLAGS.output, kind=FLAGS.kind, sizes=FLAGS.sizes,
                              vocabulary=FLAGS.vocabulary), FLAGS.output, FLAGS.json)
