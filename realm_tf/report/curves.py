"""The curves of a stage as small charts, each under a name that says what it shows."""

import html
import math
from typing import Any, Mapping, NamedTuple, Sequence

from realm_tf.report.charts import figure, line_chart, number, percent

MetricCurve = Sequence[tuple[int, Mapping[str, float]]]  # (step, values by metric), ascending


class Metric(NamedTuple):
  """How a metric of the curves is called; several of one chart differ behind an '@'."""
  title: str
  meaning: str
  share: bool = False  # between 0 and 1, in per cent
  cosine: bool = False


# In the order of the page, by group; others come last, under their own names.
_GROUPS: dict[str, dict[str, Metric]] = {
    "Learning": {
        "loss": Metric("Loss", "nats"),
        "retriever_loss": Metric("Retriever loss", "of the blocks that hold the answer"),
        "reader_loss": Metric("Reader loss", "of the correct spans"),
        "distill_loss": Metric("Distillation", "of the reader's posterior, nats"),
        "in_batch_accuracy": Metric("In-batch accuracy", "own block among the batch's", True),
        "support_utility": Metric("Supporting block", "nats gained by reading it"),
        "exact_span": Metric("Correct span", "the best one, of questions being learnt", True),
        "beam_has_answer": Metric("Recall of the beam", "it holds the answer", True),
        "read_has_answer": Metric("Recall of read blocks", "they hold the answer", True),
        "mask_log_prob_null": Metric("Without any block", "log p of a masked word piece"),
        "learning_rate": Metric("Learning rate", "of each step")},
    "Dev questions": {
        "dev_score": Metric("Score", "mean of exact match and F1: chooses the best", True),
        "dev_exact_match": Metric("Exact match", "of the best span", True),
        "dev_f1": Metric("F1", "of the best span", True),
        "dev_recall": Metric("Recall", "of the answer, among the first blocks", True)},
    "Retrieval": {
        "retrieval_utility": Metric("Retrieval utility", "nats over the null document"),
        "best_retrieval_utility": Metric("Best retrieval utility", "of the K candidates"),
        "null_log_likelihood": Metric("By the null document", "log p(y|null,x), nats"),
        "span_in_any": Metric("Masked span found", "by one of the K candidates", True),
        "span_in_blocks": Metric("Blocks that hold it", "of those retrieved", True),
        "distinct_blocks_per_thousand": Metric("Different blocks",
                                               "retrieved by a thousand queries"),
        "most_retrieved_share": Metric("Most retrieved block", "share of queries", True),
        "null_probability": Metric("Null document", "its p(z|x)", True),
        "prior_entropy": Metric("Entropy of p(z|x)", "over the K candidates, nats"),
        "full_prior_entropy": Metric("Entropy, whole corpus", "of p(z|x), nats")},
    "Gradient": {
        "retriever_gradient_norm": Metric("Retriever gradient", "norm before clipping"),
        "encoder_gradient_norm": Metric("Encoder gradient", "norm before clipping, by part"),
        "gradient_norm": Metric("Gradient", "norm before clipping"),
        "full_gradient_norm": Metric("Full-sum gradient", "norm, of the retriever"),
        "gradient_cosine": Metric("Truncated against full", "cosine of the gradients",
                                  cosine=True),
        "softmax_mass": Metric("Softmax mass", "p(z|x) that the candidates hold", True),
        "posterior_mass": Metric("Posterior mass", "p(z|x,y) that they hold", True)},
    "Speed": {
        "step_seconds": Metric("Time of a step", "seconds"),
        "input_wait_seconds": Metric("Waiting for input", "seconds per step")}}
_INDEX = {
    "index_churn": Metric("Churn", "of the top K, by the last swap", True),
    "stale_order_overlap": Metric("Stale and fresh order", "better halves of K", True),
    "stale_index_recall": Metric("Recall before the swap", "new top K by the old", True),
    "retrieved_staleness": Metric("Age of what is found", "steps, mean over retrieved rows"),
    "index_rows_per_second": Metric("Embedding rate", "blocks per second"),
    "index_staleness_seconds": Metric("Age in seconds", "of the weights that made it"),
    "index_seconds_waited": Metric("Waiting for the index", "seconds in all")}
_OWN_CHART = ("index_staleness", "index_step", "index_swaps")
_FEW = 6  # charts of a stage that need no headings


def curves(stage: str, curve: MetricCurve) -> str:
  """Small charts of all metrics of a stage but the index's, group by group."""
  series = _series(curve)
  groups = {group: _charts(metrics, series) for group, metrics in (
      _GROUPS | {"Others": _others(series)}).items()}
  if sum(map(len, groups.values())) <= _FEW:
    groups = {"": [chart for charts in groups.values() for chart in charts]}
  content = "".join(
      (f"<h4>{group}</h4>" if group else "") + f'<div class="charts">{"".join(charts)}</div>'
      for group, charts in groups.items() if charts)
  return f"<h3>{html.escape(stage)}</h3>{content}" if content else ""


def _charts(metrics: Mapping[str, Metric], series: Mapping[str, Any]) -> list[str]:
  until = max((points[-1][0] for points in series.values()), default=0)
  charts = [_chart(metric, {name: series[name] for name in series
                            if name.partition("@")[0] == key}, until)
            for key, metric in metrics.items()]
  return [chart for chart in charts if chart]


def _series(curve: MetricCurve) -> dict[str, list[tuple[float, float]]]:
  series: dict[str, list[tuple[float, float]]] = {}
  for step, values in curve:
    for name, value in values.items():
      series.setdefault(name, []).append((step, value))
  return series


def _others(series: Mapping[str, Any]) -> dict[str, Metric]:
  grouped = {name for metrics in _GROUPS.values() for name in metrics} | {
      *_INDEX, *_OWN_CHART}
  return {key: Metric(key.replace("_", " "), "") for key in dict.fromkeys(
      name.partition("@")[0] for name in sorted(series)) if key not in grouped}


def _chart(metric: Metric, series: Mapping[str, list[tuple[float, float]]],
           until: float) -> str:
  if not series:
    return ""
  form = percent if metric.share else number
  lines = {name.partition("@")[2].replace("_", " ") or "all": points
           for name, points in series.items()}
  drawn = line_chart(lines, form=form, until=until,
                     span=(0, 1) if metric.share or metric.cosine else None)
  if not drawn:
    return ""
  last = form(next(iter(series.values()))[-1][1]) if len(series) == 1 else ""
  return figure(metric.title, metric.meaning, drawn, last)


def index_age(curve: MetricCurve, max_staleness: int) -> str:
  """The index's age over the steps, with its swaps as ticks on the axis; what it cost."""
  series = _series(curve)
  if "index_staleness" not in series:
    return ""
  # Of records that are means over steps, the one in which the number of swaps begins to rise.
  counts = series.get("index_swaps", [])
  swaps = [x for (_, before), (x, now) in zip(counts, counts[1:])
           if math.ceil(now) > math.ceil(before)]
  drawn = line_chart({"age": series["index_staleness"]}, span=(0, 0), marks=swaps,
                     limit=max_staleness)
  times = "no swap" if not swaps else f"{len(swaps)} swap{'s' * (len(swaps) > 1)} (ticks)"
  age = figure("Staleness in steps", f"{times}; at most {max_staleness} allowed", drawn,
               number(series["index_staleness"][-1][1]))
  return f'<div class="charts">{"".join([age, *_charts(_INDEX, series)])}</div>'
