"""Questions in tables, as rows with `question` and `answer`.

    CSV   a header with `question`, and `answer` or `answers`; between any of CsvTable's signs
    DPR   no header: a question, a tab, and a list of answers as Python writes it

A cell that is a list, in JSON or as Python or NumPy writes it, is several answers, as a tuple
or set of texts is; so is SQuAD's object of texts. Any other is one.
"""

import ast
import collections
import csv
import io
import itertools
import json
import pathlib
import tokenize
from collections.abc import Iterable, Iterator
from typing import Any

from realm_tf.corpus.csv_table import DELIMITERS, CsvTable, names_of, spelled_names
from realm_tf.counted import counted
from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.jsonl import Row, SpelledFloat, is_of_table, quoted
from realm_tf.lines import plain_suffix

_SUFFIXES = (".csv", ".tsv")  # of files that are tables by their names
_ANSWERS = ("answer", "answers")
_MOST_NAMED = 5  # columns, where one is missing
_MOST_LINES = 50  # of one question that a quote opens
_OPEN = "unexpected end of data"  # csv's word for a quote that goes on in the next line
_TRUTH = {"true": True, "false": False}
_QUOTES = ("'", '"')


def is_table(line: str) -> bool:
  """Whether a file that begins so is one of these."""
  line = line.lstrip("\ufeff")
  return not line.lstrip().startswith(("{", "[")) and (
      _is_of_dpr(line) or any(_is_wanted(names_of(line, sign)) for sign in DELIMITERS))


def check_header(path: PathLike, number: int, line: str, answered: bool) -> None:
  """Refuses the first line of a table that names no column of questions, or of answers.

  Raises:
    UserError: says which columns there are.
  """
  line = line.lstrip("\ufeff")
  if (line.lstrip()[:1] in ("", "{", "[") or _is_of_dpr(line) or not (
      is_table(line) or is_of_table(line) or plain_suffix(pathlib.Path(path)) in _SUFFIXES)):
    return
  spelled = max((spelled_names(line, sign) for sign in DELIMITERS),
                key=lambda names: ("question" in _folded(names), len(names)))
  names = _folded(spelled)
  if "question" in names and (not answered or not names.isdisjoint(_ANSWERS)):
    return
  found = ", ".join(quoted(name, 20) for name in spelled[:_MOST_NAMED] if name)
  more = ", ..." if len(spelled) > _MOST_NAMED else ""
  raise UserError(f"{path}:{number}: a header with question{' and answer' * answered} is "
                  f"needed{f' (found: {found}{more})' if found else ''}")


def _folded(names: Iterable[str]) -> set[str]:
  return {name.casefold() for name in names}


def read_closed_lines(lines: Iterable[tuple[int, str]], path: PathLike, first: str,
                    expected: str) -> Iterator[Row]:
  """The rows of such a file, of which `first` is the first line.

  Raises:
    UserError: names file and line.
  """
  if _is_of_dpr(first):
    yield from _rows_of_dpr(lines, path)
    return
  table = CsvTable(lines, path, f"a header and rows with {expected}", _is_wanted)
  if twice := [name for name in ("id", "question", "answer", "answers")
               if table.names.count(name) > 1]:
    raise UserError(f"{table.where}: column '{twice[0]}' is there twice; expected it once")
  for number, fields in table.rows():
    # An empty cell says nothing, but there is to be a question in each row.
    values: dict[str, Any] = {name: value for name, value in fields.items()
                              if value.strip() or name == "question"}
    for name in ("answer", "answers"):
      if name in values:
        values[name] = _answers(values[name])
    if "regex" in values:
      values["regex"] = _TRUTH.get(values["regex"].strip().casefold(), values["regex"])
    yield Row(f"{path}:{number}", number, f"{number}", values)


def _is_wanted(names: list[str]) -> bool:
  return "question" in names


def _values(line: str) -> list[str]:
  try:
    return next(csv.reader([line.lstrip("\ufeff").rstrip("\r\n")], delimiter="\t"), [])
  except csv.Error:  # of more characters than a question has
    return []


