"""Line charts as SVG that stands in an HTML page: no files, no scripts.

Colours are the page's CSS variables (--series-0 ..., --text, --grid), so that a chart
follows its light and dark form.
"""

import html
import math
from typing import Callable, Mapping, Sequence

import numpy as np

Points = Sequence[tuple[float, float]]
_WIDTH, _HEIGHT = 340, 184
_TOP, _BOTTOM, _LEFT = 10, 32, 44
_LABEL_ROOM, _LABEL_APART = 84, 13


def ticks(low: float, high: float, about: int = 4) -> list[float]:
  """Round numbers that cover [low, high], some `about` of them."""
  if not high > low:
    low, high = low - abs(low) / 2, high + (abs(high) or 1) / 2
  raw = (high - low) / about
  unit = 10 ** math.floor(math.log10(raw))
  step = next(unit * k for k in (1, 2, 5, 10) if unit * k >= raw * 0.999)
  first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
  return [round(i * step, 12) for i in range(first, last + 1)]


def number(value: float) -> str:
  """Three significant digits, thousands apart."""
  if abs(value) >= 1000:
    return f"{value:,.0f}"
  return f"{value:.3g}" if value == 0 or abs(value) >= 1e-3 else f"{value:.1e}"


def percent(value: float) -> str:
  return "< 0.01 %" if 0 < value < 1e-4 else f"{value * 100:.3g} %"


def smoothed(values: Sequence[float]) -> np.ndarray | None:
  """A centred moving average, narrower at both ends; None for a curve without noise."""
  reach = len(values) // 25
  turns = np.diff(np.sign(np.diff(values))) != 0
  # A staleness saw turns at its teeth only: smoothing would file them off.
  if not reach or turns.mean() < 0.25:
    return None
  total = np.concatenate([[0.0], np.cumsum(values)])
  centre = np.arange(len(values))
  # As far to the left as to the right: a lopsided window would bend the ends.
  reach = np.minimum(reach, np.minimum(centre, len(values) - 1 - centre))
  low, high = centre - reach, centre + reach + 1
  return (total[high] - total[low]) / (high - low)


def line_chart(series: Mapping[str, Points], *, form: Callable[[float], str] = number,
               span: tuple[float, float] | None = None, x_label: str = "step",
               until: float = 0, x_ticks: Sequence[float] = (), log: bool = False,
               marks: Sequence[float] = (), limit: float | None = None) -> str:
  """One chart.

  Args:
    series: by name, points (x, y), x ascending; values that are not finite are left out.
      Several are named at their ends.
    form: writes a value of y.
    span: of y at least; the values' own by default.
    x_label: under the axis.
    until: x at least, so that charts of one stage have the same axis.
    x_ticks: on it; round numbers by default, which begin at 0.
    log: x by its logarithm.
    marks: x of events, drawn as ticks on the axis.
    limit: y of a dashed line, if it is in the picture.

  Returns:
    An `<svg>` element; "" where there is nothing to draw.
  """
  finite = {name: [(x, y) for x, y in points if math.isfinite(y)]
            for name, points in series.items()}
  finite = {name: points for name, points in finite.items() if points}
  if not finite:
    return ""
  frame = _Frame(finite, span, until, x_ticks, log)
  parts = [frame.grid(form, x_label)]
  if limit is not None and limit <= frame.y_ticks[-1]:
    y = frame.y(limit)
    parts.append(f'<path class="limit" d="M{_LEFT} {y:.1f}H{frame.right:.1f}"/>')
  base = _HEIGHT - _BOTTOM
  parts += [f'<path class="mark" d="M{frame.x(x):.1f} {base}v-9"><title>{number(x)}</title>'
            "</path>" for x in marks]
  parts += [_line(frame, i, points) for i, points in enumerate(finite.values())]
  if len(finite) > 1:
    parts += _labels(frame, finite)
  return (f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{"".join(parts)}</svg>')


class _Frame:
  """From values to places in the picture."""

  def __init__(self, series: Mapping[str, Points], span: tuple[float, float] | None,
               until: float, x_ticks: Sequence[float], log: bool):
    self.right = _WIDTH - (_LABEL_ROOM if len(series) > 1 else 12)
    xs, ys = zip(*(point for points in series.values() for point in points))
    self.y_ticks = ticks(min(ys + (span or ())[:1]), max(ys + (span or ())[1:]))
    last = max(*xs, until)
    self.x_ticks = list(x_ticks) or [t for t in ticks(0, last, 4) if t <= last]
    self._scale = math.log2 if log else float
    self._first = self._scale(self.x_ticks[0] if log else 0)
    self._last = max(self._scale(last), self._first + 1e-9)

  def x(self, value: float) -> float:
    share = (self._scale(value) - self._first) / (self._last - self._first)
    return _LEFT + share * (self.right - _LEFT)

  def y(self, value: float) -> float:
    low, high = self.y_ticks[0], self.y_ticks[-1]
    return _TOP + (high - value) / (high - low) * (_HEIGHT - _BOTTOM - _TOP)

  def grid(self, form: Callable[[float], str], x_label: str) -> str:
    parts = []
    for tick in self.y_ticks:
      y = self.y(tick)
      parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{self.right:.1f}"/>'
                   f'<text x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">'
                   f"{html.escape(form(tick))}</text>")
    for tick in self.x_ticks:
      parts.append(f'<text x="{self.x(tick):.1f}" y="{_HEIGHT - 18}" text-anchor="middle">'
                   f"{number(tick)}</text>")
    parts.append(f'<text x="{self.right}" y="{_HEIGHT - 3}" text-anchor="end" '
                 f'class="axis">{html.escape(x_label)}</text>')
    return "".join(parts)


def _line(frame: _Frame, i: int, points: Points) -> str:
  xs, ys = zip(*points)
  smooth = smoothed(ys)
  parts = []
  if smooth is not None:
    parts.append(f'<path class="line raw s{i}" d="{_path(frame, points)}"/>')
    points = list(zip(xs, smooth))
  parts.append(f'<path class="line s{i}" d="{_path(frame, points)}"/>')
  if len(points) <= 12:
    parts += [f'<circle class="s{i}" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="2.6">'
              f"<title>{number(x)}: {number(y)}</title></circle>" for x, y in points]
  return "".join(parts)


def _path(frame: _Frame, points: Points) -> str:
  return "M" + "L".join(f"{frame.x(x):.1f} {frame.y(y):.1f}" for x, y in points)


def _labels(frame: _Frame, series: Mapping[str, Points]) -> list[str]:
  """Each name at the end of its line; where ends are close, one below the other."""
  ends = sorted((frame.y(points[-1][1]), i, name)
                for i, (name, points) in enumerate(series.items()))
  places, last = [], -math.inf
  for y, i, name in ends:
    last = max(y, last + _LABEL_APART)
    places.append((last, i, name))
  over = max(0.0, last - (_HEIGHT - _BOTTOM))
  return [f'<text class="name s{i}" x="{frame.right + 6:.1f}" y="{y - over + 3.5:.1f}">'
          f"{html.escape(name)}</text>" for y, i, name in places]


def figure(title: str, meaning: str, drawn: str, last: str = "") -> str:
  """A chart under its title and the last value."""
  title, meaning, last = map(html.escape, (title, meaning, last))
  return (f"<figure><figcaption><b>{title}</b><output>{last}</output>"
          f"<span>{meaning}</span></figcaption>{drawn}</figure>")
