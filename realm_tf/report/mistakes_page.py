"""The page of mistakes: by kind, each with what was read and what holds the answer.

The filter is a set of radio buttons and CSS: the page runs no script and loads nothing.
"""

import collections
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from realm_tf.evaluation.mistake_kinds import MISTAKE_KINDS
from realm_tf.report.page import escape, file_link, marked, page
from realm_tf.text.patterns import compile_pattern

_SHOWN = 50  # of each kind

_STYLE = """
.filter{position:absolute;opacity:0}
.filter+label{display:inline-block;border:1px solid var(--grid);border-radius:16px;
padding:4px 14px;margin:4px 6px 4px 0;cursor:pointer}
.filter:checked+label{background:var(--series-0);color:var(--page)}
.filter:focus-visible+label{outline:2px solid var(--series-1)}
.tag{border:1px solid var(--grid);border-radius:10px;padding:1px 8px;font-size:12px;
color:var(--soft)}
""" + "".join(f"#only-{kind}:checked~.answers article:not(.{kind}){{display:none}}\n"
              f"#only-{kind}:checked~p.{kind}{{display:block}}\n" for kind in MISTAKE_KINDS
              ) + "p.meaning{display:none}\n"


def mistakes_page(title: str, mistakes: Sequence[Mapping[str, Any]], questions: int,
                  lines: str) -> str:
  """The whole document.

  Args:
    title: of the page.
    mistakes: as `run.mistakes.find_mistakes` gives them.
    questions: how many were asked.
    lines: name of the file beside the page that holds all mistakes.
  """
  counts = collections.Counter(mistake["kind"] for mistake in mistakes)
  sampled = list(_sample(mistakes))
  part = ("all of them" if len(sampled) == len(mistakes)
          else f"{len(sampled)} of them, at most {_SHOWN} of each kind,")
  present = {name: kind for name, kind in MISTAKE_KINDS.items() if counts[name]}
  buttons = "".join(_button(name, kind.title, counts[name]) for name, kind in present.items())
  meanings = "".join(f'<p class="note meaning {name}">{escape(kind.meaning)}</p>'
                     for name, kind in present.items())
  return page(title, [
      f'<header><h1>{escape(title)}</h1><p class="note">{len(mistakes):,} of {questions:,} '
      f"held-out questions were not answered by one of the listed answers; {part} are "
      f"here.</p>{file_link(lines, 'all of them as JSON lines')}</header>",
      '<section><input class="filter" type="radio" name="only" id="only-all" checked>'
      f'<label for="only-all">all {len(mistakes):,}</label>', buttons, meanings,
      f'<div class="answers">{"".join(map(_article, sampled))}</div></section>'], _STYLE)


def _sample(mistakes: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
  """At most `_SHOWN` of each kind, spread evenly over them."""
  for kind in MISTAKE_KINDS:
    own = [mistake for mistake in mistakes if mistake["kind"] == kind]
    step = max(1.0, len(own) / _SHOWN)
    yield from (own[int(i * step)] for i in range(min(len(own), _SHOWN)))


def _button(kind: str, title: str, count: int) -> str:
  return (f'<input class="filter" type="radio" name="only" id="only-{kind}">'
          f'<label for="only-{kind}">{escape(title)} {count:,}</label>')


def _article(mistake: Mapping[str, Any]) -> str:
  kind = MISTAKE_KINDS[mistake["kind"]].title
  near = f": {mistake['reason']}" if mistake["reason"] else ""
  origin = " · ".join(filter(None, (mistake["id"], mistake.get("source", ""))))
  passage = marked(mistake["passage"], [(mistake["start"], mistake["end"])])
  return (
      f'<article class="qa {mistake["kind"]}"><p class="sentence">'
      f'{escape(mistake["question"])}</p>'
      f'<p><b class="wrong">✗ {escape(mistake["prediction"])}</b> '
      f'<span class="note">expected: {escape(" / ".join(mistake["expected"]))}</span></p>'
      f'<p><span class="tag">{escape(kind + near)}</span> <span class="note">'
      f"{escape(origin)}</span></p>"
      f'<details><summary>read: {escape(mistake["title"])}</summary>'
      f'<p class="text">{passage}</p></details>{_right(mistake)}</article>')


def _right(mistake: Mapping[str, Any]) -> str:
  right = mistake["right"]
  if right is None:
    return ""
  where = f"number {right['rank'] + 1}" if right["rank"] >= 0 else "not retrieved"
  text = marked(right["text"], places(right["text"], mistake["expected"],
                                      mistake.get("regex", False)))
  return (f'<details><summary>holds the answer ({where}): {escape(right["title"])}</summary>'
          f'<p class="text">{text}</p></details>')


def places(text: str, answers: Sequence[str], regex: bool) -> list[tuple[int, int]]:
  """Characters [start, end) where answers stand, as they are written, in their order.

  Where they overlap the longer one counts. What is the same word in another spelling
  (an accent, another dash) is not marked.
  """
  if regex:
    spans = {place for answer in answers
             for place in compile_pattern(answer).whole_words(text)}
  else:
    spans = {match.span() for answer in answers if answer.strip()
             for match in re.finditer(_written(answer), text, re.IGNORECASE)}
  chosen: list[tuple[int, int]] = []
  for start, end in sorted(spans, key=lambda place: (place[0], -place[1])):
    if not chosen or start >= chosen[-1][1]:
      chosen.append((start, end))
  return chosen


def _written(answer: str) -> str:
  return r"(?<!\w)" + r"\s+".join(map(re.escape, answer.split())) + r"(?!\w)"
