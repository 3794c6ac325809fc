"""An answer in words, for a terminal: what `realm ask` prints."""

import os
import sys
from typing import Any, Mapping

from realm_tf.report.terminal import in_line, mark_answer


def in_words(record: Mapping[str, Any], threshold: float | None) -> str:
  """The answer, its passage with the answer marked, and the other answers.

  Args:
    record: of `serving.loaded.ExportedModel.answer`, with its `question`.
    threshold: that was wanted; None where it is not known.
  """
  color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
  lines = [f"\nQ: {in_line(record['question'])}"]
  if record["answerable"]:
    lines += [f"A: {in_line(record['answer'])}   (probability {record['probability']:.2f}, "
              f"from \"{in_line(record['title'])}\")",
              mark_answer(record["passage"], record["start_byte"], record["end_byte"], color)]
  else:
    wanted = "" if threshold is None else f", wanted {threshold:.2f}"
    lines.append(f"A: no answer   (the best has probability {record['probability']:.2f}"
                 f"{wanted})")
  first = 1 if record["answerable"] else 0
  lines += [f"   {one['probability']:.2f} {in_line(one['answer'])}   "
            f"(from \"{in_line(one['title'])}\")"
            for one in record["answers"][first:] if len(record["answers"]) > 1]
  return "\n".join(lines)