def first_record(line: str, lines: Iterator[tuple[int, str]]) -> tuple[
    str, list[tuple[int, str]]]:
  """A line, or the record of DPR's that it begins, and the lines that were read for that."""
  record, taken = line, list[tuple[int, str]]()
  while (problem := _problem(record)) == _OPEN and len(taken) < _MOST_LINES and (
      following := next(lines, None)) is not None:
    taken.append(following)
    record += following[1]
  return (line if problem or not _is_of_dpr(record) else record), taken


def _whole(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
  """The lines; those of one record, whose question goes on in the next line, as one."""
  ahead = collections.deque[tuple[int, str]]()

  def following() -> Iterator[tuple[int, str]]:
    while line := ahead.popleft() if ahead else next(lines, None):
      yield line

  for number, line in following():
    record, taken = first_record(line, following())
    yield number, record
    if record == line:  # a quote that nothing ends: each line is one by itself
      ahead.extendleft(reversed(taken))


def _problem(record: str) -> str:
  """What keeps it from being values, each quoted from its first character to its last."""
  if '"' not in record:
    return ""
  lines = record.lstrip("\ufeff").splitlines(keepends=True)
  try:
    return "" if len(list(csv.reader(lines, delimiter="\t", strict=True))) == 1 else "several"
  except csv.Error as error:
    return str(error)


def _is_of_dpr(line: str) -> bool:
  values = _values(line)
  return len(values) == 2 and isinstance(_answers(values[1]), list)


def _rows_of_dpr(lines: Iterable[tuple[int, str]], path: PathLike) -> Iterator[Row]:
  for number, line in _whole(iter(lines)):
    if not line.strip():
      continue
    values = _values(line)
    if len(values) != 2:
      raise UserError(f"{path}:{number}: {counted(len(values), 'value')}; expected a "
                      "question, a tab, and a list of answers, as DPR writes them")
    yield Row(f"{path}:{number}", number, line,
              {"question": values[0], "answer": _answers(values[1])})


def _answers(cell: str) -> Any:
  """A list, or SQuAD's object of one, where the cell is such; else its text."""
  text = cell.strip()
  if (text[:1], text[-1:]) not in (("[", "]"), ("{", "}"), ("(", ")")):
    return cell
  for parse in (lambda: json.loads(text, parse_float=SpelledFloat), lambda: _literal(text)):
    try:
      value = parse()
    except (ValueError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError):
      continue
    if isinstance(value, list) or (isinstance(value, dict) and "text" in value):
      return value
  return cell


def _literal(text: str) -> Any:
  """A value as Python writes it, and NumPy, of which pandas makes cells.

  That has no commas between texts, which Python takes for parts of one: ['Ona' 'Ann'].
  """
  tokens = [token.string for token in tokenize.generate_tokens(io.StringIO(text).readline)
            if token.string.strip()]
  tokens = [token + "," * (token[-1] in _QUOTES and following[:1] in _QUOTES)
            for token, following in itertools.zip_longest(tokens, tokens[1:], fillvalue="]")]
  return ast.literal_eval(_Bare().visit(ast.parse(" ".join(tokens), mode="eval")))


class _Bare(ast.NodeTransformer):
  """Takes away what NumPy writes around values: array(['Ona'], dtype=object)."""

  def visit_Call(self, node: ast.Call) -> ast.AST:
    return self.visit(node.args[0]) if node.args else node

  def visit_Set(self, node: ast.Set) -> ast.AST:
    return self._as_list(node)

  def visit_Tuple(self, node: ast.Tuple) -> ast.AST:
    return self._as_list(node)

  def _as_list(self, node: ast.Set | ast.Tuple) -> ast.AST:
    """The same in its order, which a set has lost; (1, 2) may be a place, and one answer."""
    are_texts = all(isinstance(value, ast.Constant) and isinstance(value.value, str)
                    for value in node.elts)
    return ast.List(node.elts, ast.Load()) if are_texts and node.elts else node
