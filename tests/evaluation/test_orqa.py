"""Splits and scores as ORQA's scripts make them, against a plain rewriting of those."""

import json
import re
import string
import unicodedata

import numpy as np
import pytest

from realm_tf.datasets.questions import read_questions
from realm_tf.evaluation import orqa
from tests.command import realm

# By `tf.strings.to_hash_bucket_fast(question, 100000) % 10` in TensorFlow 2.20: FarmHash's
# Fingerprint64, the same on every machine.
HELD_OUT = [12, 14, 17, 22, 27, 39]


def _write(path, rows):
  path.write_text("".join(json.dumps(row) + "\n" for row in rows))
  return path


def _plain_normal(text):
  characters = [c for c in unicodedata.normalize("NFD", text).lower()
                if c not in set(string.punctuation)]
  words = re.split(r"\s+", re.sub(r"\b(a|an|the)\b", " ", "".join(characters)))
  return " ".join(word for word in words if word)


def _plain_right(answers, prediction, regex):
  if not regex:
    return any(_plain_normal(answer) == _plain_normal(prediction) for answer in answers)
  for answer in answers:
    try:
      if re.match(answer, prediction, re.I | re.U | re.M):
        return True
    except re.error:
      pass
  return False


_ANSWERS = [["The Beatles"], ["U.S.", "United States"], [r"New\s?York|NYC"], ["1984"],
            [r"(Dr\.? )?King"], ["Zoë"], ["(bad"], [r"^first$"], ["a"], [r"\d+ m"]]
_PREDICTIONS = ["beatles!", "us", "NEWYORK city", "1984 A.D.", "dr King", "zoe\u0308", "(bad",
                "second\nfirst", "", "12 M high", "the", "united  states"]


@pytest.mark.parametrize("name, regex", [("CuratedTrec", True), ("WebQuestions", False)])
def test_scores_are_those_of_the_published_script(tmp_path, name, regex):
  rows = [{"question": f"{i} {j}?", "answer": answers}
          for i, answers in enumerate(_ANSWERS) for j in range(len(_PREDICTIONS))]
  path = _write(tmp_path / f"{name}.resplit.test.jsonl", rows)
  predictions = {row["question"]: _PREDICTIONS[i % len(_PREDICTIONS)]
                 for i, row in enumerate(rows) if i % 11}
  scores = orqa.score_predictions(read_questions(path), predictions)
  right = [row["question"] in predictions
           and _plain_right(row["answer"], predictions[row["question"]], regex)
           for row in rows]
  assert scores == {"missing_predictions": len(rows) - len(predictions),
                    "num_correct": sum(right), "num_total": len(rows),
                    "accuracy": sum(right) / len(rows)}
  assert 3 < sum(right) < len(rows) / 2


def test_same_question_twice_counts_once_with_its_last_answer(tmp_path):
  path = _write(tmp_path / "q.jsonl", [{"question": "q?", "answer": ["x"]},
                                       {"question": "q?", "answer": ["y"]}])
  scores = orqa.score_predictions(read_questions(path), {"q?": "y", "other?": "x"})
  assert (scores["num_correct"], scores["num_total"]) == (1, 1)


def test_held_out_is_bucket_0():
  questions = [f"question {i}?" for i in range(40)]
  assert np.flatnonzero(orqa.is_held_out(questions)).tolist() == HELD_OUT
  assert orqa.is_held_out([]) == []


def test_resplit(tmp_path, capsys):
  lines = [json.dumps({"question": f"question {i}?", "answer": ["é"], "more": i},
                      ensure_ascii=bool(i % 2)) for i in range(40)]
  (tmp_path / "train.jsonl").write_text("\n".join(lines), encoding="utf-8")
  assert realm("resplit", f"--questions={tmp_path / 'train.jsonl'}", "--name=WebQuestions",
               f"--output={tmp_path}") == 0
  parts = {part: (tmp_path / f"WebQuestions.resplit.{part}.jsonl").read_text(
      encoding="utf-8").splitlines() for part in ("train", "dev")}
  assert parts["dev"] == [lines[i] for i in HELD_OUT]
  assert parts["train"] == [line for i, line in enumerate(lines) if i not in HELD_OUT]
  assert f"{len(HELD_OUT)}" in capsys.readouterr().out


def test_a_name_is_no_path(tmp_path, capsys):
  (tmp_path / "sub").mkdir()
  _write(tmp_path / "train.jsonl", [{"question": "q?", "answer": ["x"]}])
  assert realm("resplit", f"--questions={tmp_path / 'train.jsonl'}", "--name=../sub/x",
               f"--output={tmp_path / 'sub'}") == 2
  assert "--name=../sub/x: a part of the files' names" in capsys.readouterr().err
  assert not list((tmp_path / "sub").iterdir())


def test_score_command(tmp_path, capsys):
  questions = _write(tmp_path / "CuratedTrec.resplit.test.jsonl",
                     [{"question": "q?", "answer": [r"New\s?York"]},
                      {"question": "r?", "answer": ["x"]}])
  predictions = _write(tmp_path / "p.jsonl", [{"question": "q?", "prediction": "new york"}])
  assert realm("score", f"--questions={questions}", f"--predictions={predictions}",
               "--json") == 0
  scores = json.loads(capsys.readouterr().out)
  assert scores.items() >= {
      "missing_predictions": 1, "num_correct": 1, "num_total": 2, "accuracy": 0.5,
      "exact_match": 0.5, "questions": 2}.items()
  assert not any(name.startswith("recall") for name in scores)  # nothing says what was found
  _write(predictions, [{"question": "q?"}])
  assert realm("score", f"--questions={questions}", f"--predictions={predictions}") == 2
  assert "p.jsonl:1: field 'prediction' is missing" in capsys.readouterr().err
  _write(predictions, [{"question": "s?", "prediction": "x"}])
  assert realm("score", f"--questions={questions}", f"--predictions={predictions}") == 2
  assert "none of its predictions is of a question" in capsys.readouterr().err
