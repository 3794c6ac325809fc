"""Charts as SVG: what is in them, and where."""

import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from realm_tf.report import charts


@pytest.mark.parametrize("low, high, expected", [
    (0, 1, [0, 0.5, 1]), (0, 80, [0, 20, 40, 60, 80]), (-0.4, 0.9, [-0.5, 0, 0.5, 1]),
    (2130, 2480, [2100, 2200, 2300, 2400, 2500])])
def test_ticks_are_round_and_cover(low, high, expected):
  assert charts.ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize("value", [0.0, 3.0, -2.5, 1e-9])
def test_ticks_of_a_constant_are_around_it(value):
  ticks = charts.ticks(value, value)
  assert ticks[0] <= value <= ticks[-1] and ticks[0] < ticks[-1]


def test_numbers_for_people():
  assert [charts.number(x) for x in (0, 12345.6, 1.23456, 0.00012)] == [
      "0", "12,346", "1.23", "1.2e-04"]
  assert [charts.percent(x) for x in (0, 1e-9, 0.1234, 1)] == [
      "0 %", "< 0.01 %", "12.3 %", "100 %"]


def _parsed(svg):
  return ET.fromstring(svg)


def _path(svg, kind):
  """The points of the first path of a class."""
  path = next(e for e in _parsed(svg).iter("path") if e.get("class") == kind)
  return [tuple(map(float, point.split())) for point in
          path.get("d").removeprefix("M").split("L")]


def test_points_stand_where_their_values_say():
  svg = charts.line_chart({"loss": [(0, 10.0), (50, 5.0), (100, 0.0)]})
  (x0, y0), (x1, y1), (x2, y2) = _path(svg, "line s0")
  assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2) and x1 > x0
  assert y1 - y0 == pytest.approx(y2 - y1, abs=0.2) and y1 > y0  # y points down
  labels = [e.text for e in _parsed(svg).iter("text")]
  assert {"0", "50", "100", "10", "step"} <= set(labels)


def test_logarithmic_axis_has_equal_steps_for_doublings():
  svg = charts.line_chart({"mass": [(2, 0.1), (4, 0.2), (8, 0.4)]}, x_ticks=[2, 4, 8],
                          log=True)
  xs = [x for x, _ in _path(svg, "line s0")]
  assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)


def test_a_short_curve_ends_where_it_ends():
  svg = charts.line_chart({"mass": [(0, 0.1), (40, 0.2)]}, until=80)
  whole = charts.line_chart({"mass": [(0, 0.1), (80, 0.2)]})
  ends = [_path(chart, "line s0")[-1][0] for chart in (svg, whole)]
  start = _path(svg, "line s0")[0][0]
  assert (ends[0] - start) * 2 == pytest.approx(ends[1] - start, abs=0.3)


def test_lines_are_named_at_their_ends_without_overlap():
  svg = charts.line_chart({"fresh <b>": [(0, 1.0), (9, 2.0)], "stale": [(0, 1.0), (9, 2.01)]})
  names = [e for e in _parsed(svg).iter("text") if "name" in (e.get("class") or "")]
  assert {e.text for e in names} == {"fresh <b>", "stale"} and "<b>" not in svg
  ys = sorted(float(e.get("y")) for e in names)
  assert ys[1] - ys[0] >= 12


def test_events_and_limit_are_drawn():
  svg = charts.line_chart({"age": [(0, 0.0), (100, 60.0)]}, marks=[40, 80], limit=50)
  assert svg.count('class="mark"') == 2 and svg.count('class="limit"') == 1
  assert 'class="limit"' not in charts.line_chart({"age": [(0, 0.0), (9, 6.0)]}, limit=500)


def test_values_that_are_not_finite_are_left_out():
  svg = charts.line_chart({"loss": [(1, math.nan), (2, 3.0), (3, math.inf), (4, 1.0)]})
  assert len(_path(svg, "line s0")) == 2
  assert not re.search("nan|inf", svg)
  assert charts.line_chart({"loss": [(1, math.nan)]}) == ""
  assert charts.line_chart({}) == ""


def test_noise_is_drawn_faint_under_its_mean():
  points = [(i, float(i % 2)) for i in range(100)]
  assert 'class="line raw s0"' in charts.line_chart({"loss": points})


def test_smoothing_keeps_saws_and_constants():
  noise = np.random.default_rng(0).normal(size=200)
  assert charts.smoothed(noise).std() < noise.std() / 2
  np.testing.assert_allclose(charts.smoothed(noise)[[0, -1]], noise[[0, -1]])
  assert charts.smoothed(np.arange(200) % 50) is None
  assert charts.smoothed([1.0] * 200) is None
  assert charts.smoothed([1.0]) is None
