"""What it is worth that a table which is cut goes on below its header.

    python benchmarks/long_tables.py --data=FOLDER --workdir=runs/long_tables

A staff list of 72 rows, longer than a block, stands among passages of wiki26k (FOLDER holds
its corpus.jsonl.gz): once as it is, and once in parts of which only the first has the header,
as blocks were before. Both are the documents of a run by the recipe for own documents,
without a question of people, and both answer the same questions. One JSON object is printed:
figures in percent, and the differences with the 95 % interval of a paired bootstrap over the
questions.
"""

import json
import random

import closed_lines
from absl import app, flags
from among_passages import SEED, answered, described

from realm_tf.datasets.questions import Question
from realm_tf.evaluation import compare

_QUESTIONS = flags.DEFINE_integer("questions", 120, "Of the table.")
_TITLE = "Staff of the harbour office"
_HEADER = ("Name", "Department", "Room", "Extension", "Started")
_ASKED = ("Which department is {} in?", "What is the room of {}?",
          "What is the extension of {}?", "In what year did {} start?")
_GIVEN = ("Anna", "Boris", "Clara", "David", "Elena", "Frank", "Greta", "Hassan", "Irene",
          "Jonas", "Karin", "Louis", "Marta", "Nils", "Olga", "Peter", "Rosa", "Stefan",
          "Teresa", "Viktor")
_FAMILY = ("Adler", "Brandt", "Costa", "Dumont", "Eriksen", "Fischer", "Garcia", "Hansen",
           "Ivanov", "Jensen", "Keller", "Lindberg", "Moreau", "Novak", "Olsen", "Petrov",
           "Rossi", "Santos", "Turner", "Weber")
_DEPARTMENTS = ("Pilots", "Customs", "Cranes", "Dredging", "Finance", "Personnel", "Security",
                "Tugs", "Warehouses", "Legal affairs", "Environment", "Passenger terminal")


def _rows(rng: random.Random) -> list[tuple[str, ...]]:
  names = rng.sample([f"{one} {two}" for one in _GIVEN for two in _FAMILY], 72)
  return [(name, rng.choice(_DEPARTMENTS), f"{rng.choice('ABCD')} {rng.randint(100, 399)}",
           str(rng.randint(2000, 4999)), str(rng.randint(1988, 2024))) for name in names]


def _text(rows: list[tuple[str, ...]]) -> str:
  return "\n".join(f"{' | '.join(row)}." for row in rows)


def _documents(rows: list[tuple[str, ...]], in_parts: bool) -> list[dict[str, str]]:
  """Parts of as many rows as a block takes, or the whole."""
  size = 15 if in_parts else len(rows)
  parts = [rows[i:i + size] for i in range(0, len(rows), size)]
  parts[0] = [_HEADER, *parts[0]]
  return [{"id": f"staff {i}", "title": _TITLE, "text": _text(part)}
          for i, part in enumerate(parts)]


def main(_) -> None:
  rng = random.Random(SEED.value)
  rows = _rows(rng)
  questions = [Question(question, question, (row[column],)) for row, column in rng.sample(
      [(row, column) for row in rows for column in range(1, len(_HEADER))], _QUESTIONS.value)
      for question in [_ASKED[column - 1].format(row[0])]]
  before, now = (answered(name, _documents(rows, in_parts), questions, {})
                 for name, in_parts in (("parts", True), ("whole", False)))
  print(json.dumps({
      **described(), "rows": len(rows), "questions": len(questions),
      **closed_lines.shown(compare.compare(before, now))}, indent=1))


if __name__ == "__main__":
  app.run(main)
