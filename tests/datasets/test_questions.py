import gzip
import json

import pytest

from realm_tf.datasets.questions import Question, read_questions, write_questions
from realm_tf.errors import UserError

_QUESTIONS = [
    Question("q1", "Who is Zoë?", ("Zoë 😀", "she")),
    Question("q2", "How high?", (r"8,?848 m",), regex=True),
    Question("q3", "Where?", ("there",), gold_passage="document 7", source="nq")]


@pytest.mark.parametrize("name", ["questions.jsonl", "questions.jsonl.gz"])
def test_what_is_written_is_read_again(tmp_path, name):
  path = tmp_path / name
  write_questions(path, _QUESTIONS)
  assert read_questions(path) == _QUESTIONS
  first = path.read_bytes()
  write_questions(path, _QUESTIONS)
  assert path.read_bytes() == first
  if name.endswith(".gz"):
    assert first[:2] == b"\x1f\x8b" and first[4:8] == bytes(4)  # no time stamp


def test_orqa_layout(tmp_path):
  path = tmp_path / "nq.jsonl"
  path.write_text('{"question": "a b?", "answer": ["x", "y"]}\n\n'
                  '{"question": "c?", "answer": "z", "id": 7}\n')
  assert read_questions(path) == [
      Question("1", "a b?", ("x", "y")), Question("7", "c?", ("z",))]
  assert not any(question.regex for question in read_questions(path))
  assert [question.where for question in read_questions(path)] == [f"{path}:1", f"{path}:3"]


def test_where_a_question_comes_from(tmp_path):
  path = tmp_path / "q.jsonl"
  path.write_text("\n".join(json.dumps({"question": "a?", "answer": "x"} | more) for more in (
      {"gold_passage": 7, "source": " nq "}, {"gold_passage": None, "source": None}, {})))
  assert [(question.gold_passage, question.source) for question in read_questions(path)] == [
      ("7", "nq"), ("", ""), ("", "")]
  assert not any(question.gold_passage for question in read_questions(path, answered=False))


def _lines(path, answers, **more):
  path.write_text("".join(json.dumps({"question": f"q{i}?", "answer": [answer], **more})
                          + "\n" for i, answer in enumerate(answers)))
  return read_questions(path)


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_curated_trec_is_told_by_its_name(tmp_path, split):
  questions = _lines(tmp_path / f"CuratedTrec.resplit.{split}.jsonl", ["Paris", "(bad"])
  assert all(question.regex for question in questions)
  # Published code counts a malformed pattern as one that matches nothing.
  assert [question.answers for question in questions] == [("Paris",), ()]
  for other in ("NaturalQuestions", "WebQuestions"):
    questions = _lines(tmp_path / f"{other}.resplit.{split}.jsonl", ["Paris", "(bad"])
    assert not any(question.regex for question in questions)


_PATTERNS = [r"Andrew\s?Jackson|Old\s?Hickory", r"(Dr\. )?King", r"18\d\d", r"New\s?York",
             r"(?:U\.?S\.?)"]


def test_patterns_are_told_by_their_look_under_any_name(tmp_path):
  plain = [f"answer {i}" for i in range(20)]
  path = tmp_path / "held_out.jsonl"
  assert all(question.regex for question in _lines(path, _PATTERNS + plain))
  assert not any(question.regex for question in _lines(path, plain))
  assert not any(question.regex for question in _lines(path, plain + ["A | B", "What?"]))
  many = [f"answer {i}" for i in range(200)]
  assert not any(question.regex for question in _lines(path, _PATTERNS + many))
  assert not any(question.regex for question in _lines(path, _PATTERNS, regex=False))


_GOOD = b'{"question": "a?", "answer": ["x"]}\n'


