"""The report page: what is in it, and that nothing of a corpus gets out of its place."""

import html.parser
import re

import pytest

from realm_tf.report import curves, page
from realm_tf.report.tables import Stage

EVIL = '<script>alert("x")</script><img src=http://x/ onerror=y> & \'"'


class Reader(html.parser.HTMLParser):
  """Which tags and attributes a page has, whether tags are closed, and its text."""

  def __init__(self, text):
    super().__init__()
    self.tags, self.attributes, self.text, self.open = set(), [], "", []
    self.feed(text)
    self.close()

  def handle_starttag(self, tag, attrs):
    self.tags.add(tag)
    self.attributes += attrs
    if tag not in ("meta", "br", "input"):
      self.open.append(tag)

  def handle_startendtag(self, tag, attrs):
    self.tags.add(tag)
    self.attributes += attrs

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    self.text += data


def _examples():
  candidates = [{"title": "", "text": "", "prior": 0.2, "posterior": 0.1},
                {"title": EVIL, "text": EVIL, "prior": 0.8, "posterior": 0.9}]
  sentence = {"sentence": f"[MASK] [MASK] {EVIL}", "answer": EVIL,
              "candidates": candidates}
  return [{"step": 0, "sentences": [sentence]}, {"step": 7, "sentences": []},
          {"step": 1600, "sentences": [sentence]}]


def diagnosis_record():
  row = {"softmax_mass": 0.3, "posterior_mass": 0.4, "gradient_cosine": 0.7,
         "gradient_cosine_by_queries": 0.6, "gradient_cosine_by_documents": 0.5,
         "gradient_norm_ratio": 0.9, "sentence_cosine": 0.8}
  return {"stage": "pretrain", "sentences": 32, "batches": 2, "blocks": 1000,
          "summed_blocks": 100, "summed_mass": 0.91, "prior_entropy": 2.0,
          "posterior_entropy": 1.0, "full_gradient_norm": 3.0,
          "full_gradient_norm_by_queries": 2.0, "full_gradient_norm_by_documents": 2.5,
          "gradient_cosine_between_batches": 0.1, "pretrain_candidates": 8,
          "rows": [{"candidates": name, "k": k, **row} for name in ("fresh", EVIL)
                   for k in (2, 4)]}


def _answer(right):
  return {"question": EVIL, "prediction": "Oslo", "answers": [EVIL], "right": right,
          "title": EVIL, "passage": f"It is Oslo. {EVIL}", "start": 6, "end": 10}


def _record():
  return {"started": "2026-01-01T00:00:00+00:00", "command": ["realm", "run", EVIL],
          "versions": {"numpy": "2", EVIL: None}, "processor": EVIL, "processors": 2,
          "source": {"git": "0123456789abcdef", "modified": True}, "memory_gb": 1.0,
          "devices": [EVIL], "system": EVIL, "environment": {"TF_CONFIG": EVIL}}


@pytest.fixture(name="whole")
def _whole():
  curve = [(step, {"loss": 1.0 / step, f"odd_{EVIL}": 1.0, "index_staleness": step % 4,
                   "index_swaps": [0, 0, 0.5, 1, 1, 1, 2, 2][step - 1], "index_churn": 0.1})
           for step in range(1, 9)]
  return page.page(EVIL, [
      page.header(EVIL, [(EVIL, EVIL)]),
      page.section(EVIL, page.stages(
          [Stage(EVIL, {"recall@5": 0.123, "exact_match": 0.5}, 2, (EVIL,))]),
          page.sources({EVIL: {"questions": 3, "f1": 0.5}}), note=EVIL),
      page.section("a", page.answers([_answer(True), _answer(False), _answer(None)])),
      page.section("b", page.before_and_after(_examples())),
      page.section("c", curves.index_age(curve, 4), curves.curves(EVIL, curve)),
      page.section("d", page.diagnosis(diagnosis_record())),
      page.section("e", page.settings({"a": EVIL, "b": 1}, {"b": 1}),
                   page.commands([_record()]))])


def test_nothing_of_the_data_becomes_markup(whole):
  markup = Reader(whole)
  assert not markup.tags & {"script", "img", "iframe", "link", "object"}
  assert not any(name.startswith("on") or name in ("src", "href")
                 for name, _ in markup.attributes)
  assert not markup.open  # every tag is closed
  assert markup.text.count('<script>alert("x")</script>') > 10


def test_the_page_needs_nothing_but_itself(whole):
  style = re.search("<style>(.*)</style>", whole, re.DOTALL)[1]
  assert "url(" not in style and "@import" not in style
  assert "default-src 'none'" in whole
  assert "prefers-color-scheme:dark" in style and 'name="viewport"' in whole


def test_rows_of_a_table_stay_lines(whole):
  answer = {**_answer(True), "passage": "Name | Place\nOna | Rome", "start": 13, "end": 16}
  shown = page.answers([answer])
  assert '<p class="text">Name | Place\n<mark>Ona</mark> | Rome</p>' in shown
  assert "p.text{white-space:pre-line}" in whole


def test_examples_are_shown_first_and_last(whole):
  text = Reader(page.before_and_after(_examples())).text
  assert "step 0" in text and "step 1,600" in text and "step 7" not in text
  assert text.count("null document") == 2 and "0.80" in text and "0.90" in text
  assert page.before_and_after([]) == ""
  assert "step 0" in page.before_and_after(_examples()[:1])


def test_masked_words_are_marked_where_they_stand():
  examples = _examples()
  candidate = examples[0]["sentences"][0]["candidates"][1]
  examples[0]["sentences"][0]["answer"] = "oslo"
  candidate["text"] = "Oslo, not Oslonians, is <b>oslo</b>."
  text = page.before_and_after(examples[:1])
  assert "<mark>Oslo</mark>, not Oslonians, is &lt;b&gt;<mark>oslo</mark>&lt;/b&gt;." in text


def test_answers_are_marked_in_their_passage(whole):
  assert whole.count("It is <mark>Oslo</mark>. &lt;script") == 3
  assert whole.count("✓") == 1 and whole.count("✗") == 1


def test_swaps_are_marked_where_their_number_rises(whole):
  assert "2 swaps" in whole and whole.count('class="mark"') == 2


def test_settings_that_differ_come_first():
  text = page.settings({"same": 1, "changed": 5}, {"same": 1, "changed": 2})
  assert text.index("changed") < text.index("1 settings at their defaults") < text.index(
      "same")


def test_a_section_of_nothing_is_left_out():
  assert page.section("title", "", "") == ""
  assert page.stages([]) == page.sources({}) == page.answers([]) == page.commands([]) == ""
  assert curves.curves("ict", []) == curves.index_age([], 1) == ""


def test_shares_are_in_per_cent_and_missing_ones_are_dashes():
  text = Reader(page.stages([
      Stage("BM25", {"recall@5": 0.308, "recall@5_low": 0.25, "recall@5_high": 0.4}),
      Stage("ict", {"recall@5": 0.2, "exact_match": 0.5}, warnings=("ict lost",))])).text
  assert "30.8 %" in text and "50.0 %" in text and "–" in text and "25.0 – 40.0" in text
  assert "ict !" in text and "ict lost" in text
  assert "recall@20" not in text  # nobody has it
