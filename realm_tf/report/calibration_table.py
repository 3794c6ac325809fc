"""What a calibration came to on its dev questions: what `realm calibrate` prints."""

from realm_tf.counted import counted
from realm_tf.evaluation.calibration import Calibration

# Rules by which answers are chosen: what ends the names of their figures, and what they are.
_RULES = (("", "chosen"), ("_most_probable", "most probable"),
          ("_agreeing", "most agreement"), ("_published", "ORQA's rule"))
_FIGURES = (("exact_match", "exact match", "{:.1%}"), ("f1", "F1", "{:.1%}"),
            ("probability_auc", "right above wrong (AUC, best 1)", "{:.3f}"),
            ("calibration_error", "probability off by (best 0)", "{:.3f}"))
_WIDTH = 31
_PRECISIONS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def in_words(calibration: Calibration) -> str:
  """The rule, how good answers are by it and by others, and what a precision costs."""
  figures = calibration.figures
  lines = [f"answers are scored by {calibration.rule}; on "
           f"{counted(calibration.questions, 'dev question')}:",
           "  ".join([" " * _WIDTH, *(f"{name:>14s}" for _, name in _RULES)])]
  for name, words, form in _FIGURES:
    cells = [form.format(figures[name + suffix]) if name + suffix in figures else "-"
             for suffix, _ in _RULES]
    lines.append("  ".join([f"{words:{_WIDTH}s}", *(f"{cell:>14s}" for cell in cells)]))
  if "log_loss" in figures:
    lines.append(f"log loss of what was fitted (best 0): {figures['log_loss']:.3f}")
  return "\n".join([*lines, *_costs(calibration)])


def _costs(calibration: Calibration) -> list[str]:
  """From which probability on answers are so often right, and how many are then given."""
  lines = []
  for precision in _PRECISIONS:
    points = [point for point in calibration.curve if point.precision >= precision]
    if points:
      point = min(points)
      lines.append(f"--precision={precision:<5g} answers from probability "
                   f"{point.threshold:.3f} on, {point.coverage:.1%} of the questions")
  return ["", "so many of the given answers are right, on dev:", *lines] if lines else []
