"""Tables for a terminal: a run's stages, the figures of a set of answers."""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from realm_tf.evaluation.compare import Difference


@dataclasses.dataclass(frozen=True)
class Stage:
  """One row of the table of stages.

  Attributes:
    name: of a stage, or of what it is compared with.
    figures: shares between 0 and 1, as an evaluation names them.
    minutes: that it took.
    warnings: what is wrong with it, a sentence each.
  """
  name: str
  figures: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  minutes: float | None = None
  warnings: tuple[str, ...] = ()

  def figure(self, name: str) -> float | None:
    """None where there is none."""
    value = self.figures.get(name)
    return None if value is None or math.isnan(value) else value


class Column(NamedTuple):
  """A figure of the table of stages, and what it is called there."""
  label: str
  name: str


_DEPTHS = (1, 5, 20)  # of recall, which the table has room for
_OTHERS = (Column("masked words alone", "masked_words_alone"),
           Column("with blocks", "masked_words"), Column("exact match", "exact_match"),
           Column("F1", "f1"))


def columns(rows: Sequence[Stage]) -> list[Column]:
  """Those figures of the table that any row has; "gold@k" is recall by gold passage."""
  names = dict.fromkeys(name for row in rows for name in row.figures)
  depths = sorted({int(match[1]) for match in map(
      re.compile(r"recall@(\d+)").fullmatch, names) if match})
  chosen = [k for k in depths if k in _DEPTHS] or depths[:len(_DEPTHS)]
  return [column for column in (
      *(Column(f"recall@{k}", f"recall@{k}") for k in chosen),
      *(Column(f"gold@{k}", f"recall@{k}_by_gold") for k in chosen), *_OTHERS)
          if any(row.figure(column.name) is not None for row in rows)]


def stage_table(rows: Sequence[Stage]) -> str:
  """The stages one below the other, shares in per cent, '-' for no number.

  Below them, what is wrong with any.
  """
  columns_shown = columns(rows)
  cells = [("stage", *(column.label for column in columns_shown), "minutes")] + [(
      row.name, *(_number(row.figure(column.name), 100, " %") for column in columns_shown),
      _number(row.minutes)) for row in rows]
  lines = aligned(cells)
  warnings = [f"! {warning}" for row in rows for warning in row.warnings]
  return "\n".join([*lines, *([""] if warnings else []), *warnings])


def aligned(cells: Sequence[Sequence[str]]) -> list[str]:
  """Lines of a table: the first cells are headings, the first column is words."""
  widths = [max(map(len, column)) for column in zip(*cells)]
  padded = ["  ".join([row[0].ljust(widths[0]), *(
      cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]) for row in cells]
  return [padded[0], "  ".join("─" * width for width in widths), *padded[1:]]


def _number(value: float | None, scale: float = 1, unit: str = "") -> str:
  return "-" if value is None or math.isnan(value) else f"{value * scale:.1f}{unit}"


def figure_table(summary: Mapping[str, Any]) -> str:
  """Figures, one a line, with their intervals; then the main ones of each source."""
  by_source = summary.get("by_source", {})
  single = {name: value for name, value in summary.items()
            if name != "by_source" and not name.endswith(("_low", "_high"))}
  width = max(map(len, single))
  lines = []
  for name, value in single.items():
    text = f"{value:.4f}" if isinstance(value, float) else str(value)
    interval = (f"   {summary[f'{name}_low']:.4f} to {summary[f'{name}_high']:.4f}"
                if f"{name}_low" in summary else "")
    lines.append(f"{name:{width}s} {text}{interval}")
  if by_source:
    rows = [Stage(source, figures) for source, figures in by_source.items()]
    columns_shown = columns(rows)
    lines += ["", *aligned([
        ("source", "questions", *(column.label for column in columns_shown))] + [
        (row.name, str(row.figures["questions"]),
         *(_number(row.figure(column.name), 100, " %") for column in columns_shown))
        for row in rows])]
  return "\n".join(lines)


def comparison_table(differences: Mapping[str, Difference], names: Sequence[str]) -> str:
  """Differences between A and B: figures in per cent, differences in points.

  Args:
    differences: by figure.
    names: what A and B are.
  """
  rows = [(name, f"{difference.a * 100:.1f}", f"{difference.b * 100:.1f}",
           f"{difference.difference * 100:+.1f}",
           f"{difference.low * 100:+.1f} to {difference.high * 100:+.1f}",
           f"{difference.p:.4f}", str(difference.a_wins), str(difference.b_wins),
           str(difference.questions))
          for name, difference in differences.items()]
  return "\n".join([f"A  {names[0]}", f"B  {names[1]}", "", *aligned([
      ("figure", "A", "B", "B - A", "95 % interval", "p", "A wins", "B wins", "questions"),
      *rows])])
