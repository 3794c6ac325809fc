"""A new run: a folder with a config that people can read and change.

Nothing here imports TensorFlow: what is wrong is said at once.
"""

import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from realm_tf import config as config_lib
from realm_tf import files
from realm_tf.config.config_files import OF_PEOPLE
from realm_tf.corpus.readers import read_documents
from realm_tf.datasets.questions import read_questions
from realm_tf.errors import UserError
from realm_tf.recipes import own

_CONFIG = '''\
"""A run of `realm`: what it is made of, written by `realm init`.

    realm run --workdir=THIS_FOLDER

Change it as you like until the first command has read the documents. What is not named here
is as in the recipe, realm_tf/recipes/own.py; other settings are set before `return`, as in
`config.finetune.passes = 3.0`.
"""

from realm_tf.recipes import own


def get_config():
  config = own.get_config(
{arguments})
{changes}  return config
'''


def begin(folder: files.PathLike, documents: str, questions: str = "",
          eval_questions: str = "", changes: Mapping[str, Any] | None = None) -> pathlib.Path:
  """Writes `config.py` into a new folder; returns its path.

  Args:
    folder: of the run; it is not there, or empty.
    documents: a file or folder; the first document of it is read.
    questions: JSONL with question and answer, to train on; "": none.
    eval_questions: such a file to measure by; "": none.
    changes: fields of the config that are to be other than the recipe's, by paths.

  Raises:
    UserError: a path cannot be read, or the folder is in use; nothing is written then.
  """
  place = pathlib.Path(folder)
  new = NewConfig.of(place, documents, questions, eval_questions, changes)
  return new.write(place)


class NewConfig(NamedTuple):
  """A config that can be written."""
  arguments: Mapping[str, str]  # of the recipe
  changes: Mapping[str, Any]  # fields that are others, by paths

  @classmethod
  def of(cls, place: pathlib.Path, documents: str, questions: str, eval_questions: str,
         changes: Mapping[str, Any] | None) -> "NewConfig":
    """Takes what `begin` takes, and looks at all of it; raises what that raises."""
    changes = dict(changes or {})
    check_new_run(place, documents, changes.get("corpus.format", "auto"), questions,
                  eval_questions)
    changes = {field: config_lib.absolute(field, value) for field, value in changes.items()}
    paths = {"documents": documents, "questions": questions,
             "eval_questions": eval_questions}
    arguments = {name: os.path.abspath(path) for name, path in paths.items() if path}
    if "data" in changes:
      arguments["data"] = changes.pop("data")
    arguments["name"] = changes.pop("name", place.resolve().name)
    tree = own.get_config(**arguments).to_dict()
    for field, value in changes.items():
      config_lib.set_field(tree, field, value)
    config_lib.from_dict(tree)
    return cls(arguments, changes)

  def write(self, place: pathlib.Path) -> pathlib.Path:
    """Writes `config.py` there, whole or not at all."""
    with files.new_file(place / OF_PEOPLE, "w") as file:
      file.write(_CONFIG.format(
          arguments=",\n".join(f"      {name}={value!r}"
                               for name, value in self.arguments.items()),
          changes=in_lines(self.changes)))
    return place / OF_PEOPLE


def check_new_run(folder: pathlib.Path, documents: str, format: str, *questions: str
                  ) -> None:
  """Looks at all that a new run is to be made of; `format` is that of the documents.

  Raises:
    UserError: a path cannot be read, or the folder is in use.
  """
  _check_new(folder)
  _check_documents(folder, documents, format)
  for path in filter(None, questions):
    read_questions(path)


def in_lines(changes: Mapping[str, Any]) -> str:
  """Lines of a `get_config()` that set these fields."""
  return "".join(f"  config.{field} = {value!r}\n" for field, value in changes.items())


def _check_new(folder: pathlib.Path) -> None:
  if folder.is_dir() and any(folder.iterdir()):
    raise UserError(f"{folder}: is not empty; name a new folder")
  if folder.exists() and not folder.is_dir():
    raise UserError(f"{folder}: is a file; name a new folder")


def check_outside(folder: pathlib.Path, documents: files.PathLike) -> None:
  """Refuses a run that lies among its documents, whose own files would be read as such."""
  path = pathlib.Path(documents)
  if path.is_dir() and folder.resolve().is_relative_to(path.resolve()):
    raise UserError(f"{folder}: lies in the folder of documents, {documents}, and would be "
                    "read as one; name a folder elsewhere")


def _check_documents(folder: pathlib.Path, documents: str, format: str) -> None:
  path = pathlib.Path(documents)
  if not path.exists():
    raise UserError(f"{documents}: no such file or folder of documents")
  if not path.is_file() and not path.is_dir():
    raise UserError(f"{documents}: is no file and no folder; documents are read again by "
                    "later commands")
  check_outside(folder, path)
  if next(read_documents(path, format=format), None) is None:
    raise UserError(f"{documents}: no document in it that has a text")
