"""What the parts of a run were made of: the settings, in a file in the folder of each."""

import contextlib
import pathlib
from typing import Any, Iterator

from realm_tf import files
from realm_tf.config import RealmConfig, portable_paths
from realm_tf.config.owners import PARTS, STAGES, differences, used
from realm_tf.corpus.manifest import MANIFEST
from realm_tf.files import PathLike
from realm_tf.serving import numbered

RECORD = "settings.json"
# Parts whose folder has another name; that of the corpus holds its store and nothing else.
_FOLDERS = {"corpus": "documents", "evaluate": "evaluation"}

_NOTES = (RECORD, "tensorboard", "curves.csv", "checkpoints")  # of a stage of no step yet


def record_used(config: RealmConfig, run: pathlib.Path, part: str) -> None:
  """Writes down what a part is made of; of a half-done stage, also what that was before."""
  path, now = record_path(run, part), used(portable_paths(config, run), part)
  before = files.read_json(path) if path.exists() and is_there(run, part) else {"used": {}}
  if before["used"] == now:
    return
  changed = dict(before.get("changed_midway", {}))
  for field, value in before["used"].items():
    if field in now and now[field] != value:
      changed[field] = [*changed.get(field, []), value]
  files.write_json(path, {"used": now, **({"changed_midway": changed} if changed else {})})


@contextlib.contextmanager
def recording(config: RealmConfig, run: pathlib.Path, part: str) -> Iterator[None]:
  """`record_used` before a part is made; nothing is left of one that failed at once."""
  record_used(config, run, part)
  try:
    yield
  except Exception:
    if not is_there(run, part):
      record_path(run, part).unlink(missing_ok=True)
      with contextlib.suppress(OSError):  # something else is in it
        record_path(run, part).parent.rmdir()
    raise


def record_path(run: pathlib.Path, part: str) -> pathlib.Path:
  if part == "export":  # each version has its own
    return (numbered.newest(run / part) or run / part) / RECORD
  return run / _FOLDERS.get(part, part) / RECORD


def recorded(run: pathlib.Path, part: str) -> dict[str, Any] | None:
  """What `record_used` wrote; None of a part of before there were such files, whose settings
  are those of the run."""
  path = record_path(run, part)
  return files.read_json(path)["used"] if path.exists() else None


def is_there(run: pathlib.Path, part: str) -> bool:
  """Whether something of a part was made, be it whole or not."""
  if part == "corpus":
    return (run / part / MANIFEST).exists()
  if part == "evaluate":
    return any((run / _FOLDERS[part]).glob("*.predictions.jsonl"))
  if part == "export":
    return numbered.newest(run / part) is not None
  if part == "index":
    return any(path.is_dir() for path in (run / part).glob("[!.]*"))
  return (any((run / part).glob("checkpoints/ckpt-*.index"))
          or any(path.name not in _NOTES for path in (run / part).glob("[!.]*")))


def is_done(run: pathlib.Path, stage: str) -> bool:
  return (run / stage / "done.json").exists()


def brought_from(run: pathlib.Path, stage: str) -> str | None:
  """The run that the model of a stage was brought from by `realm init --model`."""
  return (files.read_json(run / stage / "done.json").get("from") if is_done(run, stage)
          else None)


def affected(config: RealmConfig, before: RealmConfig, run: pathlib.Path
             ) -> dict[str, list[str]]:
  """The parts that are there and were made of other settings, each with the fields.

  Args:
    config: of now.
    before: that of the run so far, of which parts without a record were made.
    run: its folder.
  """
  found, tree, old = {}, portable_paths(config, run), portable_paths(before, run)
  for part in PARTS:
    if is_there(run, part):
      half_done = part in STAGES and not is_done(run, part)
      then = recorded(run, part)
      fields = differences(tree, part, used(old, part) if then is None else then, half_done)
      if part in STAGES and brought_from(run, part):  # only its shape is of this run
        fields = [field for field in fields if field.startswith(("retriever.", "encoder."))]
      if fields:
        found[part] = fields
  return found


def record_all(before: RealmConfig, run: PathLike) -> None:
  """Writes down of what the parts without a record were made, before the config changes."""
  for part in PARTS:
    if is_there(pathlib.Path(run), part) and recorded(pathlib.Path(run), part) is None:
      record_used(before, pathlib.Path(run), part)
