"""What a diagnosis found: a table with the meaning of each figure."""

import math
from typing import Any, Mapping

Measurements = Mapping[str, Any]  # by `diagnosis.gradient.Diagnosis.measure`; facts of a run

COLUMNS = (
    ("softmax_mass", "p(z|x)", "share of the prior over all blocks that the candidates hold"),
    ("posterior_mass", "p(z|x,y)", "share of the posterior: what the reader finds useful"),
    ("gradient_cosine", "cosine", "of the retriever's gradient with that of the full sum"),
    ("gradient_cosine_by_queries", "queries", "the same, what came through the query tower"),
    ("gradient_cosine_by_documents", "documents", "the same, through the document tower"),
    ("gradient_norm_ratio", "norm", "of the gradient, as a share of that of the full sum"),
    ("sentence_cosine", "sentence", "cosine of dL/dq of a single sentence, the median"))


def facts(measured: Measurements) -> list[tuple[str, str, str]]:
  """Name, figure and meaning of what does not depend on K."""
  batches, size = measured["batches"], measured["sentences"] // measured["batches"]
  rows = [
      ("blocks in the sum", f"{measured['summed_blocks']:,} of {measured['blocks']:,}",
       f"they hold {measured['summed_mass']:.1%} of p(z|x)"),
      ("entropy of p(z|x)", f"{measured['prior_entropy']:.2f} nats",
       f"as wide as {math.exp(measured['prior_entropy']):,.1f} equally likely blocks"),
      ("entropy of p(z|x,y)", f"{measured['posterior_entropy']:.2f} nats",
       "once the masked words are known: as wide as "
       f"{math.exp(measured['posterior_entropy']):,.1f}"),
      ("full gradient norm", f"{measured['full_gradient_norm']:.3g}",
       f"through queries {measured['full_gradient_norm_by_queries']:.3g}, through documents "
       f"{measured['full_gradient_norm_by_documents']:.3g}")]
  between = measured["gradient_cosine_between_batches"]
  if between is not None:
    rows.append(("cosine between batches", f"{between:.3f}",
                 f"of the full gradients of {batches} batches of {size}: sampling alone"))
  return rows


def table(measured: Measurements) -> str:
  """All figures, for a terminal."""
  heading = (f"{measured['stage']}: {measured['sentences']} sentences that were not trained "
             f"on, {measured['loss']} loss, "
             f"K = {measured['pretrain_candidates']} in training")
  names = [row["candidates"] for row in measured["rows"]]
  width = max(len(name) for name in [*names, "candidates"])
  lines = [heading, ""]
  lines += [f"{name:24s} {figure:>16s}   {meaning}"
            for name, figure, meaning in facts(measured)]
  lines += ["", "  ".join([f"{'candidates':{width}s}", "  K",
                           *(f"{label:>9s}" for _, label, _ in COLUMNS)])]
  for row in measured["rows"]:
    lines.append("  ".join([f"{row['candidates']:{width}s}", f"{row['k']:3d}",
                            *(f"{row[name]:9.3f}" for name, _, _ in COLUMNS)]))
  lines += ["", "fresh: the best by the towers as they are; others: as an older index gives "
            "them. K counts the null document."]
  lines += [f"{label:9s}  {meaning}" for _, label, meaning in COLUMNS]
  return "\n".join(lines)


def by_candidates(measured: Measurements, metric: str) -> dict[str, list[tuple[int, float]]]:
  """Points (K, value) of a metric for each way to choose candidates."""
  lines: dict[str, list[tuple[int, float]]] = {}
  for row in measured["rows"]:
    lines.setdefault(row["candidates"], []).append((row["k"], row[metric]))
  return lines


PANELS = (("softmax_mass", "share of p(z|x)"), ("posterior_mass", "share of p(z|x,y)"),
          ("gradient_cosine", "cosine with the full gradient"))
