"""What questions made of tables (`cloze.table_share`) teach a reader about tables.

    python benchmarks/table_questions.py --data=FOLDER --workdir=runs/table_questions

FOLDER holds wiki26k's corpus.jsonl.gz, of which passages are drawn. They and the six tables
of `closed_lines.py` are the documents of two runs by the recipe for own documents, without a
question of people: one learns from sentences alone, one from cells of the tables too. Both
answer the 97 questions about the tables. One JSON object is printed: figures in percent, and
the differences with the 95 % interval of a paired bootstrap over the questions. With
--layout=fields the tables are lines of "key: value".
"""

import json

import closed_lines
from absl import app, flags
from among_passages import answered, described

from realm_tf.evaluation import compare

_LAYOUT = flags.DEFINE_enum("layout", "table", ["table", "fields"], "Of the six tables.")
_STOPS = flags.DEFINE_bool("stops", True, "A full stop after each line, as readers have it.")


def main(_) -> None:
  questions = list(closed_lines.questions())
  before, now = (
      answered(name, closed_lines.documents(_LAYOUT.value, _STOPS.value), questions,
               {"cloze.table_share": share})
      for name, share in (("sentences", 0.0), ("cells", 1 / 3)))
  print(json.dumps({
      **described(), "layout": _LAYOUT.value, "stops": _STOPS.value,
      "questions": len(questions),
      **closed_lines.shown(compare.compare(before, now))}, indent=1))


if __name__ == "__main__":
  app.run(main)
