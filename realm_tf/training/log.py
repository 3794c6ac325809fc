"""Training curves: TensorBoard events and a CSV of the same numbers; examples beside them."""

import csv
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

from realm_tf.errors import UserError
from realm_tf.files import new_file
from realm_tf.jsonl import quoted, read_rows, write_rows


class Window(tf.train.experimental.PythonState):
  """Sums of metrics over some steps.

  Checkpoints hold it, so that the means of a run that was stopped are those of one that
  was not.
  """

  def __init__(self) -> None:
    super().__init__()
    self._sums: dict[str, list[float]] = {}  # total and count

  def add(self, metrics: dict[str, float]) -> None:
    for name, value in metrics.items():
      total = self._sums.setdefault(name, [0.0, 0])
      total[0] += float(value)
      total[1] += 1

  def take(self) -> dict[str, float]:
    """The means; a new window begins."""
    sums, self._sums = self._sums, {}
    return {name: total / count for name, (total, count) in sums.items()}

  def serialize(self) -> str:
    return json.dumps(self._sums)

  def deserialize(self, string_value: bytes) -> None:
    self._sums = json.loads(string_value)


class Log:
  """Means of metrics between two records, to TensorBoard and `curves.csv`.

  Examples go to `examples.jsonl`. A resumed run drops the records and examples past its
  checkpoint, so that no step is there twice, and goes on with the windows that it held.
  What it trains with, `settings`, are TensorBoard's hyper-parameters.
  """

  def __init__(self, folder: pathlib.Path, first_step: int,
               since_record: Window | None = None, since_checkpoint: Window | None = None,
               settings: Mapping[str, Any] | None = None):
    # TensorFlow would make its own, but with permissions of its own.
    (folder / "tensorboard").mkdir(parents=True, exist_ok=True)
    self._path = folder / "curves.csv"
    self.rows = [row for row in read_curves(self._path) if row[0] <= first_step]
    self._examples_path = folder / "examples.jsonl"
    self._examples = [example for example in read_examples(self._examples_path)
                      if example["step"] <= first_step]
    self._writer = tf.summary.create_file_writer(str(folder / "tensorboard"))
    if settings:
      with self._writer.as_default(step=first_step):
        hparams.hparams({name: value if isinstance(value, int | float | str) else str(value)
                         for name, value in settings.items()})
    self._since_record = since_record or Window()
    self._since_checkpoint = since_checkpoint or Window()

  def add(self, metrics: dict[str, float]) -> None:
    """Takes in the metrics of one step."""
    self._since_record.add(metrics)
    self._since_checkpoint.add(metrics)

  def record(self, step: int, values: Mapping[str, float]) -> dict[str, float]:
    """Writes the means since the last record, and values of the step; returns both."""
    means = {**self._since_record.take(), **values}
    self.rows.append((step, means))
    self._write_events(step, means)
    self._write_csv()
    return means

  def note(self, step: int, metrics: dict[str, float]) -> None:
    """Writes values of that very step, beside the means of its record if there is one."""
    if self.rows and self.rows[-1][0] == step:
      self.rows[-1][1].update(metrics)
    else:
      self.rows.append((step, dict(metrics)))
    self._write_events(step, metrics)
    self._write_csv()

  def since_checkpoint(self) -> dict[str, float]:
    """The means since this was last called, whatever was recorded between."""
    return self._since_checkpoint.take()

  def text(self, name: str, value: str, step: int) -> None:
    """Writes Markdown to TensorBoard, such as examples of what was retrieved."""
    with self._writer.as_default(step=step):
      tf.summary.text(name, value)

  def example(self, value: dict[str, Any], step: int) -> None:
    """Adds a line to `examples.jsonl`, in place of one of the same step."""
    self._examples = [example for example in self._examples if example["step"] != step]
    self._examples.append({"step": step, **value})
    write_rows(self._examples_path, self._examples)

  def close(self) -> None:
    self._writer.close()

  def _write_events(self, step: int, metrics: dict[str, float]) -> None:
    with self._writer.as_default(step=step):
      for name, value in metrics.items():
        tf.summary.scalar(name, value)

  def _write_csv(self) -> None:
    columns = sorted({name for _, means in self.rows for name in means})
    with new_file(self._path, "w") as file:
      writer = csv.writer(file, lineterminator="\n")
      writer.writerow(["step", *columns])
      for step, means in self.rows:
        writer.writerow([step, *(means.get(name, "") for name in columns)])


def read_curves(path: pathlib.Path) -> list[tuple[int, dict[str, float]]]:
  """Reads a `curves.csv`; empty if there is none yet.

  Raises:
    UserError: names line and field of what is no number.
  """
  if not path.exists():
    return []
  with open(path, newline="", encoding="utf-8") as file:
    reader = csv.DictReader(file)
    return [_numbers(row, f"{path}:{reader.line_num}") for row in reader]


def _numbers(row: dict[Any, Any], where: str) -> tuple[int, dict[str, float]]:
  """The step of a row, and the metrics that it has."""
  if None in row:
    raise UserError(f"{where}: more fields than names in the first line")
  values = {}
  for name, value in row.items():
    try:
      if value:
        values[name] = float(value)
    except ValueError:
      raise UserError(f"{where}: field '{name}' is {quoted(value)}; expected a number"
                      ) from None
  step = values.pop("step", None)
  if step is None or not step.is_integer():
    raise UserError(f"{where}: field 'step' is missing, or no whole number")
  return int(step), values


def read_examples(path: pathlib.Path) -> list[dict[str, Any]]:
  """Reads an `examples.jsonl`, by step; empty if there is none yet."""
  if not path.exists():
    return []
  return [row.fields for row in read_rows(path, "a field step")]
