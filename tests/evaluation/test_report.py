import math
import re

import numpy as np
import pytest
from matplotlib import image

from realm_tf.evaluation import report

_ROWS = [
    report.Stage("BM25", 0.357, 0.448),
    report.Stage("fine-tuning", 0.5, math.nan, 0.1, 0.25, 0.213, 12.34)]


def test_table_lines_up():
  lines = report.stage_table(_ROWS).splitlines()
  assert re.split(r"\s{2,}", lines[0]) == [
      "stage", "recall@5", "recall@20", "masked words alone", "with blocks", "exact match",
      "minutes"]
  assert re.split(r"\s{2,}", lines[2]) == ["BM25", "35.7 %", "44.8 %", *"----"]
  assert re.split(r"\s{2,}", lines[3]) == [
      "fine-tuning", "50.0 %", "-", "10.0 %", "25.0 %", "21.3 %", "12.3"]
  assert {len(line) for line in lines} == {len(lines[0])}


def test_table_in_markdown():
  lines = report.stage_table(_ROWS, markdown=True).splitlines()
  assert all(line.count("|") == 8 for line in lines)
  assert re.fullmatch(r"\| -+ (\| -+: ){6}\|", lines[1])


def _curve(steps):
  return [(step, {"loss": math.exp(-step), "recall@5": 0.1, "recall@20": 0.2})
          for step in range(steps)]


def test_picture_is_drawn(tmp_path):
  path = tmp_path / "curves.png"
  curves = {"ict": _curve(100), "pretrain": [(3, {"loss": math.nan, "staleness": 4.0})],
            "finetune": []}
  report.plot_curves(curves, path)
  picture = image.imread(path)
  assert picture.shape[0] > 300 and picture.shape[1] > 600
  assert picture[..., :3].min() < 0.5


def test_picture_without_values_leaves_the_old_one(tmp_path):
  path = tmp_path / "curves.png"
  path.write_bytes(b"old")
  with pytest.raises(ValueError, match="no values"):
    report.plot_curves({"ict": [], "pretrain": [(1, {"loss": math.inf})]}, path)
  assert path.read_bytes() == b"old"


def test_failed_drawing_leaves_the_old_picture(tmp_path, monkeypatch):
  def full_disk(self, file, **_):
    file.write(b"half")
    raise OSError("no space")

  path = tmp_path / "curves.png"
  path.write_bytes(b"old")
  monkeypatch.setattr(report.Figure, "savefig", full_disk)
  with pytest.raises(OSError, match="no space"):
    report.plot_curves({"ict": _curve(3)}, path)
  assert path.read_bytes() == b"old"


def test_smoothing_keeps_saws_and_constants():
  noise = np.random.default_rng(0).normal(size=200)
  assert report.smoothed(noise).std() < noise.std() / 2
  np.testing.assert_allclose(report.smoothed(noise)[[0, -1]], noise[[0, -1]])
  assert report.smoothed(np.arange(200) % 50) is None
  assert report.smoothed([1.0] * 200) is None
  assert report.smoothed([1.0]) is None


_PASSAGE = "Das Café 😀 liegt an der Seine in Paris, nicht weit vom Louvre entfernt."


def _bytes_of(answer):
  start = _PASSAGE.encode().index(answer.encode())
  return start, start + len(answer.encode())


def test_answer_is_marked_by_byte_offsets():
  marked = report.mark_answer(_PASSAGE, *_bytes_of("Paris"), color=False, width=200)
  assert marked == _PASSAGE.replace("Paris", "[[Paris]]")
  colored = report.mark_answer(_PASSAGE, *_bytes_of("Café 😀"), color=True, width=200)
  assert colored == _PASSAGE.replace("Café 😀", "\x1b[1;7mCafé 😀\x1b[0m")
  assert report.mark_answer(_PASSAGE, 0, 0, color=False, width=200) == _PASSAGE


@pytest.mark.parametrize("color", [True, False])
def test_lines_fit_the_width(color):
  answer = "liegt an der Seine in Paris, nicht"
  marked = report.mark_answer(_PASSAGE, *_bytes_of(answer), color=color, width=20)
  for line in marked.splitlines():
    assert len(re.sub(r"\x1b\[[0-9;]*m", "", line)) <= 20
    # A terminal must be plain again at each line's end.
    assert line.count("\x1b[1;7m") == line.count("\x1b[0m")
  if color:
    inside = "".join(
        part + " " for part in re.findall("\x1b\\[1;7m(.*?)\x1b\\[0m", marked, re.DOTALL))
    assert inside.split() == answer.split()


def test_control_characters_do_not_reach_the_terminal():
  marked = report.mark_answer("a\x1b[2Jb\x02c\x9bd", 5, 6, color=True)
  assert "\x1b[2J" not in marked and "\x02" not in marked and "\x9b" not in marked
  assert marked == "a [2J\x1b[1;7mb\x1b[0m c d"


@pytest.mark.parametrize("start, end", [(-1, 2), (3, 2), (0, 999), (0, 8), (8, 9)])
def test_offsets_outside_or_inside_a_character_are_refused(start, end):
  with pytest.raises(ValueError, match=f"bytes {start}:{end}"):
    report.mark_answer(_PASSAGE, start, end, color=False)
