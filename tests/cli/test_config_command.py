"""`realm config`: what settings there are, and how those of a run are changed."""

import json
import subprocess
import sys

from realm_tf import config as config_lib
from realm_tf.config.owners import parts_of
from tests import tiny
from tests.command import realm


def test_each_setting_with_its_meaning(capsys):
  assert realm("config", "--json") == 0
  settings = json.loads(capsys.readouterr().out)
  assert list(settings) == list(config_lib.SETTINGS)
  kind = settings["index.kind"]
  assert kind["value"] == kind["default"] == "exact" and "scann" in kind["expected"]
  assert "approximate" in kind["meaning"] and kind["parts"] == list(parts_of("index.kind"))
  assert realm("config") == 0
  output = capsys.readouterr().out
  assert all(f"{name} = " in output for name in config_lib.SETTINGS)
  assert max(map(len, output.splitlines())) <= 94 + 1


def test_some_settings_of_a_config(capsys):
  assert realm("config", "--config=demo", "finetune.steps", "config.dev", "--json",
               "--config.dev.share=0.2") == 0
  settings = json.loads(capsys.readouterr().out)
  assert settings["finetune.steps"]["value"] == 1000 and settings["dev.share"]["value"] == 0.2
  assert all(name.startswith(("finetune.steps", "dev.")) for name in settings)
  assert realm("config", "--redo=dpr") == 2
  assert "--redo: is of a run; name its folder by --workdir" in capsys.readouterr().err
  assert realm("config", "finetune.stepz") == 2
  assert "the nearest is config.finetune.steps" in capsys.readouterr().err
  assert realm("config", "evaluate.recall_at", "--config.evaluate.recall_at=(1,2)") == 0
  output = capsys.readouterr().out
  assert "evaluate.recall_at = (1, 2)   (default: (1, 5, 20, 100))" in output
  assert "each K of recall@K -- 1 or more whole numbers" in " ".join(output.split())


def test_a_run_is_changed_and_nothing_runs(tmp_path, capsys):
  path = tmp_path / "config.json"
  path.write_text(json.dumps(config_lib.to_dict(tiny.make_config(tmp_path))))
  run = tmp_path / "run"
  assert realm("config", f"--workdir={run}", "name") == 2
  assert "run: no such folder; give --config" in capsys.readouterr().err
  assert realm("config", f"--workdir={run}", f"--config={path}", "name") == 0
  assert realm("config", f"--workdir={run}", "--config.finetune.steps=7", "name") == 0
  assert "name = 'tiny'" in capsys.readouterr().out
  assert realm("config", f"--workdir={run}", "--json") == 0
  assert json.loads(capsys.readouterr().out)["finetune.steps"]["value"] == 7
  assert config_lib.read_folder(run).finetune.steps == 7
  assert {entry.name for entry in run.iterdir()} == {"config.json", "commands"}


def test_listing_does_not_load_tensorflow():
  script = ("import sys; from realm_tf.cli import main; code = main.run(['config'])\n"
            "sys.exit(code or 'tensorflow' in sys.modules)")
  completed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                             check=False)
  assert completed.returncode == 0, completed.stderr
