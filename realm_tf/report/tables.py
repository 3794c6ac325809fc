"""The table of a run's stages."""

import dataclasses
import math
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Stage:
  """One row of the table; shares between 0 and 1, None where there is no number."""
  name: str
  recall_at_5: float | None = None
  recall_at_20: float | None = None
  masked_words_alone: float | None = None  # predicted without any block
  masked_words: float | None = None  # predicted with the retrieved blocks
  exact_match: float | None = None
  minutes: float | None = None


_HEADER = ("stage", "recall@5", "recall@20", "masked words alone", "with blocks",
           "exact match", "minutes")


def stage_table(rows: Sequence[Stage]) -> str:
  """The stages one below the other, shares in per cent, '-' for no number."""
  cells = [_HEADER] + [(
      row.name, *(_number(share, 100, " %") for share in (
          row.recall_at_5, row.recall_at_20, row.masked_words_alone, row.masked_words,
          row.exact_match)), _number(row.minutes)) for row in rows]
  widths = [max(len(row[column]) for row in cells) for column in range(len(_HEADER))]
  padded = [[row[0].ljust(widths[0])] + [
      cell.rjust(width) for cell, width in zip(row[1:], widths[1:])] for row in cells]
  rule = ["─" * width for width in widths]
  return "\n".join("  ".join(row) for row in [padded[0], rule, *padded[1:]])


def _number(value: float | None, scale: float = 1, unit: str = "") -> str:
  return "-" if value is None or math.isnan(value) else f"{value * scale:.1f}{unit}"
