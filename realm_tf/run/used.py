"""What the parts of a run were made of: the settings, and what the files hold that they name,
in a file in the folder of each."""

import contextlib
import pathlib
from collections.abc import Collection, Mapping
from typing import Any, Iterator

from realm_tf import files
from realm_tf.config import SETTINGS, RealmConfig, flatten, portable_paths, to_dict
from realm_tf.config.owners import PARTS, STAGES, differences, parts_of, used
from realm_tf.corpus.manifest import MANIFEST
from realm_tf.files import PathLike
from realm_tf.run.fingerprints import fingerprint, is_same
from realm_tf.serving import numbered

RECORD = "settings.json"
# Parts whose folder has another name; that of the corpus holds its store and nothing else.
_FOLDERS = {"corpus": "documents", "evaluate": "evaluation"}

_NOTES = (RECORD, "tensorboard", "curves.csv", "checkpoints")  # of a stage of no step yet


def record_used(config: RealmConfig, run: pathlib.Path, part: str) -> None:
  """Writes down what a part is made of; of a half-done stage, also what that was before."""
  path = record_path(run, part)
  before = files.read_object(path) if path.exists() and is_there(run, part) else {"used": {}}
  now = record(config, run, part, before)
  changed = dict(before.get("changed_midway", {}))
  for field, value in before["used"].items():
    if now["used"].get(field, value) != value and not _only_moved(before, now, field):
      changed[field] = [*changed.get(field, []), value]
  now |= {"changed_midway": changed} if changed else {}
  if now != before:
    files.write_json(path, now)


def record(config: RealmConfig, run: pathlib.Path, part: str,
           before: Mapping[str, Any] | None = None) -> dict[str, Any]:
  """The settings that a part is made of, and fingerprints of the files that they name.

  `before` is a record of the part: where a file is as it was then, it is not read again.
  """
  settings = used(portable_paths(config, run), part)
  prints_before = (before or {}).get("files", {})
  prints = {field: fingerprint(path, prints_before.get(field))
            for field, path in _named_files(config, settings).items()}
  return {"used": settings,
          "files": {field: value for field, value in prints.items() if value}}


def _named_files(config: RealmConfig, settings: Mapping[str, Any]) -> dict[str, str]:
  """The absolute paths of the files and folders that some settings name."""
  values = flatten(to_dict(config))
  return {field: values[field] for field, value in settings.items()
          if isinstance(value, str) and SETTINGS[field].leads_to(value)}


def _only_moved(before: Mapping[str, Any], now: Mapping[str, Any], field: str) -> bool:
  prints = [made.get("files", {}).get(field, {}).get("sha256") for made in (before, now)]
  return prints[0] is not None and prints[0] == prints[1]


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
  return files.read_object(path)["used"] if path.exists() else None


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
  return (files.read_object(run / stage / "done.json").get("from") if is_done(run, stage)
          else None)


def affected(config: RealmConfig, before: RealmConfig, run: pathlib.Path,
             makes: Collection[str] = ()) -> dict[str, list[str]]:
  """The parts that are there and were made of other settings, each with the fields.

  A file that only moved is no other; one whose contents changed is, for the parts of `makes`.

  Args:
    config: of now.
    before: that of the run so far, of which parts without a record were made.
    run: its folder.
    makes: the parts that are about to be made, or gone on with.
  """
  parts, tree, old = {}, portable_paths(config, run), portable_paths(before, run)
  for part in PARTS:
    if is_there(run, part):
      half_done = part in STAGES and not is_done(run, part)
      then = recorded(run, part)
      fields = differences(tree, part, used(old, part) if then is None else then, half_done)
      fields = _by_contents(config, run, part, fields, part in makes)
      fields = [field for field in fields if not _of_left_out(run, part, field, then, tree)]
      if part in STAGES and brought_from(run, part):  # only its shape is of this run
        fields = [field for field in fields if field.startswith(("retriever.", "encoder."))
                  and not field.endswith(".weights")]
      if fields:
        parts[part] = fields
  return parts


def _of_left_out(run: pathlib.Path, stage: str, field: str, then: Mapping[str, Any] | None,
                 tree: Mapping[str, Any]) -> bool:
  """Whether a setting concerns a stage only through earlier ones that were left out.

  Such is `dpr` where questions were too few: what came after it is not made of it. One that
  had no steps then and has some now was not left out: it is asked for.
  """
  if stage not in STAGES or then is None:
    return False
  steps = flatten(tree)
  earlier = [name for name in STAGES[:STAGES.index(stage)] if name in parts_of(field)]
  return bool(earlier) and stage not in parts_of(field) and all(
      not is_there(run, name) and steps[f"{name}.steps"]
      and then.get(f"{name}.steps") == steps[f"{name}.steps"] for name in earlier)


def _by_contents(config: RealmConfig, run: pathlib.Path, part: str, fields: Collection[str],
                 made: bool) -> list[str]:
  """These fields, without files that only moved; where it is `made`, with changed ones."""
  path = record_path(run, part)
  prints = files.read_object(path).get("files", {}) if path.exists() else {}
  places = _named_files(config, used(portable_paths(config, run), part))
  differing = []
  for field in [*fields, *(field for field in places if made and field not in fields)]:
    comparable = field in prints and field in places
    same = is_same(places[field], prints[field]) if comparable else None
    if same is False or (same is None and field in fields):
      differing.append(field)
  return differing


def record_all(before: RealmConfig, run: PathLike) -> None:
  """Writes down of what the parts without a record were made, before the config changes."""
  for part in PARTS:
    if is_there(pathlib.Path(run), part) and recorded(pathlib.Path(run), part) is None:
      record_used(before, pathlib.Path(run), part)
