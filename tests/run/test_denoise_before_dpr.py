"""A run whose `dpr` asks a reader which mined blocks are no negatives."""

import json

import numpy as np
import pytest

from realm_tf.errors import UserError
from realm_tf.run import stages
from realm_tf.run.folder import WARM_START, Run
from realm_tf.run.pipeline import whole_run
from tests import tiny


def _write(path, records):
  path.write_text("".join(json.dumps(record) + "\n" for record in records))
  return str(path)


@pytest.fixture(name="run")
def _run(tmp_path):
  questions = [{"question": f"what is the capital of {country}?", "answer": city}
               for city, country in tiny.CITIES.items()]
  return Run(tiny.make_config(
      tmp_path, dpr__steps=2, dpr__denoise=0.0417, ict__steps=0, pretrain__steps=0,
      corpus__source=_write(tmp_path / "documents.jsonl", map(vars, tiny.documents())),
      finetune__questions=_write(tmp_path / "train.jsonl", questions[:8]),
      evaluate__questions=_write(tmp_path / "held_out.jsonl", questions[8:])),
      tmp_path / "run")


def test_without_a_reader_it_is_refused_before_anything_is_trained(run):
  with pytest.raises(UserError, match="^config.dpr.denoise=0.0417: no reader is trained"):
    whole_run(run)
  with pytest.raises(UserError, match="cloze and finetune come after it"):
    stages.dpr(run)
  assert not (run.path / "dpr").exists()


def test_a_model_that_was_brought_here_reads_what_is_mined(run, caplog):
  stages.corpus(run)
  brought = run.path / "pretrain"
  brought.mkdir()
  run.model(WARM_START).save_pretrained(brought / "model")
  (brought / "done.json").write_text(json.dumps(
      {"minutes": 0.0, "steps": 0, "reads": True, "from": "", "stage": "finetune"}))
  with caplog.at_level("INFO", logger="absl"):
    stages.dpr(run)
  assert run.is_done("dpr")
  assert any("mined blocks are no negatives" in message for message in caplog.messages)
  negatives = np.load(run.path / "dpr" / "mined" / "step-0.npz")["negatives"]
  # To an untrained reader 24 blocks are much alike: some have a share above 1/24.
  assert 0 < (negatives >= 0).sum() < 8 * 23
