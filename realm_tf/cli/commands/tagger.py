"""`realm tagger`: a tagger of salient spans, trained on named entities."""

import json
from typing import Any, Sequence

from absl import flags

from realm_tf.cli.opening import FLAGS, check_there
from realm_tf.config.fields import settings_of
from realm_tf.config.stage_settings import TaggerConfig
from realm_tf.errors import UserError

SUMMARY = "Train a BERT to find names: `realm tagger train`, for config.corpus.tagger=DIR."
EXAMPLE = ("realm tagger train --train=eng.train --held_out=eng.testa --weights=bert "
           "--output=taggers/conll")
_SETTINGS = ("passes", "batch_size", "learning_rate", "num_layers", "length", "seed")


def define_flags() -> None:
  settings = settings_of(TaggerConfig)
  flags.DEFINE_string("train", None, "File in CoNLL's format to learn from: a word and its "
                      "tag (IOB or BIO) on each line, a blank line after each sentence.")
  flags.DEFINE_string("held_out", None, "Another one, on which span F1 is measured.")
  flags.DEFINE_string("weights", None, "Folder of a BERT: config.json, model.safetensors, "
                      "vocab.txt. One that keeps upper case finds names better.")
  flags.DEFINE_string("output", None, "Folder to write.")
  for name in _SETTINGS:
    define = flags.DEFINE_float if settings[name].kind is float else flags.DEFINE_integer
    define(name, settings[name].default, settings[name].meaning)
  flags.DEFINE_bool("json", False, "Print one JSON object.")


def run(arguments: Sequence[str]) -> None:
  if list(arguments) != ["train"]:
    raise UserError(f"'{' '.join(arguments)}': expected `realm tagger train` and flags")
  for name in ("train", "held_out", "weights", "output"):
    if not FLAGS[name].value:
      raise UserError(f"--{name} is missing: see `realm help tagger`")
  for name in ("train", "held_out"):
    check_there(name, "a file in CoNLL's format")
  check_there("weights", "a folder of a BERT")
  from realm_tf.run import outputs
  outputs.check_output(FLAGS.output, FLAGS.train, FLAGS.held_out, FLAGS.weights)
  from realm_tf.training.tagger import train_tagger
  values: dict[str, Any] = {name: FLAGS[name].value for name in _SETTINGS}
  scores = train_tagger(FLAGS.output, FLAGS.train, FLAGS.held_out, FLAGS.weights,
                        TaggerConfig(**values))
  if FLAGS.json:
    print(json.dumps({kind or "all": score._asdict() for kind, score in scores.items()}))
    return
  for kind, score in scores.items():
    print(f"{kind or 'all':10s} {score}; {score.right} entities")
  print(f"tagger: done, use it by --config.corpus.tagger={FLAGS.output}")
