"""What Markdown of GitHub and Pandoc has and CommonMark has not: footnotes and formulas."""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, paragraph
from markdown_it.rules_inline import StateInline

from realm_tf.corpus.wikitext.formula import read_formula

_NOTE = re.compile(r"\[\^([^\s\]]+)\]:[ \t]*")
_MARK = re.compile(r"\[\^([^\s\]]+)\]")
# As GitHub and Pandoc tell one from sums of money: no space within, and no word beside it.
_FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<!\w)\$(?![\s$])([^$\n]*?[^\s$\\])\$(?!\w)",
                      re.DOTALL)
_TEX = re.compile(r"[\\^_{}=]|^[a-zA-Z]$")  # all else may be two sums: $5 (US$)
_MARKS = re.compile(r"[\[`<!]")


def add_to(parser: MarkdownIt) -> None:
  parser.block.ruler.before("reference", "footnote", _footnote,
                            {"alt": ["paragraph", "reference"]})
  parser.inline.ruler.before("link", "footnote_mark", _footnote_mark)
  parser.inline.ruler.before("escape", "formula", _formula)


def _footnote(state: StateBlock, first: int, end: int, silent: bool) -> bool:
  """A footnote begins a paragraph, which is its text without the mark before it.

  CommonMark, which knows none, takes one of a single word for the address of a link.
  """
  start = state.bMarks[first] + state.tShift[first]
  match = _NOTE.match(state.src, start, state.eMarks[first])
  if match is None:
    return False
  if silent:
    return True
  state.env.setdefault("footnotes", set()).add(match[1])
  state.bMarks[first], state.tShift[first] = match.end(), 0
  return paragraph(state, first, end, silent)


def _footnote_mark(state: StateInline, silent: bool) -> bool:
  """The mark of a footnote, in the text, says nothing without its number's place."""
  match = _MARK.match(state.src, state.pos)
  if match is None or match[1] not in state.env.get("footnotes", ()):
    return False
  state.pos = match.end()
  return True


def _formula(state: StateInline, silent: bool) -> bool:
  """$10^6$ is 10⁶; what a line of text cannot hold stays as it is written.

  In it a star and an underscore are no marks: $2*3*4$ is not 234.
  """
  match = _FORMULA.match(state.src, state.pos)
  if match is None:
    return False
  tex = (match[1] or match[2]).strip()
  is_tex = match[1] or _TEX.search(tex)
  if not is_tex and _MARKS.search(tex):
    return False
  if not silent:
    state.push("text", "", 0).content = (is_tex and read_formula(tex)) or match[0]
  state.pos = match.end()
  return True
