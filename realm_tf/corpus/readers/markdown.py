"""Markdown as a document: its text without the marks.

The title is that of the front matter (YAML, TOML or JSON), or the first heading.
"""

import json
import re
import tomllib
from collections.abc import Callable
from typing import Any

import yaml
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore

from realm_tf.corpus.readers import html, markdown_rules
from realm_tf.corpus.readers.text_file import decode, refuse_other_kinds, without_title
from realm_tf.text.field_lines import FIELD

_FRONT_MATTER = re.compile(
    r"\s*(---|\+\+\+|;;;)[ \t]*(yaml|toml|json)?[ \t]*\n(.*?\n)??(?:\1|\.\.\.)[ \t]*(?:\n|$)",
    re.DOTALL)
_PARSERS: dict[str, Callable[[str], Any]] = {
    "yaml": yaml.safe_load, "toml": tomllib.loads, "json": json.loads}
_KINDS = {"---": "yaml", "+++": "toml", ";;;": "json"}
_TITLE = re.compile(r"^[\"']?title[\"']?[ \t]*[:=][ \t]*+(?![\[{|>])(.*\S)", re.MULTILINE)
_ALERT = re.compile(r"\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]")
_DEEPEST = 100  # a list in a list is two levels; what is deeper is lost
_FIELD = re.compile(FIELD)
_NAME = re.compile(r"\s*\{:?\s*[#.][^{}]*\}\s*$")


def read_markdown(data: bytes) -> tuple[str, str]:
  """The title, which may be empty, and the text.

  Raises:
    Unreadable: not text in UTF-8.
  """
  if not data.lstrip().startswith(b"<"):  # it may begin with HTML
    refuse_other_kinds(data)
  text = decode(data)
  fields, text = _front_matter(text)
  parser = MarkdownIt("commonmark", {"maxNesting": _DEEPEST})
  parser.enable(["table", "strikethrough"])
  markdown_rules.add_to(parser)
  parser.core.ruler.push("heading_names", _without_names)
  parser.core.ruler.push("alerts", _named_alerts)
  parser.core.ruler.push("fields", _parted_fields)
  heading, body = html.from_text(parser.render(text))
  stated = fields.get("title")
  title = " ".join(str(stated).split()) if isinstance(stated, str | int | float) else heading
  return title, without_title(title, body)


def _without_names(state: StateCore) -> None:
  """A rule of the parser: {#name .class} behind a heading is for links and styles."""
  for before, token in zip(state.tokens, state.tokens[1:]):
    for last in (token.children or [])[-1:]:
      if before.type == "heading_open" and last.type == "text":
        last.content = _NAME.sub("", last.content)


def _named_alerts(state: StateCore) -> None:
  """A rule of the parser: GitHub shows a quote that begins with [!NOTE] as a note."""
  for quote, _, token in zip(state.tokens, state.tokens[1:], state.tokens[2:]):
    parts = token.children or []
    if quote.type != "blockquote_open" or not parts:
      continue
    if alert := _ALERT.fullmatch(parts[0].content):
      parts[0].content = alert[1].capitalize()
      for line_end in parts[1:2]:
        line_end.type, line_end.tag = "hardbreak", "br"


def _parted_fields(state: StateCore) -> None:
  """A rule of the parser: a line of "Key: value" is one, as who writes it sees it."""
  for token in state.tokens:
    parts = token.children or []
    ends = [i for i, part in enumerate(parts) if part.type in ("softbreak", "hardbreak")]
    for i, following in zip(ends, [*ends[1:], len(parts)]):
      if _FIELD.match("".join(part.content for part in parts[i + 1:following])):
        parts[i].type, parts[i].tag = "hardbreak", "br"


def _front_matter(text: str) -> tuple[dict[str, Any], str]:
  """The fields before a text, and the text without them."""
  if text.lstrip().startswith("{"):
    return _object(text)
  match = _FRONT_MATTER.match(text)
  fields = _fields(match[2] or _KINDS[match[1]], match[3] or "") if match else None
  return ({}, text) if match is None or fields is None else (fields, text[match.end():])


def _object(text: str) -> tuple[dict[str, Any], str]:
  """The same where an object of JSON stands there without any rules, as Hugo has it."""
  start = len(text) - len(text.lstrip())
  try:
    fields, end = json.JSONDecoder().raw_decode(text, start)
  except (ValueError, RecursionError):
    return {}, text
  line, _, rest = text[end:].partition("\n")
  return ({}, text) if line.strip() or not rest.strip() or not fields else (fields, rest)


def _fields(kind: str, text: str) -> dict[str, Any] | None:
  """The fields of front matter; None where it is text between two rules."""
  try:
    fields = _PARSERS[kind](text)
  except (yaml.YAMLError, ValueError, RecursionError):  # which those of TOML and JSON are
    if not re.match(r"\w[\w -]*[:=]", text):
      return None
    # Meant as such: a title with a colon in it is the mistake that is made most.
    title = _TITLE.search(text)
    return {"title": title[1].strip("\"'")} if title else {}
  if isinstance(fields, dict):
    return fields
  return None if text.strip() else {}
