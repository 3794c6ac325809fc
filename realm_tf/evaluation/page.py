"""The report of a run as one HTML page that needs nothing but itself.

What comes from a corpus, a question or a config is escaped; the page has no scripts, and a
content security policy that would let none run.
"""

import html
import re
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from realm_tf.evaluation import diagnosis_report
from realm_tf.evaluation.charts import line_chart, number, percent
from realm_tf.evaluation.report import Curve, Stage


class Metric(NamedTuple):
  """How a metric of the curves is called; several of one chart differ behind an '@'."""
  title: str
  meaning: str
  share: bool = False  # between 0 and 1


# In the order of the page, by group; others come last, under their own names.
_GROUPS: dict[str, dict[str, Metric]] = {
    "Learning": {
        "loss": Metric("Loss", "nats per sentence or word piece"),
        "retriever_loss": Metric("Retriever loss", "of the blocks that hold the answer"),
        "reader_loss": Metric("Reader loss", "of the correct spans"),
        "in_batch_accuracy": Metric("In-batch accuracy", "own block among the batch's", True),
        "support_utility": Metric("Supporting block", "nats gained by reading it"),
        "exact_span": Metric("Correct span", "best span is a right one", True),
        "beam_has_answer": Metric("Recall of the beam", "it holds the answer", True),
        "read_has_answer": Metric("Recall of read blocks", "they hold the answer", True),
        "mask_log_prob_null": Metric("Without any block", "log p of a masked word piece")},
    "Retrieval": {
        "retrieval_utility": Metric("Retrieval utility", "nats over the null document"),
        "best_retrieval_utility": Metric("Best retrieval utility", "of the K candidates"),
        "null_probability": Metric("Null document", "its p(z|x)", True),
        "prior_entropy": Metric("Entropy of p(z|x)", "over the K candidates, nats"),
        "full_prior_entropy": Metric("Entropy, whole corpus", "of p(z|x), nats")},
    "Gradient": {
        "retriever_gradient_norm": Metric("Retriever gradient", "norm before clipping"),
        "encoder_gradient_norm": Metric("Encoder gradient", "norm before clipping, by part"),
        "gradient_norm": Metric("Gradient", "norm before clipping"),
        "full_gradient_norm": Metric("Full-sum gradient", "norm, of the retriever"),
        "gradient_cosine": Metric("Truncated against full", "cosine of the gradients", True),
        "softmax_mass": Metric("Softmax mass", "p(z|x) that the candidates hold", True),
        "posterior_mass": Metric("Posterior mass", "p(z|x,y) that they hold", True)},
    "Index": {
        "index_churn": Metric("Churn", "top K changed by the last swap", True),
        "stale_index_recall": Metric("Recall before the swap", "old index of the new top K",
                                     True),
        "index_rows_per_second": Metric("Embedding rate", "blocks per second"),
        "index_staleness_seconds": Metric("Staleness in seconds", "age of its weights"),
        "index_seconds_waited": Metric("Waited for the index", "seconds in all")}}
_OWN_CHART = ("index_staleness", "index_step", "index_swaps")


def page(title: str, parts: Iterable[str]) -> str:
  """The document; `parts` are HTML already."""
  return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src \
'unsafe-inline'">
<title>{escape(title)}</title>
<style>{_STYLE}</style></head>
<body><main>
{"".join(parts)}
</main></body></html>
"""


def escape(value: Any) -> str:
  return html.escape(str(value))


def section(title: str, *parts: str, note: str = "") -> str:
  """A heading and what stands under it; "" if that is nothing."""
  content = "".join(parts)
  if not content:
    return ""
  lead = f'<p class="note">{escape(note)}</p>' if note else ""
  return f"<section><h2>{escape(title)}</h2>{lead}{content}</section>\n"


def header(name: str, facts: Sequence[tuple[str, Any]]) -> str:
  """The run's name and a line of facts."""
  items = "".join(f"<div><dt>{escape(key)}</dt><dd>{escape(value)}</dd></div>"
                  for key, value in facts)
  return f'<header><h1>{escape(name)}</h1><dl class="facts">{items}</dl></header>\n'


