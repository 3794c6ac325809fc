"""Markdown as a document: its text without the marks.

The title is that of the front matter (YAML or TOML), or the first heading.
"""

import re
import tomllib
from typing import Any

import yaml
from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, paragraph
from markdown_it.rules_core import StateCore

from realm_tf.corpus.readers import html
from realm_tf.corpus.readers.text_file import decode, refuse_other_kinds, without_title

_FRONT_MATTER = re.compile(
    r"\s*(---|\+\+\+)[ \t]*\n(.*?\n)??(?:\1|\.\.\.)[ \t]*(?:\n|$)", re.DOTALL)
_DEEPEST = 100  # a list in a list is two levels; what is deeper is lost
_NAME = re.compile(r"\s*\{:?\s*[#.][^{}]*\}\s*$")
_FOOTNOTE = re.compile(r"\[\^[^\s\]]+\]:")


def read_markdown(data: bytes) -> tuple[str, str]:
  """The title, which may be empty, and the text.

  Raises:
    Unreadable: not text in UTF-8.
  """
  if not data.lstrip().startswith(b"<"):  # it may begin with HTML
    refuse_other_kinds(data)
  text = decode(data)
  match = _FRONT_MATTER.match(text)
  fields = _fields(match.group(1), match.group(2) or "") if match else None
  if match and fields is not None:
    text = text[match.end():]
  parser = MarkdownIt("commonmark", {"maxNesting": _DEEPEST})
  parser.enable(["table", "strikethrough"])
  parser.block.ruler.before("reference", "footnote", _footnote,
                            {"alt": ["paragraph", "reference"]})
  parser.core.ruler.push("heading_names", _without_names)
  heading, body = html.from_text(parser.render(text))
  stated = (fields or {}).get("title")
  title = " ".join(str(stated).split()) if isinstance(stated, str | int | float) else heading
  return title, without_title(title, body)


def _footnote(state: StateBlock, first: int, end: int, silent: bool) -> bool:
  """A rule of the parser: a footnote begins a paragraph.

  CommonMark, which knows none, takes one of a single word for the address of a link.
  """
  if not _FOOTNOTE.match(state.src, state.bMarks[first] + state.tShift[first]):
    return False
  return silent or paragraph(state, first, end, silent)


def _without_names(state: StateCore) -> None:
  """A rule of the parser: {#name .class} behind a heading is for links and styles."""
  for before, token in zip(state.tokens, state.tokens[1:]):
    for last in (token.children or [])[-1:]:
      if before.type == "heading_open" and last.type == "text":
        last.content = _NAME.sub("", last.content)


def _fields(mark: str, text: str) -> dict[str, Any] | None:
  """The fields of front matter; None where it is text between two rules."""
  try:
    fields = tomllib.loads(text) if mark == "+++" else yaml.safe_load(text)
  except (yaml.YAMLError, tomllib.TOMLDecodeError, ValueError):
    return {} if re.match(r"\w[\w -]*[:=]", text) else None  # meant as such
  if isinstance(fields, dict):
    return fields
  return None if text.strip() else {}
