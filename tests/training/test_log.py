"""Curves that somebody has changed by hand."""

import pytest

from realm_tf.errors import UserError
from realm_tf.training.log import read_curves


@pytest.mark.parametrize("text, said", [
    ("a,b\n1,2\n", ":2: field 'step' is missing"),
    ("step,loss\n1,0.5\nx,0.5\n", ":3: field 'step' is 'x'"),
    ("step,loss\n1,1,5\n", ":2: more fields than names"),
    ("step,loss\nnan,1\n", ":2: field 'step' is missing, or no whole number"),
    ("step,loss\n1,much\n", ":2: field 'loss' is 'much'")])
def test_what_is_no_curve_is_named(tmp_path, text, said):
  (tmp_path / "curves.csv").write_text(text)
  with pytest.raises(UserError, match=str(tmp_path)) as caught:
    read_curves(tmp_path / "curves.csv")
  assert said in str(caught.value)


def test_a_metric_that_a_step_does_not_have_is_left_out(tmp_path):
  (tmp_path / "curves.csv").write_text("step,loss,dev_score\n1,0.5,\n2,nan,0.25\n")
  (first, values), (second, others) = read_curves(tmp_path / "curves.csv")
  assert (first, values, second) == (1, {"loss": 0.5}, 2) and others["dev_score"] == 0.25