def stages(rows: Sequence[Stage]) -> str:
  """What each stage was worth: shares as numbers over bars."""
  columns = (("recall@5", "recall_at_5"), ("recall@20", "recall_at_20"),
             ("masked words alone", "masked_words_alone"), ("with blocks", "masked_words"),
             ("exact match", "exact_match"))
  there = [(label, field) for label, field in columns
           if any(getattr(row, field) is not None for row in rows)]
  head = "".join(f"<th>{escape(label)}</th>" for label, _ in there)
  lines = []
  for row in rows:
    cells = "".join(_share_cell(getattr(row, field)) for _, field in there)
    minutes = "" if row.minutes is None else f"{row.minutes:.1f}"
    lines.append(f"<tr><th>{escape(row.name)}</th>{cells}<td>{minutes}</td></tr>")
  return _scrolled(f"<table><thead><tr><th></th>{head}<th>minutes</th></tr></thead>"
                   f"<tbody>{''.join(lines)}</tbody></table>") if rows else ""


def _share_cell(value: float | None) -> str:
  if value is None:
    return '<td class="none">–</td>'
  return f"<td>{value * 100:.1f} %{_bar(value, 0)}</td>"


def _bar(share: float, color: int) -> str:
  width = max(0.0, min(1.0, share)) * 100
  return f'<span class="bar"><i class="b{color}" style="width:{width:.1f}%"></i></span>'


def _scrolled(table: str) -> str:
  return f'<div class="scroll">{table}</div>'


def curves(stage: str, curve: Curve) -> str:
  """Small charts of all metrics of a stage, group by group."""
  series = _series(curve)
  parts = []
  for group, metrics in [*_GROUPS.items(), ("Others", _others(series))]:
    charts = "".join(_chart(metric, {name: series[name] for name in series
                                     if name.partition("@")[0] == key})
                     for key, metric in metrics.items())
    if charts:
      parts.append(f'<h4>{group}</h4><div class="charts">{charts}</div>')
  return f"<h3>{escape(stage)}</h3>{''.join(parts)}" if parts else ""


def _series(curve: Curve) -> dict[str, list[tuple[float, float]]]:
  found: dict[str, list[tuple[float, float]]] = {}
  for step, values in curve:
    for name, value in values.items():
      found.setdefault(name, []).append((step, value))
  return found


def _others(series: Mapping[str, Any]) -> dict[str, Metric]:
  known = {name for metrics in _GROUPS.values() for name in metrics} | {*_OWN_CHART}
  return {key: Metric(key.replace("_", " "), "") for key in dict.fromkeys(
      name.partition("@")[0] for name in sorted(series)) if key not in known}


def _chart(metric: Metric, series: Mapping[str, list[tuple[float, float]]]) -> str:
  if not series:
    return ""
  form = percent if metric.share else number
  lines = {name.partition("@")[2] or "all": points for name, points in series.items()}
  drawn = line_chart(lines, form=form, span=(0, 1) if metric.share else None)
  if not drawn:
    return ""
  last = form(next(iter(series.values()))[-1][1]) if len(series) == 1 else ""
  return figure(metric.title, metric.meaning, drawn, last)


def figure(title: str, meaning: str, drawn: str, last: str = "", wide: bool = False) -> str:
  """A chart under its title and the last value."""
  return (f'<figure{" class=wide" if wide else ""}><figcaption><b>{escape(title)}</b>'
          f"<span>{escape(meaning)}</span><output>{escape(last)}</output></figcaption>"
          f"{drawn}</figure>")


