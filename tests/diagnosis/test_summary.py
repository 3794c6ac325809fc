import math

from realm_tf.diagnosis import summary
from tests.report.test_page import diagnosis_record


def _found():
  return {**diagnosis_record(), "loss": "joint"}


def test_every_figure_has_its_meaning():
  text = summary.table(_found())
  assert "32 sentences that were not trained on, joint loss, K = 8" in text
  assert "100 of 1,000" in text and "91.0% of p(z|x)" in text
  assert f"{math.exp(2):.1f} equally likely blocks" in text
  for name, label, meaning in summary.COLUMNS:
    assert label in text and meaning in text, name
  assert "fresh" in text and text.count("0.700") == 4


def test_one_batch_has_no_cosine_between_batches():
  text = summary.table({**_found(), "gradient_cosine_between_batches": None})
  assert "between batches" not in text
