"""Processes of ours find this package, and no module of a user's."""

import subprocess

import realm_tf
from realm_tf import own_processes


def test_a_module_in_the_users_folder_is_not_run(tmp_path, monkeypatch):
  for name in ("json.py", "realm_tf.py"):
    (tmp_path / name).write_text("1 / 0")
  monkeypatch.chdir(tmp_path)
  monkeypatch.delenv("PYTHONPATH", raising=False)
  run = subprocess.run(own_processes.command("realm_tf.cli.start", "help", "ask"),
                       env=own_processes.environment(NO_COLOR="1"), capture_output=True,
                       text=True, check=True)
  assert run.stdout.startswith("realm ask: ")


def test_it_is_this_very_package_and_the_users_path_is_behind_it(tmp_path, monkeypatch):
  (tmp_path / "realm_tf.py").write_text("1 / 0")
  (tmp_path / "of_the_user.py").write_text("")
  monkeypatch.setenv("PYTHONPATH", str(tmp_path))
  found = subprocess.run(
      [*own_processes.command("timeit")[:2], "-c",
       "import of_the_user, realm_tf; print(realm_tf.__file__)"],
      env=own_processes.environment(), capture_output=True, text=True, check=True)
  assert found.stdout.strip() == realm_tf.__file__
