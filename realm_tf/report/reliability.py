"""How sure answers are and how often they are right: charts for the report's page."""

from typing import Sequence

from realm_tf.evaluation import confidence
from realm_tf.report.charts import figure, line_chart, percent

_SHARES = (0, 0.25, 0.5, 0.75, 1)


def charts(probabilities: Sequence[float], right: Sequence[bool]) -> str:
  """A reliability diagram, the risk of answering more questions, and both in numbers.

  Args:
    probabilities: [Q], of the answers to held-out questions.
    right: [Q].

  Returns:
    HTML; "" where there are no questions.
  """
  if not len(right):
    return ""
  bins = confidence.bins(probabilities, right)
  figures = confidence.confidence_figures(probabilities, right)
  reliability = figure(
      "Reliability", "right answers among those of about the same probability", line_chart(
          {"held out": [(group.probability, group.right) for group in bins],
           "ideal": [(0.0, 0.0), (1.0, 1.0)]},
          form=percent, span=(0, 1), until=1, x_ticks=_SHARES, x_label="probability"),
      f"error {percent(figures['calibration_error'])}")
  curve = sorted((point.coverage, 1 - point.precision)
                 for point in confidence.curve(probabilities, right))
  risk = figure(
      "Risk and coverage", "wrong answers among those given, the surest first", line_chart(
          {"wrong": curve}, form=percent, span=(0, 1), until=1, x_ticks=_SHARES,
          x_label="share of questions answered"),
      f"AUC {figures['probability_auc']:.3f}" if "probability_auc" in figures else "")
  rows = "".join(f"<tr><th>{percent(group.probability)}</th><td>{group.questions}</td>"
                 f"<td>{percent(group.right)}</td></tr>" for group in bins)
  return (f'<div class="charts">{reliability}{risk}</div><div class="scroll"><table><thead>'
          "<tr><th>probability, mean of a bin</th><th>questions</th><th>right</th></tr>"
          f"</thead><tbody>{rows}</tbody></table></div>")
