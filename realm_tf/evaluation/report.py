"""What a run shows at its end: the table of stages, the curves, marked answers."""

import dataclasses
import math
import re
import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from realm_tf.evaluation.charts import smoothed
from realm_tf.files import PathLike, new_file

Curve = Sequence[tuple[int, Mapping[str, float]]]


@dataclasses.dataclass(frozen=True)
class Stage:
  """One row of the table; shares between 0 and 1, None where there is no number."""
  name: str
  recall_at_5: float | None = None
  recall_at_20: float | None = None
  masked_words_alone: float | None = None  # predicted without any block
  masked_words: float | None = None  # predicted with the retrieved blocks
  exact_match: float | None = None
  minutes: float | None = None


_HEADER = ("stage", "recall@5", "recall@20", "masked words alone", "with blocks",
           "exact match", "minutes")


def stage_table(rows: Sequence[Stage], markdown: bool = False) -> str:
  """The stages one below the other, shares in per cent, '-' for no number."""
  cells = [_HEADER] + [(
      row.name, *(_number(share, 100, " %") for share in (
          row.recall_at_5, row.recall_at_20, row.masked_words_alone, row.masked_words,
          row.exact_match)), _number(row.minutes)) for row in rows]
  widths = [max(len(row[column]) for row in cells) for column in range(len(_HEADER))]
  padded = [[row[0].ljust(widths[0])] + [
      cell.rjust(width) for cell, width in zip(row[1:], widths[1:])] for row in cells]
  if markdown:
    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    return "\n".join(f"| {' | '.join(row)} |" for row in [padded[0], rule, *padded[1:]])
  rule = ["─" * width for width in widths]
  return "\n".join("  ".join(row) for row in [padded[0], rule, *padded[1:]])


def _number(value: float | None, scale: float = 1, unit: str = "") -> str:
  return "-" if value is None or math.isnan(value) else f"{value * scale:.1f}{unit}"


# One colour per line of a panel, told apart by readers who do not see red or green.
_COLORS = ("#0b6e99", "#d9730d", "#6940a5", "#4d6461", "#ad1a72")
_MOST_COLUMNS = 4


def plot_curves(curves: Mapping[str, Curve], path: PathLike) -> None:
  """Draws all training curves into one PNG: a row per stage, a panel per metric.

  Metrics that differ only behind an '@', such as recall@5 and recall@20, share a
  panel. A metric may be missing at any step.

  Args:
    curves: stage -> list of (step, {metric: value}), steps ascending.
    path: the PNG; an older one is replaced only by a whole one.
  """
  rows = [row for stage, curve in curves.items() for row in _rows(stage, curve)]
  if not rows:
    raise ValueError("plot_curves: no values to draw")
  columns = max(len(panels) for _, panels in rows)
  figure = Figure(figsize=(3.6 * columns + 0.4, 2.5 * len(rows) + 0.3),
                  layout="constrained", dpi=120)
  FigureCanvasAgg(figure)
  axes = figure.subplots(len(rows), columns, squeeze=False)
  for line, (stage, panels) in zip(axes, rows):
    for axis in line[len(panels):]:
      axis.set_visible(False)
    for axis, (metric, series) in zip(line, panels):
      _draw(axis, f"{stage} · {metric}", series)
  with new_file(path) as file:
    figure.savefig(file, format="png")


def _rows(stage: str, curve: Curve) -> list[tuple[str, list]]:
  """The panels of a stage, cut into rows: (stage, [(metric, {name: (x, y)})])."""
  series: dict[str, tuple[list, list]] = {}
  for step, values in curve:
    for name, value in values.items():
      if math.isfinite(value):
        steps, numbers = series.setdefault(name, ([], []))
        steps.append(step)
        numbers.append(value)
  grouped: dict[str, dict] = {}
  for name, points in series.items():
    grouped.setdefault(name.partition("@")[0], {})[name] = points
  panels = list(grouped.items())
  return [(stage, panels[start:start + _MOST_COLUMNS])
          for start in range(0, len(panels), _MOST_COLUMNS)]


def _draw(axis, title: str, series: Mapping[str, tuple[list, list]]) -> None:
  axis.set_title(title, loc="left", fontsize=10, color="#333333")
  for color, (name, (steps, values)) in zip(_COLORS * len(series), series.items()):
    smooth = smoothed(values)
    if smooth is not None:
      axis.plot(steps, values, color=color, alpha=0.22, linewidth=0.8)
    axis.plot(steps, values if smooth is None else smooth, color=color, linewidth=1.7,
              marker="o" if len(steps) <= 12 else None, markersize=3.5, label=name)
  if len(series) > 1:
    axis.legend(frameon=False, fontsize=8)
  axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
  axis.set_xlabel("step", fontsize=8, color="#666666")
  axis.tick_params(labelsize=8, colors="#666666", length=0)
  axis.grid(axis="y", color="#e6e6e6", linewidth=0.8)
  axis.set_axisbelow(True)
  axis.spines[["top", "right", "left"]].set_visible(False)
  axis.spines["bottom"].set_color("#bbbbbb")


# Stand-ins for the two ends of the mark while lines are broken: one column each,
# and never in a passage, whose control characters are blanked.
_OPEN, _CLOSE = "\x02", "\x03"
_BOLD_INVERSE, _PLAIN = "\x1b[1;7m", "\x1b[0m"


def mark_answer(
    passage: str, start: int, end: int, color: bool, width: int = 88) -> str:
  """The passage, in lines of at most `width`, with its answer marked.

  Control characters become spaces: a passage must not steer the terminal.

  Args:
    passage: the text.
    start: byte offset into its UTF-8 where the answer starts.
    end: byte offset behind the answer; equal to `start` for no answer.
    color: mark by bold and inverse, else by [[ and ]].
    width: of a line, in characters.
  """
  data = passage.encode("utf-8")
  if not 0 <= start <= end <= len(data):
    raise ValueError(f"bytes {start}:{end} are not in a passage of {len(data)} bytes")
  try:
    parts = [data[:start].decode(), data[start:end].decode(), data[end:].decode()]
  except UnicodeDecodeError:
    raise ValueError(f"bytes {start}:{end} cut a character of the passage") from None
  before, answer, after = (re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", part) for part in parts)
  opening, closing = (_OPEN, _CLOSE) if color else ("[[", "]]")
  marked = opening + answer + closing if answer else ""
  lines = textwrap.wrap(before + marked + after, width, break_on_hyphens=False)
  return "\n".join(_colored(lines) if color else lines)


def _colored(lines: Sequence[str]) -> list[str]:
  """Replaces the stand-ins; a mark that runs over a line's end starts anew."""
  colored, inside = [], False
  for line in lines:
    opened = inside
    inside = (inside or _OPEN in line) and _CLOSE not in line
    line = line.replace(_OPEN, _BOLD_INVERSE).replace(_CLOSE, _PLAIN)
    colored.append(_BOLD_INVERSE * opened + line + _PLAIN * inside)
  return colored
