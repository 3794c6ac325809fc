"""A trained model, or its reader, goes to other documents (REALM, appendix C).

With the model a new run has it as that of a stage that is done, so that nothing is trained;
or, where there are questions to train on, as that of a stage before those that learn from
them. With the reader it is made by the recipe for own documents, and the reader learns on.
"""

import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any, NamedTuple

from realm_tf import config as config_lib
from realm_tf import files, folders
from realm_tf.config.config_files import OF_PEOPLE
from realm_tf.errors import UserError
from realm_tf.models.pretrained import MODEL
from realm_tf.recipes import own
from realm_tf.run.begin import NewConfig, check_new_run, in_lines
from realm_tf.run.export_weights import export_weights
from realm_tf.run.folder import STAGES, Run
from realm_tf.run.trained_reader import has_reader

SETTINGS_FILE = "model.json"  # the config of the run that the model is from
_BEFORE_QUESTIONS = "pretrain"
_READER = "reader"  # a folder of the new run: weights in Hugging Face's form
_OF_READER = ("encoder.span_hidden_size", "encoder.max_span_width", "encoder.span_norm_eps")
_OF_RECIPE = ("steps", "passes", "learning_rate", "warmup_steps")


_CONFIG = '''\
"""A run of `realm` with the model of another one, written by `realm init`.

    realm run --workdir=THIS_FOLDER

Change it as you like until the first command has read the documents.
"""

import pathlib

from realm_tf import config as settings


def get_config():
  # Those of the run that the model is from; what is other here follows.
  config = settings.as_config_dict(settings.read(
      pathlib.Path(__file__).with_name("model.json")))
{changes}  return config
'''


def begin_from(model: files.PathLike, folder: files.PathLike, documents: str,
               questions: str = "", eval_questions: str = "",
               changes: Mapping[str, Any] | None = None) -> pathlib.Path:
  """As `begin.begin`, with the newest model of the run in the folder `model`."""
  place, carried = pathlib.Path(folder), Carried.of(model)
  format = (changes or {}).get("corpus.format", carried.run.config.corpus.format)
  check_new_run(place, documents, format, questions, eval_questions)
  paths = {"corpus.source": documents, "finetune.questions": questions,
           "evaluate.questions": eval_questions, **(changes or {})}
  fields = {"name": place.resolve().name, **carried.changes(bool(questions)),
            **{field: config_lib.absolute(field, value) for field, value in paths.items()}}
  config_lib.with_changes(carried.run.config, fields)
  carried.put(place, bool(questions))
  with files.new_file(place / OF_PEOPLE, "w") as file:
    file.write(_CONFIG.format(changes=in_lines(fields)))
  return place / OF_PEOPLE


def begin_reading(reader: files.PathLike, folder: files.PathLike, documents: str,
                  questions: str = "", eval_questions: str = "",
                  changes: Mapping[str, Any] | None = None) -> pathlib.Path:
  """As `begin.begin`, whose reader starts as that of the newest model of the run `reader`.

  Raises:
    UserError: as `begin` does, or no reader was trained in that run; nothing is written then.
  """
  place, carried = pathlib.Path(folder), Carried.of(reader)
  if not carried.reads:
    raise UserError(
        f"{reader}: no reader was trained there; `cloze` and `finetune` train one")
  if "encoder.weights" in (changes or {}):
    raise UserError("encoder.weights: is said already, by the reader of a run")
  new = NewConfig.of(place, documents, questions, eval_questions, changes)
  export_weights(carried.run, carried.stage, "reader", place / _READER)
  # A relative path is below the config's folder: the run may be moved.
  return new._replace(changes={
      **carried.shape(), "encoder.weights": _READER, **new.changes}).write(place)


class Carried(NamedTuple):
  """The newest model of a run."""
  run: Run
  stage: str
  reads: bool  # its span head is trained

  @classmethod
  def of(cls, folder: files.PathLike) -> "Carried":
    """Raises `UserError` where there is no run, or no stage of it is done."""
    if not any(pathlib.Path(folder, stage, "done.json").exists() for stage in STAGES):
      raise UserError(f"{folder}: {files.missing(folder, 'trained model')}; expected a run "
                      "of which a stage is done")
    run = Run.existing(folder)
    return cls(run, run.newest_stage(), has_reader(run))

  def changes(self, asked: bool) -> dict[str, Any]:
    """Fields that are others in the new run; `asked`: there are questions to train on."""
    recipe = config_lib.flatten(own.get_config(questions="some" if asked else "").to_dict())
    stages = ("dpr", "finetune") if self.reads else ("dpr", "cloze", "finetune")
    trained = {field: value for field, value in recipe.items()
               if asked and field.split(".")[0] in stages
               and field.split(".")[-1] in _OF_RECIPE}
    return {"trivia": "", "demo_questions": (), "dev.questions": "",
            "evaluate.masked_sentences": 0, "evaluate.questions": "",
            "finetune.questions": "", "reading.steps": 0,
            **{f"{stage}.steps": 0 for stage in STAGES}, **trained}

  def shape(self) -> dict[str, Any]:
    """The fields of the config that the reader's weights follow, as far as the recipe's
    are others."""
    recipe = config_lib.flatten(own.get_config().to_dict())
    carried = config_lib.flatten(config_lib.to_dict(self.run.config))
    return {field: carried[field] for field in _OF_READER if carried[field] != recipe[field]}

  def put(self, folder: pathlib.Path, asked: bool) -> None:
    """Writes settings and model into a new run's folder."""
    stage = _BEFORE_QUESTIONS if asked else self.stage
    files.write_json(folder / SETTINGS_FILE,
                     config_lib.portable_paths(self.run.config, folder))
    with folders.new_folder(folder / stage / "model", MODEL) as new:
      shutil.copytree(self.run.path / self.stage / "model", new, dirs_exist_ok=True)
    if stage == self.stage and self.run.calibration(stage).fitted:
      (folder / "evaluation").mkdir()
      shutil.copy(self.run.calibration_path, folder / "evaluation")
    files.write_json(folder / stage / "done.json", {
        "minutes": 0.0, "steps": 0, "reads": self.reads,
        "from": os.path.abspath(self.run.path), "stage": self.stage})
