"""What the ablations gave: results, a table with intervals, a picture, a reproduction log.

Beside `ablations.json` lies `ablations.questions.json`, which says of each question whether
it was right: intervals are of differences question by question. Shape letters: S seeds,
Q questions.
"""

import datetime
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from realm_tf import files, locks
from realm_tf.errors import UserError
from realm_tf.evaluation import figures, metrics
from realm_tf.evaluation.figures import Columns

FIGURES = ("recall@5", "recall@20", "exact_match")
_FIELDS = ("row", "seed", "labels", *FIGURES, "sentences", "hours", "machine", "commit",
           "config")
_LOG = """\
# Reproduction log of the ablations

Each figure as it was measured, the newest last; `ablations.json` has the newest of each.

| date | commit | machine | config | seed | labels | recall@5 | recall@20 | exact match |
|---|---|---|---|---|---|---|---|---|
"""
_BASELINE = "ict"
_BUDGETS = "labels"

Entry = dict[str, Any]  # of `_FIELDS`


def key(entry: Mapping[str, Any]) -> str:
  """What an entry is of; a later one of the same takes its place."""
  return " | ".join(str(entry[name]) for name in ("config", "seed", "labels", "machine"))


class Results:
  """The files of results, which are added to.

  Args:
    path: of `ablations.json`; the others lie beside it.
  """

  def __init__(self, path: pathlib.Path):
    self._path = path
    self._hits_path = path.with_suffix(".questions.json")
    self.entries: dict[str, Entry] = {}
    self.hits: dict[str, dict[str, str]] = {}
    self._read()

  def _read(self) -> None:
    self.entries = {key(entry): entry for entry in read_entries(self._path)}
    self.hits = files.read_json(self._hits_path) if self._hits_path.exists() else {}

  def add(self, entry: Entry, hits: Mapping[str, str]) -> None:
    """Writes an entry, and a line of the log where it says what was not known.

    Args:
      entry: see the issue's schema in docs/training.md.
      hits: of each figure a character for each question, "1" where it is right.
    """
    name = key(entry)
    with locks.lock(self._path.with_suffix(".lock"), self._path, wait=True):
      self._read()  # another process may have added some
      known = self.entries.get(name, {})
      if any(known.get(field) != entry[field] for field in (*FIGURES, "commit")):
        self._write_log(entry)
      self.entries[name], self.hits[name] = entry, dict(hits)
      # First the hits: an entry without them would have no interval.
      files.write_json(self._hits_path, self.hits)
      files.write_json(self._path, {"rows": list(self.entries.values())})

  def append(self, path: pathlib.Path) -> int:
    """Adds what another machine measured; how many entries these are."""
    other = Results(path)
    for name, entry in other.entries.items():
      self.add(entry, other.hits.get(name, {}))
    return len(other.entries)

  def _write_log(self, entry: Entry) -> None:
    log = self._path.with_suffix(".log.md")
    lines = log.read_text(encoding="utf-8") if log.exists() else _LOG
    shares = (_percent(entry[name]) for name in FIGURES)
    now = datetime.datetime.now(datetime.UTC)
    cells = (f"{now:%Y-%m-%d}", entry["commit"], entry["machine"], entry["config"],
             str(entry["seed"]), str(entry["labels"]), *shares)
    log.parent.mkdir(parents=True, exist_ok=True)
    with files.new_file(log, "w") as file:
      file.write(f"{lines}| {' | '.join(cells)} |\n")


def read_entries(path: pathlib.Path) -> list[Entry]:
  """The rows of an `ablations.json`; none where there is no such file.

  Raises:
    UserError: it is not one.
  """
  if not path.exists():
    return []
  try:
    entries = files.read_json(path)["rows"]
    entries = [{field: entry[field] for field in _FIELDS} for entry in entries]
  except (ValueError, LookupError, TypeError, AttributeError) as error:
    raise UserError(f"{path}: expected {{\"rows\": [...]}}, each with "
                    f"{', '.join(_FIELDS)}") from error
  return entries


def hits_of(columns: Columns) -> dict[str, str]:
  """Of each figure that is measured whether each question is right, as characters."""
  return {name: "".join(str(int(value)) for value in columns[name])
          for name in FIGURES if name in columns}


def per_question(questions: Sequence[Any], records: Sequence[Mapping[str, Any]]) -> Columns:
  return figures.per_question(questions, records, [5, 20], None)


class Change:
  """A figure of a row, and how it differs from the baseline where both have the same seeds.

  Attributes:
    mean: over the seeds; None where the row does not have the figure.
    gain: mean difference; None without a baseline.
    low, high: its 95 % interval.
    seeds: how many of them.
  """

  def __init__(self, hits: Mapping[int, np.ndarray], baseline: Mapping[int, np.ndarray]):
    self.mean = float(np.mean([values.mean() for values in hits.values()])) if hits else None
    shared = sorted(set(hits) & set(baseline))
    self.seeds, self.gain = len(hits), None
    if shared:
      differences = np.stack([hits[seed] - baseline[seed] for seed in shared])
      self.gain = float(differences.mean())
      self.low, self.high = interval(differences, seed=0)