def staleness(curve: Curve, max_staleness: int) -> str:
  """The index's age over the steps, with its swaps as ticks on the axis."""
  series = _series(curve)
  if "index_staleness" not in series:
    return ""
  steps = series.get("index_step", [])
  swaps = [x for (_, before), (x, now) in zip(steps, steps[1:]) if now > before]
  drawn = line_chart({"age": series["index_staleness"]}, span=(0, 0), marks=swaps,
                     limit=max_staleness, wide=True)
  times = "no swap" if not swaps else f"{len(swaps)} swap{'s' * (len(swaps) > 1)}"
  return figure(
      "Steps since the weights that made the index",
      f"{times}, the ticks on the axis; the law allows {max_staleness}", drawn, wide=True)


def diagnosis(found: Mapping[str, Any]) -> str:
  """Facts, charts over K and the table of a diagnosis."""
  facts = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td>"
                  f'<td class="text">{escape(meaning)}</td></tr>'
                  for name, value, meaning in diagnosis_report.facts(found))
  charts = ""
  for metric, title in diagnosis_report.PANELS:
    lines = diagnosis_report.by_candidates(found, metric)
    counts = sorted({k for points in lines.values() for k, _ in points})
    charts += figure(title, "", line_chart(
        lines, form=percent, span=(0, 1), x_ticks=counts, log=True,
        x_label="candidates K"))
  head = "".join(f'<th title="{escape(meaning)}">{escape(label)}</th>'
                 for _, label, meaning in diagnosis_report.COLUMNS)
  rows = "".join(
      f"<tr><th>{escape(one['candidates'])}</th><td>{one['k']}</td>"
      + "".join(f"<td>{one[name]:.3f}</td>" for name, _, _ in diagnosis_report.COLUMNS)
      + "</tr>" for one in found["rows"])
  legend = "".join(f"<li><b>{escape(label)}</b> {escape(meaning)}</li>"
                   for _, label, meaning in diagnosis_report.COLUMNS)
  return (f"<h3>{escape(found['stage'])}</h3>"
          + _scrolled(f"<table><tbody>{facts}</tbody></table>")
          + f'<div class="charts">{charts}</div>'
          + "<details><summary>All figures</summary>" + _scrolled(
              f"<table><thead><tr><th>candidates</th><th>K</th>{head}</tr></thead>"
              f"<tbody>{rows}</tbody></table>") + f"<ul>{legend}</ul></details>")


def before_and_after(examples: Sequence[Mapping[str, Any]]) -> str:
  """What was retrieved for the same masked sentences, at the first show and the last."""
  if not examples:
    return ""
  shown = [examples[0], *examples[-1:]] if len(examples) > 1 else list(examples)
  parts = []
  for together in zip(*(one["sentences"] for one in shown)):
    first = together[0]
    columns = "".join(
        f"<div><h4>step {one['step']:,}</h4>{_candidates(example['candidates'])}</div>"
        for one, example in zip(shown, together) if example["sentence"] == first["sentence"])
    sentence = re.sub(r"\[MASK\]( \[MASK\])*", '<span class="mask">?</span>',
                      escape(first["sentence"]))
    parts.append(f'<article><p class="sentence">{sentence}</p><p class="answer">masked: '
                 f'<b>{escape(first["answer"])}</b></p><div class="pair">{columns}</div>'
                 "</article>")
  return "".join(parts)


def _candidates(candidates: Sequence[Mapping[str, Any]]) -> str:
  rows = []
  for one in candidates:
    title = escape(one["title"]) if one["title"] or one["text"] else "<i>null document</i>"
    text = f'<span class="text">{escape(one["text"])}</span>' if one["text"] else ""
    rows.append(
        f'<li><div class="p"><span>{one["prior"]:.2f}{_bar(one["prior"], 0)}</span>'
        f'<span>{one["posterior"]:.2f}{_bar(one["posterior"], 1)}</span></div>'
        f"<div><b>{title}</b>{text}</div></li>")
  return f'<ol class="candidates">{"".join(rows)}</ol>'


