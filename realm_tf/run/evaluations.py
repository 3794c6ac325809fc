"""Where a run keeps what was measured, by name: a stage, BM25, or both together."""

import pathlib


def metrics_path(run: pathlib.Path, name: str) -> pathlib.Path:
  """The figures of all questions together, in a run's folder."""
  return run / "evaluation" / f"{_file_name(name)}.json"


def predictions_path(run: pathlib.Path, name: str) -> pathlib.Path:
  """What became of each question."""
  return run / "evaluation" / f"{_file_name(name)}.predictions.jsonl"


def _file_name(name: str) -> str:
  return name.lower().replace(" + ", "+").replace(" ", "_")
