"""The report of a run as one HTML page that needs nothing but itself.

What comes from a corpus, a question or a config is escaped; the page has no scripts, and a
content security policy that would let none run.
"""

import html
import re
import shlex
import urllib.parse
from typing import Any, Iterable, Mapping, Sequence

from realm_tf.diagnosis import summary
from realm_tf.report.charts import figure, line_chart, number, percent
from realm_tf.report.style import STYLE
from realm_tf.report.tables import Stage, columns


def page(title: str, parts: Iterable[str], style: str = "") -> str:
  """The document; `parts` are HTML already, `style` is CSS besides that of all pages."""
  return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src \
'unsafe-inline'">
<title>{escape(title)}</title>
<style>{STYLE}{style}</style></head>
<body><main>
{"".join(parts)}
</main></body></html>
"""


def escape(value: Any) -> str:
  # A path may have bytes that are no UTF-8, which Python keeps in surrogates.
  return html.escape(str(value).encode("utf-8", "backslashreplace").decode())


def marked(text: str, places: Iterable[tuple[int, int]]) -> str:
  """The text with its characters [start, end) marked; places ascend and do not overlap."""
  parts, last = [], 0
  for start, end in places:
    parts += [escape(text[last:start]), f"<mark>{escape(text[start:end])}</mark>"]
    last = end
  return "".join([*parts, escape(text[last:])])


def section(title: str, *parts: str, note: str = "") -> str:
  """A heading and what stands under it; "" if that is nothing."""
  content = "".join(parts)
  if not content:
    return ""
  lead = f'<p class="note">{escape(note)}</p>' if note else ""
  return f"<section><h2>{escape(title)}</h2>{lead}{content}</section>\n"


def file_link(name: str, text: str) -> str:
  """A link to a file beside the page."""
  return f'<p><a href="{escape(urllib.parse.quote(name))}">{escape(text)}</a></p>'


def header(name: str, facts: Sequence[tuple[str, Any]]) -> str:
  """The run's name and a line of facts."""
  items = "".join(f"<div><dt>{escape(key)}</dt><dd>{escape(value)}</dd></div>"
                  for key, value in facts)
  return f'<header><h1>{escape(name)}</h1><dl class="facts">{items}</dl></header>\n'


def stages(rows: Sequence[Stage]) -> str:
  """What each stage was worth: shares as numbers over bars; below, what is wrong."""
  columns_shown = columns(rows)
  head = "".join(f"<th>{escape(column.label)}</th>" for column in columns_shown)
  lines = []
  for row in rows:
    cells = "".join(_share_cell(row, column.name) for column in columns_shown)
    minutes = "" if row.minutes is None else f"{row.minutes:.1f}"
    sign = ' <b class="wrong">!</b>' if row.warnings else ""
    lines.append(f"<tr><th>{escape(row.name)}{sign}</th>{cells}<td>{minutes}</td></tr>")
  warnings = wrong([warning for row in rows for warning in row.warnings])
  return _scrolled(f"<table><thead><tr><th></th>{head}<th>minutes</th></tr></thead>"
                   f"<tbody>{''.join(lines)}</tbody></table>") + warnings if rows else ""


def wrong(warnings: Sequence[str]) -> str:
  """A list of warnings; "" if there are none."""
  items = "".join(f'<li class="wrong">{escape(warning)}</li>' for warning in warnings)
  return f"<ul>{items}</ul>" if items else ""


def sources(figures: Mapping[str, Mapping[str, Any]]) -> str:
  """The figures of the questions of each source."""
  rows = [Stage(source, figures_of) for source, figures_of in figures.items()]
  columns_shown = columns(rows)
  head = "".join(f"<th>{escape(column.label)}</th>" for column in columns_shown)
  lines = "".join(
      f'<tr><th>{escape(row.name)}</th><td>{row.figures["questions"]}</td>'
      + "".join(_share_cell(row, column.name) for column in columns_shown) + "</tr>"
      for row in rows)
  return _scrolled(f"<table><thead><tr><th></th><th>questions</th>{head}</tr></thead>"
                   f"<tbody>{lines}</tbody></table>") if rows else ""


def _share_cell(row: Stage, name: str) -> str:
  value = row.figure(name)
  if value is None:
    return '<td class="none">–</td>'
  low, high = (row.figure(f"{name}_{end}") for end in ("low", "high"))
  interval = ("" if low is None or high is None else
              f"<small>{low * 100:.1f} – {high * 100:.1f}</small>")
  return f"<td>{value * 100:.1f} %{interval}{_bar(value, 0)}</td>"


def _bar(share: float, color: int) -> str:
  width = max(0.0, min(1.0, share)) * 100
  return f'<span class="bar"><i class="b{color}" style="width:{width:.1f}%"></i></span>'


def _scrolled(table: str) -> str:
  return f'<div class="scroll">{table}</div>'


def diagnosis(measured: Mapping[str, Any]) -> str:
  """Facts, charts over K and the table of a diagnosis."""
  facts = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td>"
                  f'<td class="text">{escape(meaning)}</td></tr>'
                  for name, value, meaning in summary.facts(measured))
  charts = ""
  for metric, title in summary.PANELS:
    lines = summary.by_candidates(measured, metric)
    counts = sorted({k for points in lines.values() for k, _ in points})
    charts += figure(title, "", line_chart(
        lines, form=number if "cosine" in metric else percent, span=(0, 1), x_ticks=counts,
        log=True, x_label="candidates K, the null document counted"))
  head = "".join(f'<th title="{escape(meaning)}">{escape(label)}</th>'
                 for _, label, meaning in summary.COLUMNS)
  rows = "".join(
      f"<tr><th>{escape(row['candidates'])}</th><td>{row['k']}</td>"
      + "".join(f"<td>{row[name]:.3f}</td>" for name, _, _ in summary.COLUMNS)
      + "</tr>" for row in measured["rows"])
  legend = "".join(f"<li><b>{escape(label)}</b> {escape(meaning)}</li>"
                   for _, label, meaning in summary.COLUMNS)
  return (f"<h3>{escape(measured['stage'])}</h3>"
          + _scrolled(f"<table><tbody>{facts}</tbody></table>")
          + f'<div class="charts">{charts}</div>'
          + "<details><summary>All figures</summary>" + _scrolled(
              f"<table><thead><tr><th>candidates</th><th>K</th>{head}</tr></thead>"
              f"<tbody>{rows}</tbody></table>") + f"<ul>{legend}</ul></details>")