def answers(records: Sequence[Mapping[str, Any]]) -> str:
  """Questions with answer and passage; `right` is True, False, or None: not known."""
  parts = []
  for record in records:
    start, end = record["start"], record["end"]
    text = record["passage"]
    passage = (f"{escape(text[:start])}<mark>{escape(text[start:end])}</mark>"
               f"{escape(text[end:])}")
    wanted = "" if record["right"] is None else (
        f"expected: {escape(' / '.join(record['answers'][:3]))}")
    sign = {True: ("right", "✓"), False: ("wrong", "✗"), None: ("", "")}[record["right"]]
    parts.append(
        f'<article class="qa"><p class="sentence">{escape(record["question"])}</p>'
        f'<p><b class="{sign[0]}">{sign[1]} {escape(record["prediction"])}</b> '
        f'<span class="note">{wanted}</span></p><details><summary>{escape(record["title"])}'
        f'</summary><p class="text">{passage}</p></details></article>')
  return f'<div class="answers">{"".join(parts)}</div>' if parts else ""


def settings(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
  """The config, flat; what differs from the defaults first, the rest folded away."""
  def rows(names: Iterable[str]) -> str:
    return "".join(f"<tr><th>{escape(name)}</th><td class=text>{escape(values[name])}</td>"
                   "</tr>" for name in names)

  changed = [name for name in values if values[name] != defaults.get(name)]
  rest = [name for name in values if name not in changed]
  return (_scrolled(f'<table class="settings"><tbody>{rows(changed)}</tbody></table>')
          + f"<details><summary>{len(rest)} settings at their defaults</summary>"
          + _scrolled(f'<table class="settings"><tbody>{rows(rest)}</tbody></table>')
          + "</details>")


def commands(records: Sequence[Mapping[str, Any]]) -> str:
  """Who wrote into the folder: each command that was started, and with what."""
  parts = []
  for one in records:
    versions = ", ".join(f"{name} {value}" for name, value in one["versions"].items())
    parts.append(
        f'<li><details><summary><time>{escape(one["started"])}</time> '
        f'<code>{escape(" ".join(one["command"]))}</code></summary><p class="text">'
        f'{escape(source(one["source"]))}<br>{escape(versions)}<br>'
        f'{escape(one["processors"])} × {escape(one["processor"])}, '
        f'{escape(one["memory_gb"])} GB, {escape(", ".join(one["devices"]))}<br>'
        f'{escape(one["system"])}<br>'
        f'{escape(", ".join(f"{k}={v}" for k, v in one["environment"].items()))}</p>'
        "</details></li>")
  return f'<ul class="commands">{"".join(parts)}</ul>' if parts else ""


def source(found: Mapping[str, Any]) -> str:
  """A commit in words."""
  if not found["git"]:
    return "no git repository"
  return f"git {found['git'][:12]}{', modified' if found['modified'] else ''}"


_STYLE = """
:root{--page:#fbfbfa;--card:#fff;--text:#1f2328;--soft:#656d76;--grid:#e4e6e8;
--series-0:#0b6e99;--series-1:#c2620a;--series-2:#6940a5;--series-3:#4d6461;
--mark:#fff1c2;--right:#1a7f37;--wrong:#b3261e}
@media (prefers-color-scheme:dark){:root{--page:#15181c;--card:#1d2126;--text:#e4e6e8;
--soft:#98a1aa;--grid:#30363d;--series-0:#58b6dd;--series-1:#f0a35c;--series-2:#b794f0;
--series-3:#9db8b4;--mark:#5a4a12;--right:#57c27a;--wrong:#f2857c}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1120px;margin:0 auto;padding:24px 16px 64px}
h1{font-size:28px;margin:0 0 12px;letter-spacing:-.01em}
h2{font-size:20px;margin:44px 0 8px;padding-top:12px;border-top:1px solid var(--grid)}
h3{font-size:16px;margin:28px 0 4px}
h4{font-size:12px;margin:14px 0 6px;color:var(--soft);font-weight:600;
text-transform:uppercase;letter-spacing:.05em}
.note,.answer{color:var(--soft);margin:0 0 10px}
dl.facts{display:flex;flex-wrap:wrap;gap:8px 28px;margin:0}
dl.facts dt{font-size:12px;color:var(--soft)}dl.facts dd{margin:0}
.scroll{overflow-x:auto;margin:8px 0}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:6px 14px 6px 0;text-align:right;border-bottom:1px solid var(--grid);
white-space:nowrap;vertical-align:top}
thead th{color:var(--soft);font-weight:500;font-size:13px}
tbody th,th:first-child{text-align:left;font-weight:500}
td.text{text-align:left;color:var(--soft);white-space:normal;min-width:180px}
td.none{color:var(--soft)}
.settings td.text{color:var(--text);word-break:break-word}.settings th{font-weight:400}
.bar{display:block;height:3px;background:var(--grid);border-radius:2px;margin-top:2px}
.bar i{display:block;height:3px;border-radius:2px}
.b0{background:var(--series-0)}.b1{background:var(--series-1)}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,310px),1fr));
gap:12px}
figure{margin:0;background:var(--card);border:1px solid var(--grid);border-radius:8px;
padding:10px 12px 6px}
figcaption{display:flex;gap:0 8px;align-items:baseline;flex-wrap:wrap;margin-bottom:4px}
figcaption span{color:var(--soft);font-size:12px;flex:1}
figcaption output{font-weight:600;font-variant-numeric:tabular-nums}
svg{display:block;width:100%;height:auto}
svg text{font:11px system-ui,sans-serif;fill:var(--soft)}
svg .grid{stroke:var(--grid);stroke-width:1}
svg .limit{stroke:var(--soft);stroke-dasharray:4 4;fill:none}
svg .mark{stroke:var(--series-1);stroke-width:2;fill:none}
svg .line{fill:none;stroke-width:1.8;stroke-linejoin:round}
svg .raw{stroke-width:.8;opacity:.35}
svg .line.s0{stroke:var(--series-0)}svg .line.s1{stroke:var(--series-1)}
svg .line.s2{stroke:var(--series-2)}svg .line.s3{stroke:var(--series-3)}
svg circle.s0,svg text.s0{fill:var(--series-0)}svg circle.s1,svg text.s1{fill:var(--series-1)}
svg circle.s2,svg text.s2{fill:var(--series-2)}svg circle.s3,svg text.s3{fill:var(--series-3)}
article{background:var(--card);border:1px solid var(--grid);border-radius:8px;
padding:14px 16px;margin:12px 0}
article p{margin:0 0 4px}
.sentence{font-size:16px}
.mask{background:var(--mark);border-radius:4px;padding:0 8px;font-weight:600}
mark{background:var(--mark);color:inherit;border-radius:3px;padding:0 2px}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,320px),1fr));
gap:4px 28px}
ol.candidates{list-style:none;margin:0;padding:0}
.candidates li{display:grid;grid-template-columns:108px 1fr;gap:12px;padding:7px 0;
border-top:1px solid var(--grid)}
.candidates .p{display:grid;grid-template-columns:1fr 1fr;gap:10px;font-size:13px;
font-variant-numeric:tabular-nums}
.text{color:var(--soft);font-size:13px}
.candidates .text{display:-webkit-box;-webkit-line-clamp:2;-webkit-box-orient:vertical;
overflow:hidden}
.answers{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,420px),1fr));
gap:12px}
.answers article{margin:0}
.right{color:var(--right)}.wrong{color:var(--wrong)}
summary{cursor:pointer;color:var(--soft)}
ul.commands{list-style:none;padding:0}
.commands li{padding:4px 0}code{font-size:13px;word-break:break-all}
time{font-variant-numeric:tabular-nums;margin-right:8px}
.key i{display:inline-block;width:12px;height:4px;border-radius:2px;margin:0 5px 3px 0}
"""