@pytest.mark.parametrize("line, message", [
    (b'{"answer": ["x"]}', ":2: field 'question'"),
    (b'{"question": " ", "answer": ["x"]}', ":2: field 'question'"),
    (b'{"question": 3, "answer": ["x"]}', ":2: field 'question'"),
    (b'{"question": "a?"}', ":2: field 'answer'"),
    (b'{"question": "a?", "answer": []}', ":2: field 'answer'"),
    (b'{"question": "a?", "answer": [""]}', ":2: field 'answer'"),
    (b'{"question": "a?", "answer": [null]}', ":2: field 'answer'"),
    (b'{"question": "a?", "answer": {"x": 1}}', ":2: field 'answer'"),
    (b'{"question": "a?", "answer": true}', ":2: field 'answer' is bool"),
    (b'{"question": "a?", "answer": [1, false]}', ":2: field 'answer' is bool"),
    (b'{"question": "a?", "answer": NaN}', ":2: field 'answer' is float"),
    (b'{"question": "a?", "answer": 1e999}', ":2: field 'answer' is float"),
    (b'{"question": "a?", "answer": "\\ud800"}', ":2: field 'answer'"),
    (b'{"question": "a?", "answer": "(", "regex": true}', ":2: field 'answer'"),
    (b'{"question": "a?", "answer": "x", "regex": 1}', ":2: field 'regex'"),
    (b'{"question": "a?", "answer": "x", "id": [1]}', ":2: field 'id'"),
    (b'{"question": "a?", "answer": "x", "gold_passage": ["1"]}', ":2: field 'gold_passage'"),
    (b'{"question": "a?", "answer": "x", "gold_passage": ""}', ":2: field 'gold_passage'"),
    (b'{"question": "a?", "answer": "x", "source": {}}', ":2: field 'source'"),
    (b'{"question": "a?", "answer": "x", "id": 1}', ":2: field 'id'.*line 1"),
    (b'{"question": "\xff", "answer": "x"}', ":2: not UTF-8"),
    (b'{"question": ', ":2: not valid JSON"),
    (b'["a?", "x"]', ":2: JSON list"),
])
def test_bad_line_is_named(tmp_path, line, message):
  path = tmp_path / "bad.jsonl"
  path.write_bytes(_GOOD + line + b"\n")
  with pytest.raises(UserError, match=f"bad.jsonl{message}") as caught:
    read_questions(path)
  assert "\n" not in str(caught.value)


def test_a_file_of_malformed_patterns_alone_has_no_usable_question(tmp_path):
  with pytest.raises(UserError, match="CuratedTrec.test.jsonl: no usable question in it"):
    _lines(tmp_path / "CuratedTrec.test.jsonl", ["(bad", "[bad"])


def test_bad_files_are_named(tmp_path):
  empty = tmp_path / "empty.jsonl"
  empty.write_text("\n \n")
  with pytest.raises(UserError, match="empty.jsonl: no questions"):
    read_questions(empty)
  with pytest.raises(UserError, match="none.jsonl: cannot be read .No such file"):
    read_questions(tmp_path / "none.jsonl")
  cut = tmp_path / "cut.jsonl.gz"
  cut.write_bytes(gzip.compress(_GOOD * 100)[:-12])
  with pytest.raises(UserError, match="cut.jsonl.gz: damaged gzip"):
    read_questions(cut)
  with pytest.raises(UserError, match="cannot be read"):
    read_questions(tmp_path)


@pytest.mark.parametrize("name", ["questions.jsonl", "questions.jsonl.gz"])
def test_failed_write_leaves_the_old_file(tmp_path, name):
  path = tmp_path / name
  write_questions(path, _QUESTIONS)

  def broken():
    yield Question("new", "new?", ("new",))
    raise RuntimeError("stop")

  with pytest.raises(RuntimeError):
    write_questions(path, broken())
  assert read_questions(path) == _QUESTIONS
  assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_lines_are_plain_json(tmp_path):
  path = tmp_path / "questions.jsonl"
  write_questions(path, _QUESTIONS[:1])
  assert json.loads(path.read_text(encoding="utf-8")) == {
      "id": "q1", "question": "Who is Zoë?", "answer": ["Zoë 😀", "she"]}
