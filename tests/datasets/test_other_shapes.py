"""Questions in the shapes of SQuAD, DPR, and JSON lines with `answers`."""

import gzip
import json

import pytest

from realm_tf.datasets.questions import Question, read_questions
from realm_tf.errors import UserError
from tests.command import realm

_FIRST = Question("a", "Who?", ("Ona", "she"))
_SECOND = Question("b", "Where?", ("there",))
_SQUAD = {"version": "v2.0", "data": [
    {"title": "T", "paragraphs": [
        {"context": "Ona.", "qas": [
            {"id": "a", "question": "Who?", "answers": [
                {"text": "Ona", "answer_start": 0}, {"text": "she", "answer_start": 1},
                {"text": "Ona", "answer_start": 0}], "is_impossible": False},
            {"id": "c", "question": "Why?", "answers": [], "is_impossible": True}]},
        {"context": "x", "qas": []}]},
    {"title": "U", "paragraphs": [{"context": "y", "qas": [
        {"id": "b", "question": "Where?", "answers": [{"text": "there"}]}]}]}]}
_DPR = [{"dataset": "nq", "question": "Who?", "answers": ["Ona", "she"],
         "positive_ctxs": [{"title": "T", "text": "Ona.", "passage_id": "1"}]},
        {"question": "Where?", "answers": ["there"], "positive_ctxs": []}]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("begin", ["", "\ufeff", "\n \n"])
def test_squad(tmp_path, indent, begin, caplog):
  path = tmp_path / "train.json"
  path.write_text(begin + json.dumps(_SQUAD, indent=indent))
  assert read_questions(path) == [_FIRST, _SECOND]


@pytest.mark.parametrize("indent", [None, 4])
def test_dpr(tmp_path, indent):
  path = tmp_path / "nq.json.gz"
  path.write_bytes(gzip.compress(json.dumps(_DPR, indent=indent).encode()))
  assert [(q.question, q.answers, q.gold_passage) for q in read_questions(path)] == [
      ("Who?", ("Ona", "she"), ""), ("Where?", ("there",), "")]
  assert [q.where for q in read_questions(path)] == [f"{path}: entry 1", f"{path}: entry 2"]


def test_lines_with_answers(tmp_path):
  path = tmp_path / "q.jsonl"
  path.write_text("".join(json.dumps(row) + "\n" for row in (
      {"id": "a", "question": "Who?", "answers": ["Ona", "she"]},
      {"id": "b", "question": "Where?", "answers": {"text": ["there"], "answer_start": [3]}},
      {"id": "c", "question": "When?", "answer": "now", "answers": ["never"]},
      {"id": "d", "question": "How?", "answers": "so"},
      {"id": "e", "question": "How?", "answer": None, "answers": [["so"], ["thus", "so"]]},
      {"id": "f", "question": "How?", "answer": [{"text": "so", "answer_start": 3}]},
      {"id": "g", "question": "How?", "answer": {"text": ["so"]}},
      {"id": "h", "question": "How?",
       "answer": {"value": "so", "aliases": ["So", "so"], "type": "x"}})))
  assert read_questions(path) == [
      _FIRST, _SECOND, Question("c", "When?", ("now",)), Question("d", "How?", ("so",)),
      Question("e", "How?", ("so", "thus")), Question("f", "How?", ("so",)),
      Question("g", "How?", ("so",)), Question("h", "How?", ("so", "So"))]


@pytest.mark.parametrize("text, answers", [
    ('{"question": "a?", "answer": 28}', ("28",)),
    ('{"question": "a?", "answer": [28, "x", -2.50, 1e3]}', ("28", "x", "-2.50", "1e3")),
    ('{"question": "a?", "answers": {"text": [7, 7]}}', ("7",)),
    ('[{"question": "a?", "answers": [1, {"text": 2.50}]}]', ("1", "2.50")),
    ('{"data": [{"paragraphs": [{"qas": [{"question": "a?", "answers": [0.0]}]}]}]}',
     ("0.0",))])
def test_a_number_is_an_answer_as_it_is_spelled(tmp_path, text, answers):
  (tmp_path / "q.json").write_text(text)
  assert [question.answers for question in read_questions(tmp_path / "q.json")] == [answers]


@pytest.mark.parametrize("text, told", [
    ("answer,query\nOna,Who?\n", True), ("Answer; Text\nOna;Who?\n", True),
    ('"Who is it, then?","Ona"\n', True), ("Well, who is it?\n", False)])
def test_a_table_is_said_to_be_one(tmp_path, text, told):
  (tmp_path / "q.csv").write_text(text)
  with pytest.raises(UserError, match="q.csv:1: not valid JSON .*; expected one object per "
                     'line, with question and answer, as {"question": ') as caught:
    read_questions(tmp_path / "q.csv")
  assert ("looks like CSV, a table" in str(caught.value)) == told


@pytest.mark.parametrize("command", ["init", "calibrate", "predict", "score", "compare"])
def test_the_help_of_commands_that_read_questions_so_says_it(capsys, command):
  assert realm("help", command) == 0
  assert "--questions: JSON lines, an array or CSV, with " in capsys.readouterr().out


@pytest.mark.parametrize("text, message", [
    ('[{"question": "a?", "answers": []}]', ": entry 1: field 'answer' holds nothing"),
    ('[{"question": "a?", "answers": ["b", "\\u200b"]}]', ": entry 1: field 'answer' holds"),
    ('[{"question": "a?", "answers": [1, true]}]', ": entry 1: field 'answer' is bool"),
    ('{"q": "a?", "a": "x"}', ":1: field 'question' is missing .found: 'q', 'a'.; expected"),
    ('[{"q": "a?", "a": "x"}]', ": entry 1: field 'question' is missing .found: 'q', 'a'."),
    ('[{"question": "a?"}]', ": entry 1: field 'answer' is missing"),
    ('[{"query": "a?", "answers": ["x"]}]', ": entry 1: field 'question' is missing .re"),
    ('[\n{"question": "a?", "answers": ["x"], "id": 1},\n'
     '{"question": "b?", "answers": ["x"], "id": 1}\n]',
     ": entry 2: field 'id': '1' is there already, in entry 1"),
    ('{"data": [{"title": "T"}]}', ":1: field 'question' is missing"),
    ('{"data": [3]}', ":1: field 'question'"), ("[3]", ":1: JSON list"),
    ('{"question": ', ":1: not valid JSON"), ("[\n{", ":1: not valid JSON"),
    ('{"question": "a?", "answers": {"x": 1}}', ":1: field 'answer' is dict"),
    ("[]", ":1: JSON list"), ("{}", ":1: field 'question' is missing")])
def test_what_is_of_no_shape_is_named(tmp_path, text, message):
  path = tmp_path / "q.json"
  path.write_text(text)
  with pytest.raises(UserError, match=f"q.json{message}"):
    read_questions(path)
