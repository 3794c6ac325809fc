"""Formulas of TeX in several rows, as one: a matrix is (1, 2; 3, 4), as MATLAB has it."""

import re

# Innermost first; `array` and `alignat` say in braces how their columns stand.
_ROWS = re.compile(r"\\begin\s*\{([a-zA-Z]+)\*?\}((?:\s*\{[^{}]*\})?)((?:(?!\\begin\b).)*?)"
                   r"\\end\s*\{\1\*?\}", re.DOTALL)
_WITH_COLUMNS = ("array", "alignat", "alignedat", "subarray")
_BRACKETS = {"pmatrix": ("(", ")"), "bmatrix": ("[", "]"), "Bmatrix": (r"\{", r"\}"),
             "vmatrix": ("|", "|"), "Vmatrix": ("‖", "‖"), "cases": (r"\{", ""),
             "matrix": ("", ""), "smallmatrix": ("", ""), "array": ("", ""),
             "rcases": ("", r"\}"), "subarray": ("", "")}
_END_OF_ROW = re.compile(r"\s*(?:\\\\(?:\s*\[[^\]]*\])?|\\cr(?![a-zA-Z]))")


def in_one_row(tex: str) -> str:
  """The same without rows: these are parted by semicolons, and cells by commas."""
  before = ""
  while tex != before:
    before, tex = tex, _ROWS.sub(_row, tex)
  return _END_OF_ROW.sub("; ", tex)


def _row(match: re.Match) -> str:
  name, columns, body = match[1], match[2], match[3]
  if name not in _WITH_COLUMNS:
    body = columns + body
  first, last = _BRACKETS.get(name, ("", ""))
  # What equations are aligned at is no cell.
  between = ", " if name in _BRACKETS else " "
  rows = (between.join(_cells(row)) for row in _END_OF_ROW.split(body))
  return f"{first}{'; '.join(filter(str.strip, rows))}{last}"


def _cells(row: str) -> list[str]:
  row = re.sub(r"\\(?:hline|nonumber|notag)(?![a-zA-Z])", "", row)
  return [cell.strip().rstrip(",;") for cell in re.split(r"(?<!\\)&", row)]