def before_and_after(examples: Sequence[Mapping[str, Any]]) -> str:
  """What was retrieved for the same masked sentences, at the first show and the last."""
  if not examples:
    return ""
  samples = [examples[0], *examples[-1:]] if len(examples) > 1 else list(examples)
  parts = []
  for together in zip(*(sample["sentences"] for sample in samples)):
    first = together[0]
    columns = "".join(
        f"<div><h4>step {sample['step']:,}</h4>{_candidates(example)}</div>"
        for sample, example in zip(samples, together)
        if example["sentence"] == first["sentence"])
    sentence = re.sub(r"\[MASK\]( \[MASK\])*", '<span class="mask">?</span>',
                      escape(first["sentence"]))
    parts.append(f'<article><p class="sentence">{sentence}</p><p class="answer">masked: '
                 f'<b>{escape(first["answer"])}</b></p><div class="pair">{columns}</div>'
                 "</article>")
  return "".join(parts)


def _candidates(example: Mapping[str, Any]) -> str:
  rows = ['<li class="head"><div class="p"><span>p(z|x)</span><span>p(z|x,y)</span></div>'
          "</li>"]
  for block in example["candidates"]:
    is_null = not (block["title"] or block["text"])
    title = "<i>null document</i>" if is_null else escape(block["title"])
    text = _with_marks(block["text"], example["answer"])
    rows.append(
        f'<li><div class="p"><span>{block["prior"]:.2f}{_bar(block["prior"], 0)}</span>'
        f'<span>{block["posterior"]:.2f}{_bar(block["posterior"], 1)}</span></div>'
        f"<div><b>{title}</b>{text}</div></li>")
  return f'<ol class="candidates">{"".join(rows)}</ol>'


def _with_marks(text: str, answer: str) -> str:
  """The text with the masked words marked where they stand in it."""
  if not text:
    return ""
  pieces = re.split(rf"(\b{re.escape(answer)}\b)", text, flags=re.IGNORECASE)
  marked = (f"<mark>{escape(piece)}</mark>" if i % 2 else escape(piece)
            for i, piece in enumerate(pieces))
  return f'<span class="text">{"".join(marked)}</span>'


def answers(records: Sequence[Mapping[str, Any]]) -> str:
  """Questions with answer and passage; `right` is True, False, or None: not known."""
  parts = []
  for record in records:
    passage = marked(record["passage"], [(record["start"], record["end"])])
    expected = "" if record["right"] is None else (
        f"expected: {escape(' / '.join(record['answers'][:3]))}")
    sign = {True: ("right", "✓"), False: ("wrong", "✗"), None: ("", "")}[record["right"]]
    parts.append(
        f'<article class="qa"><p class="sentence">{escape(record["question"])}</p>'
        f'<p><b class="{sign[0]}">{sign[1]} {escape(record["prediction"])}</b> '
        f'<span class="note">{expected}</span></p><details><summary>{escape(record["title"])}'
        f'</summary><p class="text">{passage}</p></details></article>')
  return f'<div class="answers">{"".join(parts)}</div>' if parts else ""


def settings(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
  """The config, flat; what differs from the defaults first, the rest folded away."""
  def rows(names: Iterable[str]) -> str:
    return "".join(f"<tr><th>{escape(name)}</th><td class=text>{escape(values[name])}</td>"
                   "</tr>" for name in names)

  changed = [name for name in values if values[name] != defaults.get(name)]
  unchanged = [name for name in values if name not in changed]
  return (_scrolled(f'<table class="settings"><tbody>{rows(changed)}</tbody></table>')
          + f"<details><summary>{len(unchanged)} settings at their defaults</summary>"
          + _scrolled(f'<table class="settings"><tbody>{rows(unchanged)}</tbody></table>')
          + "</details>")


def commands(records: Sequence[Mapping[str, Any]]) -> str:
  """Who wrote into the folder: each command that was started, and with what."""
  parts = []
  for record in records:
    versions = ", ".join(f"{name} {value}" for name, value in record["versions"].items())
    parts.append(
        f'<li><details><summary><time>{escape(record["started"])}</time> '
        f'<code>{escape(shlex.join(record["command"]))}</code></summary><p class="text">'
        f'{escape(source_in_words(record["source"]))}<br>{escape(versions)}<br>'
        f'{escape(record["processors"])} × {escape(record["processor"])}, '
        f'{escape(record["memory_gb"])} GB, {escape(", ".join(record["devices"]))}<br>'
        f'{escape(record["system"])}<br>'
        f'{escape(", ".join(f"{k}={v}" for k, v in record["environment"].items()))}</p>'
        "</details></li>")
  return f'<ul class="commands">{"".join(parts)}</ul>' if parts else ""


def source_in_words(source: Mapping[str, Any]) -> str:
  """A commit in words."""
  if not source["git"]:
    return "no git repository"
  return f"git {source['git'][:12]}{', modified' if source['modified'] else ''}"
