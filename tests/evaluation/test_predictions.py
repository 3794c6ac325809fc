"""Files of predictions: what is in them, and which question each line answers."""

import json

import pytest

from realm_tf.datasets.questions import Question
from realm_tf.errors import UserError
from realm_tf.evaluation import predictions
from realm_tf.jsonl import write_rows

_QUESTION = Question("a", "q?", ("x",), gold_passage="d2", source="nq")
_RECORD = {"question": "q?", "prediction": "y", "passages": [
    {"id": f"d{i}", "row": i, "title": "", "text": "an x" if i == 7 else "none"}
    for i in range(9)]}


def test_an_evaluation_keeps_few_passages_and_the_ranks_of_all(tmp_path):
  record = predictions.evaluated(_QUESTION, _RECORD, read_blocks=3, blocks=50)
  write_rows(tmp_path / "p.jsonl", [record])
  [read] = predictions.read_predictions(tmp_path / "p.jsonl")
  assert read == record and len(read["passages"]) == 5
  assert read["ranks"] == {"answer": 7, "substring": 7, "gold": 2}
  assert read["rows"] == list(range(9)) and read["ranked"] == 9
  assert predictions.questions_of("p", [read]) == [_QUESTION]
  assert "predictions" not in read
  others = predictions.evaluated(_QUESTION, {**_RECORD, "answers": [{"answer": "y"}]})
  assert others["predictions"] == [{"answer": "y"}] and others["answers"] == ["x"]
  assert predictions.depth([read]) == (9, 3)
  assert predictions.depth([read]).of([1, 9, 10]) == [1, 9]


def test_a_number_is_predicted_as_it_is_spelled(tmp_path):
  (tmp_path / "p.jsonl").write_text('{"question": "How much?", "prediction": 2.50}\n')
  assert [r["prediction"] for r in predictions.read_predictions(tmp_path / "p.jsonl")] == [
      "2.50"]


@pytest.mark.parametrize("records, ranked, read", [
    ([{"passages": [{}] * 4}, {"passages": [{}] * 3}], 3, None),
    ([{"passages": [{}] * 4, "blocks": 4, "read_blocks": 2}] * 2, float("inf"), 2),
    ([{"passages": [{}] * 4, "blocks": 5, "read_blocks": 2}] * 2, 4, 2),
    ([{"passages": [{}] * 4, "read_blocks": 5}], 4, None),
    ([{"passages": [{}] * 4, "read_blocks": 2}, {"passages": [{}] * 4, "read_blocks": 3}], 4,
     None),
    ([{}], 0, None)])
def test_recall_is_known_as_far_down_as_every_line_lists(records, ranked, read):
  assert predictions.depth(records) == (ranked, read)


def _questions(*pairs):
  return [Question(name, text, ("x",)) for name, text in pairs]


def _records(*pairs):
  return [{"question": text, "prediction": name or "y"} | ({"id": name} if name else {})
          for name, text in pairs]


def test_lines_are_matched_by_id_and_text_or_by_text():
  questions = _questions(("1", "a"), ("2", "a"), ("3", "b"), ("4", "c"))
  records = _records(("2", "a"), ("1", "a"), ("9", "b"), ("4", "other"))
  matched = predictions.matched(questions, records)
  assert [record and record["prediction"] for record in matched] == ["1", "2", "9", None]


@pytest.mark.parametrize("records, message", [
    (_records(("1", "a")), "'b' of them is not there"),
    (_records(("1", "a"), ("2", "b"), ("3", "c")), "'c' is there once more"),
    (_records(("", "a"), ("", "b"), ("", "b")), "'b' is there once more"),
    (_records(("1", "a"), ("2", "other")), "'b' of them is not there")])
def test_other_questions_are_refused(records, message):
  questions = _questions(("1", "a"), ("2", "b"))
  assert predictions.check_same(questions, "f", _records(("2", "b"), ("1", "a")), "them") == (
      _records(("1", "a"), ("2", "b")))
  with pytest.raises(UserError, match=f"^f: the questions differ: {message}"):
    predictions.check_same(questions, "f", records, "them")


def test_one_line_does_not_answer_two_questions():
  with pytest.raises(UserError, match="fewer are there"):
    predictions.check_same(
        _questions(("1", "a"), ("2", "a")), "f", _records(("", "a")), "them")


_GOOD = {"id": "1", "question": "q?", "prediction": "y"}


@pytest.mark.parametrize("change, message", [
    ({"question": 3}, "field 'question'"), ({"prediction": None}, "field 'prediction'"),
    ({"id": " "}, "field 'id'"), ({"id": 1}, "field 'id': '1' is there already, in line 1"),
    ({"passages": "x"}, "field 'passages'"), ({"passages": ["x"]}, "field 'passages'"),
    ({"passages": [{"id": "1"}]}, "field 'passages', number 1: field 'text'"),
    ({"passages": [{"text": "1"}]}, "field 'passages', number 1: field 'id'"),
    ({"read_blocks": "5"}, "field 'read_blocks'"), ({"blocks": -1}, "field 'blocks'"),
    ({"ranks": [1]}, "field 'ranks'"), ({"ranks": {"answer": 1}}, "field 'ranks'"),
    ({"ranks": {"answer": 1, "substring": "1"}}, "field 'ranks'"),
    ({"regex": "yes"}, "field 'regex': expected true or false"),
    ({"source": ["x"]}, "field 'source'"), ({"gold_passage": 1}, "field 'gold_passage'")])
def test_a_bad_line_is_named(tmp_path, change, message):
  path = tmp_path / "p.jsonl"
  path.write_text("\n".join(map(json.dumps, [_GOOD, {**_GOOD, "id": "2", **change}])))
  with pytest.raises(UserError, match=f"p.jsonl:2: {message}"):
    predictions.read_predictions(path)


def test_an_empty_file_and_missing_answers(tmp_path):
  (tmp_path / "p.jsonl").write_text("\n")
  with pytest.raises(UserError, match="p.jsonl: no predictions in it"):
    predictions.read_predictions(tmp_path / "p.jsonl")
  with pytest.raises(UserError, match="p: prediction 1: field 'answers' does not hold"):
    predictions.questions_of("p", [_GOOD])
  with pytest.raises(UserError, match="field 'answers' does not hold the right"):
    predictions.questions_of("p", [_GOOD | {"answers": [{"answer": "y"}]}])  # of `predict`
  with pytest.raises(UserError, match="p: prediction 1: field 'answers': answer pattern"):
    predictions.questions_of("p", [_GOOD | {"answers": ["("], "regex": True}])


def test_missing_ones_are_wrong_and_none_is_an_error():
  questions = _questions(("1", "a"), ("2", "b"))
  records = [{"question": "a", "prediction": "x"}]
  assert predictions.file_figures(questions, records, "p", [1])["exact_match"] == 0.5
  with pytest.raises(UserError, match="^p: none of its predictions is of a question"):
    predictions.file_figures(questions, [{"question": "c", "prediction": "x"}], "p", [1])
