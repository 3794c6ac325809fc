"""Parts of a run are made again: what is there is set aside first, under a name of its own.

    finetune.1/ evaluation.1/ export.1/ ...   what the first `--redo` set aside, with the
                           report and the table of that time in evaluation.1/
    redo.json              while that goes on, and until all is made again: what was asked for

Nothing is removed, then or later. A process that is killed leaves `redo.json`, by which the
next one goes on where it was.
"""

import os
import pathlib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from realm_tf import config as config_lib
from realm_tf import files, locks
from realm_tf.config import RealmConfig
from realm_tf.config.config_files import OF_RUN
from realm_tf.config.owners import PARTS, STAGES, implied
from realm_tf.errors import UserError
from realm_tf.run import used

_JOURNAL = "redo.json"
_SET_ASIDE = re.compile(r"(.+)\.(\d+)")
_EVALUATION = "evaluation"
# Folders of a part besides its own; what is left out of a corpus is told beside it.
_FOLDERS = {"corpus": ("corpus", "questions", "documents")}
_OF_EVALUATION = ("report.html", "report.mistakes.html", "report.mistakes.jsonl", "table.txt")


class SetAside(NamedTuple):
  """Something of a run that was made again since, or is to be."""
  name: str
  number: int
  path: pathlib.Path


def begin_redo(config: RealmConfig, run: pathlib.Path, asked: Collection[str],
               changed: Mapping[str, Any]) -> list[str]:
  """Sets aside what is to be made again, and gives the run its new config.

  Needs the lock of the run.

  Args:
    config: the new one.
    run: its folder.
    asked: the parts that --redo names.
    changed: the parts that were made of other settings than the new ones.

  Returns:
    The folders that were set aside, by their new names. What the same `--redo` has set aside
    before, and was not finished since, is not set aside again.
  """
  parts = {part for part in implied(set(asked)) if used.is_there(run, part)
           and not (part in STAGES and used.brought_from(run, part))}
  if _unfinished(run) == sorted(asked):
    parts &= set(changed)
    if not parts:
      files.write_json(run / OF_RUN, config_lib.portable_paths(config, run))
      return []
  if "evaluate" not in {*asked, *changed} and not {"corpus", "index"} & parts:
    parts.discard("evaluate")  # as a whole: that of stages goes with them
  number = 1 + max((old.number for old in set_aside(run)), default=0)
  files.write_json(run / _JOURNAL, {
      "asked": sorted(asked), "number": number, "parts": sorted(parts), "moved": False,
      "config": config_lib.portable_paths(config, run)})
  _go_on(run)
  return [old.path.name for old in set_aside(run) if old.number == number]


def recover_redo(folder: files.PathLike) -> None:
  """To be called before the config of a run is read: a process may have been killed while it
  set things aside.

  Raises:
    UserError: another process is at work there.
  """
  run = pathlib.Path(folder)
  if (run / _JOURNAL).exists() and not files.read_object(run / _JOURNAL)["moved"]:
    with locks.lock(run / ".lock", run, "--redo"):
      _go_on(run)


def _go_on(run: pathlib.Path) -> None:
  """Sets aside what is not yet; each step may have been done before. Needs the lock."""
  plan = files.read_object(run / _JOURNAL)
  if plan["moved"]:
    return
  number, parts = plan["number"], plan["parts"]
  for part in parts:
    for name in _FOLDERS.get(part, () if part == "evaluate" else (part,)):
      _rename(run / name, run / f"{name}.{number}")
  if {"corpus", "evaluate", *STAGES} & set(parts):
    anew = "corpus" in parts
    _set_aside_results(run, _EVALUATION, number, parts, anew or "evaluate" in parts)
    _set_aside_results(run, "diagnosis", number, parts, anew)
    _set_aside_report(run, number)
  files.write_json(run / OF_RUN, plan["config"])
  files.write_json(run / _JOURNAL, plan | {"moved": True})


def finish(run: pathlib.Path, parts: Collection[str] = PARTS) -> None:
  """These parts are made: if no others were asked for, the same `--redo` makes them again
  from now on, instead of going on."""
  if {*(_unfinished(run) or ())} <= implied(set(parts)):
    if (run / _JOURNAL).exists():  # a disk that cannot be written refuses to remove nothing
      (run / _JOURNAL).unlink()


def set_aside(run: pathlib.Path) -> list[SetAside]:
  """What earlier commands set aside, the first ones first."""
  folders = []
  for path in run.iterdir() if run.is_dir() else ():
    match = _SET_ASIDE.fullmatch(path.name)
    if match and path.is_dir() and match[1] in _names():
      folders.append(SetAside(match[1], int(match[2]), path))
  names = list(_names())
  return sorted(folders, key=lambda folder: (folder.number, names.index(folder.name)))


def _names() -> Iterator[str]:
  for part in PARTS:
    yield from _FOLDERS.get(part, (_EVALUATION, "diagnosis") if part == "evaluate"
                            else (part,))


def _unfinished(run: pathlib.Path) -> list[str] | None:
  path = run / _JOURNAL
  return files.read_object(path)["asked"] if path.exists() else None


def _rename(old: pathlib.Path, new: pathlib.Path) -> None:
  if old.exists() and not new.exists():
    try:
      os.rename(old, new)
    except OSError as error:
      raise UserError(f"{old}: cannot be set aside as {new.name} ({error.strerror}); "
                      "nothing of it has changed") from error
    files.sync(new.parent)


def _set_aside_results(run: pathlib.Path, name: str, number: int, parts: Collection[str],
                       whole: bool) -> None:
  """Sets aside a folder of results by stages; those of other stages stay too."""
  numbered = run / f"{name}.{number}"
  results = sorted((numbered if numbered.exists() else run / name).glob("[!.]*"))
  if not whole and not any(_is_of(path, parts) for path in results):
    return
  _rename(run / name, numbered)
  for path in map(numbered.joinpath, (path.name for path in results if not whole)):
    if not _is_of(path, parts) and not (run / name / path.name).exists():
      with files.new_file(run / name / path.name) as file:
        file.write(path.read_bytes())


def _is_of(path: pathlib.Path, stages: Collection[str]) -> bool:
  """Whether a file of results tells of one of these stages."""
  if path.name == "asked.jsonl" or path.name in _OF_EVALUATION:
    return True
  stage = re.split("[.+-]", path.name)[0]
  if stage == "calibration":
    stage = files.read_object(path).get("model", "")
  return stage in stages


def _set_aside_report(run: pathlib.Path, number: int) -> None:
  for name in _OF_EVALUATION:
    if (run / name).exists():
      target = run / f"{_EVALUATION}.{number}" / name
      target.parent.mkdir(exist_ok=True)
      os.replace(run / name, target)
