"""The corpus whose sentences are masked, where it is another than the one that is retrieved.

It lies in the folder of the stage that it is made for: `pretrain/sentences`.
"""

import dataclasses
import pathlib

from realm_tf.config import RealmConfig
from realm_tf.corpus.manifest import MANIFEST
from realm_tf.corpus.store import Corpus
from realm_tf.errors import UserError
from realm_tf.run.commands_to_copy import command


def sentences_path(run: pathlib.Path) -> pathlib.Path:
  return run / "pretrain" / "sentences"


def has_sentences(run: pathlib.Path) -> bool:
  return (sentences_path(run) / MANIFEST).exists()


def open_sentences(config: RealmConfig, run: pathlib.Path, corpus: Corpus) -> Corpus:
  """What is masked in pre-training: the corpus, or another that its config names.

  Raises:
    UserError: it is not cut into blocks yet.
  """
  if not config.pretrain.corpus:
    return corpus
  if not has_sentences(run):
    raise UserError(f"{sentences_path(run)}: not there yet; run "
                    f"{command('pretrain', run)}")
  return dataclasses.replace(Corpus.open(sentences_path(run), corpus.tokenizer),
                             knowledge=corpus)
