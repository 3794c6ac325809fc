"""A run whose retrieval collapsed is told by its report at a glance."""

import dataclasses

from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.store_writer import write_store
from realm_tf.run.folder import Run
from realm_tf.run.make_report import make_report
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny

_HEADING = "What went wrong in pre-training"


def _report(folder, rows):
  run = Run(tiny.make_config(folder), folder / "run")
  tiny.make_corpus(run.path / "corpus")
  (run.path / "pretrain").mkdir()
  (run.path / "pretrain" / "curves.csv").write_text(
      "step,null_probability,retrieval_utility,null_log_likelihood\n" + rows)
  return make_report(run).read_text()


def test_a_collapse_comes_before_the_curves(tmp_path):
  text = _report(tmp_path, "".join(f"{step},0.95,0.1,-9.5\n" for step in (10, 20, 30, 40)))
  assert ("null alone: step 30 to 40: p(z|x) of the null document is 0.950: what is "
          "retrieved is not used") in text
  assert text.index(_HEADING) < text.index("<h2>Curves</h2>")
  assert "By the null document" in text  # beside the retrieval utility
  assert text.index("Retrieval utility") < text.index("By the null document")


def test_nothing_is_said_of_a_run_that_went_well(tmp_path):
  text = _report(tmp_path, "".join(f"{step},0.2,0.1,-9.5\n" for step in (10, 20, 30)))
  assert _HEADING not in text and "Retrieval utility" in text


def test_the_rate_of_bans_is_told(tmp_path):
  run = Run(tiny.make_config(tmp_path), tmp_path / "run")
  documents = tiny.documents()[:8]
  copies = [dataclasses.replace(document, id=f"copy of {document.id}")
            for document in documents[:2]]
  tokenizer = Tokenizer(tiny.vocabulary())
  write_store(run.path / "corpus", split_blocks([*documents, *copies], tokenizer, 64),
              tokenizer=tokenizer, max_tokens=64, source="copies")
  (run.path / "pretrain").mkdir()
  (run.path / "pretrain" / "done.json").write_text('{"minutes": 1}')
  assert "40.00% of the blocks have some, 4 bans" in make_report(run).read_text()
