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


@pytest.mark.parametrize("name, text, found", [
    ("q.csv", "Query,Reply\nWho?,Ona\n", "'Query', 'Reply'"),
    ("q.tsv", "\ufeffQuery\tReply\nWho?\tOna\n", "'Query', 'Reply'"),
    ("q.tsv.gz", "Who?\tOna\n", "'Who?', 'Ona'"),
    ("q.jsonl", "answer,query\nOna,Who?\n", "'answer', 'query'"),
    ("q.csv", "sep=;\nAnswer; Text\nOna;Who?\n", "'Answer', 'Text'"),
    ("q.csv", "Question,Reply\nWho?,Ona\n", "'Question', 'Reply'"),
    ("q", '"Who is it, then?","Ona"\n', "'Who is it, then?', 'Ona'")])
def test_a_table_without_questions_is_told_what_its_header_needs(tmp_path, name, text, found):
  data = text.encode()
  (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
  line = 2 if text.startswith("sep") else 1
  with pytest.raises(UserError) as caught:
    read_questions(tmp_path / name)
  assert str(caught.value) == (f"{tmp_path}/{name}:{line}: a header with question and answer "
                               f"is needed (found: {found})")


def test_where_no_answers_are_wanted_none_are_needed(tmp_path):
  (tmp_path / "q.csv").write_text("Question,Reply\nWho?,Ona\n")
  assert [row.question for row in read_questions(tmp_path / "q.csv", False)] == ["Who?"]
  (tmp_path / "q.csv").write_text("Query,Reply\nWho?,Ona\n")
  with pytest.raises(UserError, match=r"q.csv:1: a header with question is needed .found: "):
    read_questions(tmp_path / "q.csv", False)


def test_a_line_that_is_no_table_is_told_to_be_no_json(tmp_path):
  (tmp_path / "q.jsonl").write_text("Well, who is it?\n")
  with pytest.raises(UserError, match=r"q.jsonl:1: not valid JSON .*column 1.; expected one"):
    read_questions(tmp_path / "q.jsonl")


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
