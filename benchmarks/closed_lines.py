"""What it is worth that rows and items end with a full stop: answers about tables and lists.

    python benchmarks/closed_lines.py --model=runs/demo --workdir=runs/closed_lines

Six tables, each a document, are written as our readers write tables, and lists
(`readers.closed_lines`), and as they did before, without the full stop; a trained model
(`realm init --model`) answers the same 97 questions over all. One JSON object is printed:
figures in percent, and the differences with the 95 % interval of a paired bootstrap over the
questions.
"""

import json
import pathlib
from collections.abc import Iterator, Mapping

from absl import app, flags
from machine import processor

from realm_tf.corpus.readers.closed_lines import closed
from realm_tf.datasets.questions import Question
from realm_tf.evaluation import compare, figures
from realm_tf.run import search
from realm_tf.run.carried import begin_from
from realm_tf.run.folder import Run
from realm_tf.run.scoring import scored

_MODEL = flags.DEFINE_string("model", None, "A run whose reader is trained.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Where runs are made.", required=True)
_FIGURES = ("recall@1", "exact_match", "f1")
# By title: the header, and rows, of which the first cell names what the others are of.
_TABLES = {
    "Who does what": """Name, Role, Extension
        Henrike Oduya, Managing director, 101
        Tomas Brellin, Head of engineering, 102
        Siobhan Vance, Head of sales, 110
        Rafael Ndiaye, Workshop manager, 120
        Mirela Kostova, Payroll and personnel, 130
        Anders Quill, Data protection officer, 140
        Joyce Tanaka, Warehouse manager, 150""",
    "Price list of bicycles": """Model, Price, Weight, Gears
        Pathfinder One, 899 euros, 14.2 kg, 8
        Volt 3, 3299 euros, 22.8 kg, 11
        Heron, 2150 euros, 12.4 kg, 24
        Sprint Junior, 449 euros, 9.9 kg, 6
        Cargo Max, 4750 euros, 38.5 kg, 5""",
    "Emergency numbers": """Place, Emergency number, Meeting point
        Factory, 0555 731 911, Car park of the Lindenhof
        Warehouse, 0555 731 933, Gate 4
        Shop, 0555 731 955, Market square""",
    "Holidays": """Holiday, Date, Office
        Founders Day, 12 March, closed
        Harbour Fair, 4 July, open until noon
        Stocktaking, 29 January, closed
        Winter Break, 24 December, closed""",
    "Carriers": """Carrier, Goods, Delivery time
        Swiftbarrow, Bicycles, 3 days
        Pellmark Post, Spare parts, 48 hours
        Nordline Freight, Pallets, one week""",
    "Reactors": """Reactor, Country, Built, Output
        Avel, France, 1978, 900 MW
        Borin, Sweden, 1984, 1050 MW
        Cadiz Sur, Spain, 1991, 640 MW
        Delm, Belgium, 1969, 390 MW"""}
# By title and column: what asks for a row by its cell, besides "What is the ... of ...?".
_ASKED = {("Who does what", 1): "Who is the {}?",
          ("Price list of bicycles", 1): "Which model costs {}?",
          ("Price list of bicycles", 2): "Which model weighs {}?",
          ("Holidays", 1): "Which holiday is on {}?",
          ("Carriers", 1): "Which carrier delivers {}?",
          ("Reactors", 1): "Which reactor is in {}?",
          ("Reactors", 2): "Which reactor was built in {}?",
          ("Reactors", 3): "Which reactor has an output of {}?"}


def _tables() -> Iterator[tuple[str, list[str], list[list[str]]]]:
  for title, text in _TABLES.items():
    header, *rows = ([cell.strip() for cell in line.split(",")] for line in text.splitlines())
    yield title, header, rows


def questions() -> Iterator[Question]:
  for title, header, rows in _tables():
    for row in rows:
      for column, name in list(enumerate(header))[1:]:
        asked = [(f"What is the {name.lower()} of {row[0]}?", row[column])]
        if form := _ASKED.get((title, column)):
          asked.append((form.format(row[column]), row[0]))
        for question, answer in asked:
          yield Question(question, question, (answer,))


def documents(layout: str, stops: bool) -> Iterator[dict[str, str]]:
  """As a `table`, a `list`, or `fields`: two tables below headings of their rows, two as
  records that begin with the name, and of two each row a document."""
  for number, (title, header, rows) in enumerate(_tables()):
    if layout == "table":
      yield _document(title, [[" | ".join(row) for row in (header, *rows)]], stops)
    elif layout == "list":
      yield _document(title, [[f"{row[0]}: {', '.join(row[1:])}" for row in rows]], stops)
    elif number % 3 == 0:
      yield _document(title, [_fields(header, row) for row in rows], stops)
    elif number % 3 == 1:
      yield _document(title, [[row[0], *_fields(header[1:], row[1:])] for row in rows], stops)
    else:
      for row in rows:
        yield _document(row[0], [_fields(header[1:], row[1:])], stops)


def _fields(keys: list[str], values: list[str]) -> list[str]:
  return [f"{key}: {value}" for key, value in zip(keys, values)]


def _document(title: str, parts: list[list[str]], stops: bool) -> dict[str, str]:
  return {"id": title, "title": title, "text": "\n\n".join(
      "\n".join(map(closed, lines) if stops else lines) for lines in parts)}


def _answered(asked: list[Question], layout: str, stops: bool) -> figures.Columns:
  folder = pathlib.Path(_WORKDIR.value) / f"{layout}_{'closed' if stops else 'open'}"
  if not folder.exists():
    source = folder.with_suffix(".jsonl")
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text("".join(json.dumps(document) + "\n"
                              for document in documents(layout, stops)))
    begin_from(_MODEL.value, folder, str(source))
  run = Run.existing(folder)
  search.make_corpus_if_missing(run)
  _, records = scored(run, run.answerer(run.newest_stage()), asked, reads=True)
  return figures.per_question(asked, records, (1,), None)


def shown(changes: Mapping[str, compare.Difference]) -> dict[str, dict[str, float]]:
  """In percent: what a figure was, is, and the interval of the difference."""
  return {name: {key: round(100 * value, 1) for key, value in {
      "before": change.a, "now": change.b, "difference": change.difference,
      "low": change.low, "high": change.high}.items()}
          for name, change in changes.items() if name in _FIGURES}


def main(_) -> None:
  if not _MODEL.value:
    raise app.UsageError("--model: name a run whose reader is trained")
  asked = list(questions())
  by_layout = {layout: shown(compare.compare(*(
      _answered(asked, layout, stops) for stops in (False, True))))
      for layout in ("table", "list")}
  print(json.dumps({"model": pathlib.Path(_MODEL.value).name, "machine": processor(),
                    "questions": len(asked), **by_layout}, indent=1))


if __name__ == "__main__":
  app.run(main)
