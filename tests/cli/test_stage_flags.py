"""The help of --stage names the stages that there are."""

import pytest

from realm_tf.run.folder import STAGES, WITHOUT_WORDS, Run
from tests import tiny
from tests.command import realm


@pytest.mark.parametrize("command, stages", [
    ("evaluate", STAGES), ("export-weights", STAGES),
    ("diagnose", [stage for stage in STAGES if stage not in WITHOUT_WORDS])])
def test_every_stage_that_is_taken_is_named(capsys, command, stages):
  assert realm("help", command) == 0
  line = next(line for line in capsys.readouterr().out.splitlines() if "--stage:" in line)
  listed = line.partition(": ")[2].partition(";")[0].replace(" or ", ", ").split(", ")
  assert listed == list(stages)


@pytest.mark.parametrize("command", ["diagnose", "export-weights --output=out"])
def test_a_stage_that_there_is_not_is_named(capsys, tmp_path, command):
  run = Run(tiny.make_config(tmp_path), tmp_path / "run").path
  name, *words = command.split()
  assert realm(name, f"--workdir={run}", "--stage=finetuned", *words) == 2
  assert "'finetuned': no such stage; expected one of ict, pretrain," in (
      capsys.readouterr().err)
