"""Questions in CSV and in DPR's files of questions."""

import csv

import pytest

from realm_tf.datasets.questions import Question, read_questions
from realm_tf.errors import UserError


def _read(path, text, answered=True):
  path.write_text(text, newline="")
  return read_questions(path, answered)


@pytest.mark.parametrize("text", [
    'question,answer\n"Who, then?",Ona\nWhere?,there\n',
    "\ufeffQuestion;Answer;note\r\n\"Who, then?\";Ona;x\r\nWhere?;there;\r\n;;\r\n",
    "answer\tquestion\nOna\tWho, then?\nthere\tWhere?\n",
    'question,answers\n"Who, then?","[""Ona""]"\nWhere?,"[\'there\', \'there\']"\n',
    "Who, then?\t['Ona']\nWhere?\t[\"there\"]\n",
    "sep=;\r\nquestion;answer\r\nWho, then?;Ona\r\nWhere?;there\r\n",
    '"Who, then?"\t"[""Ona""]"\n\nWhere?\t[\'there\']\n'])
@pytest.mark.parametrize("name", ["q.csv", "q.tsv", "q.jsonl"])
def test_tables_of_questions(tmp_path, text, name):
  read = _read(tmp_path / name, text)
  assert [(row.question, row.answers) for row in read] == [
      ("Who, then?", ("Ona",)), ("Where?", ("there",))]
  assert len({row.id for row in read}) == 2


@pytest.mark.parametrize("cell, answers", [
    ("['Ona' \"Ann's\"\n 'a, b']", ("Ona", "Ann's", "a, b")),
    ("['\\\\d' '[a]']", ("\\d", "[a]")),
    ("{'text': array(['Ona', 'Ann'], dtype=object), 'answer_start': array([1, 7])}",
     ("Ona", "Ann")),
    ("('Ona', 'Ann')", ("Ona", "Ann")), ("{'Ona', 'Ann', 'Bo'}", ("Ona", "Ann", "Bo")),
    ("(1, 2)", ("(1, 2)",)), ("(Ona)", ("(Ona)",)), ("('Ona')", ("('Ona')",)),
    ('{"text": ["Ona"], "answer_start": [1]}', ("Ona",)), ("[np.str_('Ona')]", ("Ona",)),
    ("['Ona'", ("['Ona'",)), ("[Ona]", ("[Ona]",)), ("{x}", ("{x}",)),
    ("{'a': 1}", ("{'a': 1}",)), ("[1 2]", ("[1 2]",)), ("[f()]", ("[f()]",))])
def test_cells_as_pandas_writes_them(tmp_path, cell, answers):
  path = tmp_path / "q.csv"
  with open(path, "w", newline="") as file:
    csv.writer(file).writerows([["question", "answers"], ["Who?", cell]])
  assert read_questions(path)[0].answers == answers


@pytest.mark.parametrize("text, questions", [
    ('\ufeff"Who ""is""\r\n\r\nit?"\t"[\'Ona\']"\r\n\r\nx\t["a"]\r\n',
     [("1", 'Who "is"\r\n\r\nit?', "Ona"), ("5", "x", "a")]),
    ('x\t["a"]\n"y\nz"\t["b"]\n', [("1", "x", "a"), ("2", "y\nz", "b")]),
    # A quote that nothing ends takes no other line with it.
    ('x\t["a"]\ny\t"[\'b\']\n"z" w\t["c"]\n',
     [("1", "x", "a"), ("2", "y", "b"), ("3", "z w", "c")])])
def test_a_question_of_dpr_over_several_lines(tmp_path, text, questions):
  assert [(row.id, row.question, *row.answers) for row in _read(tmp_path / "q.tsv", text)
          ] == questions


def test_a_quote_that_nothing_ends_is_named(tmp_path):
  with pytest.raises(UserError, match=r"q.tsv:2: 1 value"):
    _read(tmp_path / "q.tsv", 'x\t["a"]\n"y\t["b"]\n"z\t["c"]\nw\t["d"]\n')


def test_all_columns(tmp_path):
  text = ("id,question,answer,regex,gold_passage,source\n"
          "a,When?,\"['19\\\\d\\\\d', 1800]\","
          "TRUE,p 1,nq\nb,How\nmany?,2.50,false,,\n").replace("How\nmany?", '"How\nmany?"')
  assert _read(tmp_path / "q.csv", text) == [
      Question("a", "When?", ("19\\d\\d", "1800"), True, "p 1", "nq"),
      Question("b", "How\nmany?", ("2.50",))]


def test_questions_alone(tmp_path):
  assert [row.question for row in _read(tmp_path / "q.csv", "id,question\n1,Who?\n", False)
          ] == ["Who?"]
  assert [row.question for row in _read(tmp_path / "q.csv", "question\nWho?\n", False)
          ] == ["Who?"]


@pytest.mark.parametrize("text, message", [
    ("question,answer\nWho?\n", ":2: 1 value; expected 2, as the header has"),
    ("question,answer\nWho?,\n", ":2: field 'answer' is missing"),
    ("question,answer\n,Ona\n", ":2: field 'question' is empty or blank"),
    ("question,text\nWho?,Ona\n", ":1: a header with question and answer is needed"),
    ("id,question,answer\n1,Who?,a\n1,Why?,b\n", ":3: field 'id': '1' is there already, in "
     "line 2"),
    ("question,question,answer\na,b,c\n", ":1: column 'question' is there twice"),
    ('question,answer\n"Who?,Ona\n', ":2: not CSV"),
    ("question,answer,regex\nWho?,Ona,maybe\n", ":2: field 'regex' is str"),
    ("Who?\t['Ona']\nWhy?\n", ":2: 1 value; expected a question, a tab, and a list"),
    ("question,answer\n", ": no questions in it"), ("x" * 200_000, ":1: a header with q")])
def test_what_is_wrong_is_one_line(tmp_path, text, message):
  with pytest.raises(UserError, match=f"q.csv{message}"):
    _read(tmp_path / "q.csv", text)
