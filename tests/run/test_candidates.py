"""More candidates than a corpus has are refused before the stages that come before them."""

import json

import pytest

from realm_tf.errors import UserError
from realm_tf.run import stages
from realm_tf.run.folder import WARM_START, Run
from realm_tf.run.pipeline import whole_run
from tests import tiny


def _run(folder, documents, **changes):
  source = folder / "documents.jsonl"
  source.write_text("".join(json.dumps(vars(document)) + "\n" for document in documents))
  run = Run(tiny.make_config(folder, corpus__source=str(source), **changes),
                  folder / "run")
  stages.corpus(run)
  return run


@pytest.mark.parametrize("changes, field", [
    ({"pretrain__candidates": 26}, "pretrain"),
    ({"reading__candidates": 26, "reading__steps": 1}, "reading")])
def test_more_candidates_than_blocks(tmp_path, changes, field):
  run = _run(tmp_path, tiny.documents(), evaluate__masked_sentences=4, **changes)
  assert run.corpus.num_blocks == 25 and run.banned.shape[1] == 1
  for command in (stages.pretrain, whole_run, lambda run: stages.evaluate(run, WARM_START)):
    with pytest.raises(UserError, match=f"^config.{field}.candidates: 26 .*; give 25 or f"):
      command(run)
  assert {path.name for path in run.path.iterdir()} == {
      "config.json", "corpus", "corpus.derived", "documents"}


def test_as_many_candidates_as_there_are(tmp_path):
  stages.check_candidates(_run(tmp_path, tiny.documents(), pretrain__candidates=25,
                               reading__candidates=26))  # which is not asked for


def test_a_corpus_of_one_block_has_no_number_of_candidates(tmp_path):
  run = _run(tmp_path, tiny.documents()[:1])
  with pytest.raises(UserError, match="corpus.source: 1 block, .* give more documents"):
    stages.pretrain(run)
