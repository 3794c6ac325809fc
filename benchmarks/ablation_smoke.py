"""A world for `ablations.py --size=smoke`: the tests' corpus and BERT, seconds per row."""

import json
import pathlib

from realm_tf import config as config_lib
from realm_tf import locks
from realm_tf.datasets.questions import write_questions
from tests import tiny

WARM_UP = 2  # steps


def base(folder: pathlib.Path) -> config_lib.RealmConfig:
  """Writes documents, questions and weights, once; the config that all rows share."""
  documents, questions = folder / "documents.jsonl", folder / "questions.jsonl"
  with locks.lock(folder / ".world.making", folder, wait=True):
    if not questions.exists():
      documents.write_text("".join(json.dumps(vars(document)) + "\n"
                                   for document in tiny.documents()), encoding="utf-8")
      tiny.write_bert(folder / "bert", hidden=16, layers=1)
      write_questions(questions, tiny.questions())  # last: whole or not at all
  return tiny.make_config(
      folder, write=False, corpus__source=str(documents), retriever__score_scale=20.0,
      corpus__max_block_tokens=24,  # two blocks a document, so that there are related ones
      ict__steps=4, reading__steps=0, pretrain__steps=6, pretrain__candidates=4,
      refresh__mode="sync", refresh__every=3, refresh__max_staleness=3, finetune__steps=4,
      finetune__questions=str(questions), dev__share=0.0, checkpoint_every=3,
      evaluate__questions=str(questions), evaluate__unanswerable=0)
