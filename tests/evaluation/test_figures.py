"""Figures per question and their means, against plain loops."""

import numpy as np
import pytest

from realm_tf.datasets.questions import Question
from realm_tf.evaluation import figures


def _passages(ids):
  return [{"id": name, "text": f"It is {name}."} for name in ids]


def _world(seed=0, count=40):
  rng = np.random.default_rng(seed)
  questions, records = [], []
  for i in range(count):
    names = [f"n{j}" for j in rng.permutation(12)]
    questions.append(Question(str(i), f"q{i}?", (f"n{rng.integers(14)}",),
                              gold_passage=f"n{rng.integers(14)}" if i % 4 else "",
                              source="ab"[i % 2]))
    records.append({"prediction": names[0], "passages": _passages(names[:10])})
  return questions, records


def _plain_recall(question, record, k, by_gold):
  texts = [passage["id" if by_gold else "text"] for passage in record["passages"][:k]]
  wanted = question.gold_passage if by_gold else f" {question.answers[0]}."
  return any(wanted == text if by_gold else wanted in text for text in texts)


def test_recall_by_answer_and_by_gold_passage():
  questions, records = _world()
  per_question = figures.per_question(questions, records, [1, 5, 10], 3)
  summary = figures.summary(questions, per_question)
  named = [(q, r) for q, r in zip(questions, records) if q.gold_passage]
  for k in (1, 5, 10):
    for by_gold, pairs in ((False, list(zip(questions, records))), (True, named)):
      assert summary[f"recall@{k}{'_by_gold' * by_gold}"] == pytest.approx(
          np.mean([_plain_recall(q, r, k, by_gold) for q, r in pairs])), (k, by_gold)
  assert summary["reader_oracle"] == pytest.approx(
      np.mean([_plain_recall(q, r, 3, False) for q, r in zip(questions, records)]))
  assert (summary["questions"], summary["gold_questions"]) == (40, 30)
  assert 0 < summary["recall@1"] < summary["recall@5"] < summary["recall@10"] < 1


def test_each_source_has_the_figures_of_its_questions():
  questions, records = _world()
  summary = figures.summary(questions, figures.per_question(questions, records, [1, 5], 3))
  for source in "ab":
    pairs = [(q, r) for q, r in zip(questions, records) if q.source == source]
    alone = [list(side) for side in zip(*pairs)]
    source_figures = figures.summary(alone[0], figures.per_question(*alone, [1, 5], 3))
    assert summary["by_source"][source] == {
        name: value for name, value in source_figures.items() if name != "by_source"}
  plain = [Question(q.id, q.question, q.answers) for q in questions]
  summary = figures.summary(plain, figures.per_question(plain, records, [1], 3))
  assert "by_source" not in summary and "gold_questions" not in summary
  assert not any("gold" in name for name in summary)


def test_some_without_a_source_are_a_row_too():
  questions, records = _world(count=4)
  questions[0] = Question("0", "q0?", ("x",))
  summary = figures.summary(questions, figures.per_question(questions, records, [1], 3))
  assert {name: source_figures["questions"]
          for name, source_figures in summary["by_source"].items()} == {
      "a": 1, "b": 2, "not named": 1}


def test_what_was_not_answered_is_wrong_and_counts():
  questions, records = _world()
  complete = figures.per_question(questions, records, [1, 10], 3)
  with_a_gap = figures.per_question(questions, [None, *records[1:]], [1, 10], 3)
  assert with_a_gap.keys() == complete.keys()
  for name, values in with_a_gap.items():
    assert values[0] == 0 or "gold" in name and np.isnan(values[0])
    np.testing.assert_array_equal(values[1:], complete[name][1:])


def test_kept_ranks_count_and_not_the_few_passages_that_are_listed():
  questions, records = _world()
  short = [{**record, "ranks": figures.ranks(question, record["passages"]),
            "passages": record["passages"][:2]}
           for question, record in zip(questions, records)]
  complete = figures.per_question(questions, records, [1, 10], 3)
  for name, values in figures.per_question(questions, short, [1, 10], 3).items():
    np.testing.assert_array_equal(values, complete[name])


@pytest.mark.parametrize("missing, gone", [
    ("prediction", {"exact_match", "exact_match_by_words", "f1"}),
    ("passages", {"recall@1", "recall@1_by_gold", "recall@1_by_substring", "reader_oracle"})])
def test_what_records_do_not_tell_has_no_figure(missing, gone):
  questions, records = _world()
  complete = figures.per_question(questions, records, [1], 3)
  for record in records:
    del record[missing]
  assert complete.keys() - figures.per_question(questions, records, [1], 3).keys() == gone
  assert "reader_oracle" not in figures.per_question(questions, records, [1], None)


def test_any_block_of_the_gold_document_counts():
  question = Question("1", "q?", ("none",), gold_passage="b")
  assert figures.ranks(question, _passages("acbb"))["gold"] == 2
  assert figures.ranks(question, _passages("ac"))["gold"] == -1
  assert "gold" not in figures.ranks(Question("1", "q?", ("none",)), _passages("ab"))