def interval(differences: np.ndarray, seed: int, samples: int = 10_000
             ) -> tuple[float, float]:
  """A 95 % interval of the mean of differences [S, Q], over seeds and questions.

  As `metrics.interval`, but both are drawn anew with replacement, each by itself (Efron and
  Tibshirani 1993, chapter 8): runs of one seed answer all questions, so a question's
  differences are no independent draws. With one seed it is the paired bootstrap over the
  questions.
  """
  if len(differences) == 1:
    return metrics.interval(differences[0], seed, samples)
  generator, (runs, questions) = np.random.default_rng(seed), differences.shape
  means = np.empty(samples)
  for sample in range(samples):
    times = np.bincount(generator.integers(runs, size=runs), minlength=runs)
    gains = times @ differences / runs
    means[sample] = gains[generator.integers(questions, size=questions)].mean()
  low, high = np.percentile(means, [2.5, 97.5])
  return float(low), float(high)


def changes(results: Results, size: str) -> dict[str, dict[str, dict[str, Change]]]:
  """By label budget, row and figure, of the configs of a size.

  A row is compared with the baseline of the same seed and machine, so that of several
  machines those with both count.
  """
  values: dict[tuple[str, str, str], dict[Any, np.ndarray]] = {}
  for name, entry in results.entries.items():
    if entry["config"].partition(",")[2] == size:
      for figure, hits in results.hits.get(name, {}).items():
        place = values.setdefault((str(entry["labels"]), entry["row"], figure), {})
        place[entry["seed"], entry["machine"]] = np.array(list(hits), float)
  table: dict[str, dict[str, dict[str, Change]]] = {}
  for (labels, row, figure), columns in values.items():
    baseline = values.get((labels, _BASELINE, figure), {})
    baseline = {run: column for run, column in baseline.items()
                if run in columns and len(column) == len(columns[run])}
    table.setdefault(labels, {}).setdefault(row, {})[figure] = Change(columns, baseline)
  return dict(sorted(table.items(), key=lambda item: (item[0] == "all", len(item[0]),
                                                      item[0])))


def as_table(table: Mapping[str, Mapping[str, Mapping[str, Change]]]) -> str:
  """Markdown: per cent, and in brackets the gain over `ict` with its 95 % interval."""
  lines = [f"| {_BUDGETS} | row | runs | {' | '.join(FIGURES)} |",
           "|---" * (3 + len(FIGURES)) + "|"]
  for labels, rows in table.items():
    for row, columns in rows.items():
      runs = max(change.seeds for change in columns.values())
      cells = (_cell(columns[name], row) if name in columns else "" for name in FIGURES)
      lines.append(f"| {labels} | {row} | {runs} | {' | '.join(cells)} |")
  return "\n".join(lines) + "\n"


def draw(table: Mapping[str, Mapping[str, Mapping[str, Change]]], path: pathlib.Path,
         title: str) -> None:
  """Gains over the baseline with their intervals, a panel for each figure; nothing where
  there is only the baseline."""
  names = [(labels, row) for labels, rows in table.items() for row in rows
           if row != _BASELINE]
  if not names:
    return
  import matplotlib  # pylint: disable=import-outside-toplevel
  matplotlib.use("Agg")
  from matplotlib import pyplot  # pylint: disable=import-outside-toplevel
  figure, panels = pyplot.subplots(1, len(FIGURES), sharey=True, squeeze=False,
                                   figsize=(11, 1.5 + 0.3 * len(names)))
  for panel, name in zip(panels[0], FIGURES):
    for place, (labels, row) in enumerate(names):
      change = table[labels][row].get(name)
      if change is not None and change.gain is not None:
        panel.plot([100 * change.low, 100 * change.high], [place, place], color="0.6")
        panel.plot([100 * change.gain], [place], "o", color="C0")
    panel.axvline(0, color="0.3", linewidth=0.8)
    panel.set_title(name.replace("_", " "))
    panel.set_xlabel(f"points over {_BASELINE}")
  panels[0][0].set_yticks(range(len(names)), [f"{row}, {labels} labels"
                                              for labels, row in names])
  panels[0][0].invert_yaxis()
  figure.suptitle(title)
  figure.tight_layout()
  figure.savefig(path, dpi=110)
  pyplot.close(figure)


def _cell(change: Change, row: str) -> str:
  if row == _BASELINE or change.gain is None:
    return _percent(change.mean)
  return (f"{_percent(change.mean)} ({100 * change.gain:+.1f}, "
          f"{100 * change.low:+.1f} to {100 * change.high:+.1f})")


def _percent(value: float | None) -> str:
  return "" if value is None else f"{100 * value:.1f}"
