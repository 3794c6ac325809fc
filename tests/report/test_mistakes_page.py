"""The page of mistakes: what is marked, what the filter shows, and that nothing gets out."""

import re

import pytest

from realm_tf.evaluation.mistake_kinds import MISTAKE_KINDS
from realm_tf.report import mistakes_page
from tests.report.test_page import EVIL, Reader


def _mistake(kind="misread", **changes):
  return {"kind": kind, "reason": "", "id": EVIL, "question": EVIL,
          "expected": ("Oslo", EVIL), "regex": False, "source": EVIL,
          "gold_passage": "", "prediction": EVIL, "title": EVIL,
          "passage": f"{EVIL} It is Bergen. {EVIL}", "start": len(EVIL) + 7,
          "end": len(EVIL) + 13,
          "right": {"id": "1", "rank": 6, "title": EVIL, "text": f"<i>No</i>, Oslo. {EVIL}"}
          } | changes


def test_nothing_of_the_data_becomes_markup_and_nothing_is_loaded():
  text = mistakes_page.mistakes_page(EVIL, [_mistake(reason=EVIL), _mistake(right=None)], 9,
                                f"{EVIL}.jsonl")
  markup = Reader(text)
  assert not markup.tags & {"script", "img", "iframe", "link", "object", "form", "i"}
  assert not markup.open
  links = [value for name, value in markup.attributes if name in ("href", "src")]
  assert len(links) == 1 and ":" not in links[0] and links[0].endswith(".jsonl")
  assert not any(name.startswith("on") for name, _ in markup.attributes)
  assert "url(" not in text and "@import" not in text and "default-src 'none'" in text


def test_what_was_read_and_what_is_right_are_marked():
  text = mistakes_page.mistakes_page("x", [_mistake()], 9, "x.jsonl")
  assert "It is <mark>Bergen</mark>. &lt;script" in text
  assert "&lt;i&gt;No&lt;/i&gt;, <mark>Oslo</mark>. <mark>&lt;script" in text
  assert "number 7" in text
  assert "not retrieved" in mistakes_page.mistakes_page("x", [_mistake(
      right={"id": "1", "rank": -1, "title": "", "text": ""})], 9, "x.jsonl")


def test_the_filter_has_a_rule_and_a_button_for_each_kind_that_there_is():
  mistakes = [_mistake(kind) for kind in MISTAKE_KINDS for _ in range(3)]
  text = mistakes_page.mistakes_page("x", mistakes, 99, "x.jsonl")
  buttons = re.findall(r'id="only-(\w+)"', text)
  assert buttons == ["all", *MISTAKE_KINDS]
  for kind in MISTAKE_KINDS:
    rule = f"#only-{kind}:checked~.answers article:not(.{kind}){{display:none}}"
    assert rule in text and text.count(f'<article class="qa {kind}"') == 3
    # `~` reaches what comes later under the same parent.
    assert re.search(rf'<section>(?:(?!</section>).)*id="only-{kind}"(?:(?!</section>).)*'
                     r'<div class="answers">', text, re.DOTALL)
  assert 'id="only-near"' not in mistakes_page.mistakes_page("x", mistakes[3:], 9, "x.jsonl")
  assert "15 of 99" in text and "all of them are here" in text


def test_of_many_a_sample_of_each_kind():
  mistakes = [_mistake("missed", question=f"missed {i}") for i in range(1000)]
  mistakes += [_mistake("near", question="near")]
  text = mistakes_page.mistakes_page("x", mistakes, 2000, "x.jsonl")
  sampled = [int(i) for i in re.findall(r"missed (\d+)<", text)]
  assert len(sampled) == len(set(sampled)) == 50 and max(sampled) > 900 and min(sampled) < 100
  assert "1,001 of 2,000" in text and "51 of them" in text
  assert "not retrieved 1,000" in text and text.count("near</p>") == 1


@pytest.mark.parametrize("text, answers, regex, expected", [
    ("Oslo, oslo, Oslonians", ["OSLO"], False, [(0, 4), (6, 10)]),
    ("New  York City", ["York", "new york", "York City"], False, [(0, 9)]),
    ("It is $5 (five).", ["$5", "five)"], False, [(6, 8), (10, 15)]),
    ("none", ["", " ", "one"], False, []),
    ("in 1990 and 1991", [r"19\d\d"], True, [(3, 7), (12, 16)])])
def test_places(text, answers, regex, expected):
  assert mistakes_page.places(text, answers, regex) == expected
