"""An answer, or what was found, in words for a terminal: what `realm ask` prints."""

import os
import sys
from typing import Any, Mapping, Sequence

from realm_tf.report.terminal import in_line, in_lines, mark_answer

NO_READER = "no reader is trained yet: `realm run`, or a stage cloze or finetune, trains one"
NOT_CALIBRATED = (
    "these probabilities are not calibrated: they rank answers, and do not say how often one "
    "is right; `realm calibrate --questions=FILE` fits them to 20 questions or more")
_WIDTH = 88


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
              f"{_source(record)})",
              mark_answer(record["passage"], record["start_byte"], record["end_byte"], color)]
  else:
    note = "" if threshold is None else f", wanted {threshold:.2f}"
    lines.append(f"A: no answer   (the best has probability {record['probability']:.2f}"
                 f"{note})")
  first = 1 if record["answerable"] else 0
  lines += [f"   {answer['probability']:.2f} {in_line(answer['answer'])}   "
            f"({_source(answer)})"
            for answer in record["answers"][first:] if len(record["answers"]) > 1]
  return "\n".join(lines)


def passages_in_words(question: str, passages: Sequence[Mapping[str, Any]]) -> str:
  """The passages that were found, best first; each has `title`, `score`, `id`, `text`."""
  lines = [f"\nQ: {in_line(question)}"]
  for place, passage in enumerate(passages, 1):
    lines += [f"{place}. {in_line(passage['title']) or 'untitled'}   "
              f"(score {passage['score']:.2f}, document {in_line(passage['id'])})",
              *(f"   {line}" for line in in_lines(passage["text"], _WIDTH - 3))]
  return "\n".join(lines)


def _source(answer: Mapping[str, Any]) -> str:
  """The document that an answer is from: its title, and its id where that is another."""
  title, name = in_line(answer["title"]), in_line(answer["passage_id"])
  named = [*([f'"{title}"'] if title else []),
           *([f"document {name}"] if name != title else [])]
  return f"from {', '.join(named)}"


def as_searched(passage: Mapping[str, Any]) -> dict[str, Any]:
  """A passage of an export or a server by the names that `realm search` gives it."""
  return {"id": passage["passage_id"], "title": passage["title"], "text": passage["passage"],
          "score": passage["score"]}
