"""The small protocol: POST /answer and /search, for people and programs that just ask."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from realm_tf.evaluation.calibration import check_wanted
from realm_tf.server import body
from realm_tf.server.served import MOST_PASSAGES
from realm_tf.server.service import Service
from realm_tf.server.statuses import invalid

MOST_LISTED_ANSWERS = 100  # that are listed to a question


class QuestionRequest:
  """Answers /answer and /search."""

  def __init__(self, service: Service):
    self._service = service

  async def answer(self, request: Request) -> Response:
    asked = await body.read_object(request, self._service.limits)
    return body.answer(await self.answer_object(asked))

  async def search(self, request: Request) -> Response:
    asked = await body.read_object(request, self._service.limits)
    return body.answer(await self.search_object(asked))

  async def answer_object(self, fields: dict[str, Any]) -> dict[str, Any]:
    """A question -> its answer; several -> a list of them.

    Raises:
      Refused, UserError: what cannot be asked, or be answered.
    """
    _only(fields, "question", "questions", "top_n", "threshold", "precision", "passages")
    questions, alone = _questions(fields)
    threshold, precision = _share(fields, "threshold"), _share(fields, "precision")
    check_wanted(threshold, precision)
    version, answers = await self._service.answer(
        questions, _count(fields, "passages", 0, 0, MOST_PASSAGES),
        top_n=_count(fields, "top_n", 1, 1, MOST_LISTED_ANSWERS), threshold=threshold,
        precision=precision)
    results = [{"question": question, **answer}
               for question, answer in zip(questions, answers)]
    return _told(results, alone, version)

  async def search_object(self, fields: dict[str, Any]) -> dict[str, Any]:
    """A question -> the passages for it; several -> a list of them.

    Raises:
      Refused, UserError: what cannot be asked.
    """
    _only(fields, "question", "questions", "k")
    questions, alone = _questions(fields)
    version, listed = await self._service.search(
        questions, _count(fields, "k", 5, 1, MOST_PASSAGES))
    results = [{"question": question, "passages": passages}
               for question, passages in zip(questions, listed)]
    return _told(results, alone, version)


def _told(results: list[dict[str, Any]], alone: bool, version: int) -> dict[str, Any]:
  own = {"version": str(version)}
  return results[0] | own if alone else {"results": results} | own


def _only(fields: dict[str, Any], *names: str) -> None:
  for name in fields:
    if name not in names:
      raise invalid(f"'{name[:60]}': no such field; one of {', '.join(names)}")


def _questions(fields: dict[str, Any]) -> tuple[list[Any], bool]:
  """All of them, and whether it was one alone; that they are texts is checked later."""
  if ("question" in fields) == ("questions" in fields):
    raise invalid("expected 'question' (a string) or 'questions' (a list of strings)")
  if "question" in fields:
    return [fields["question"]], True
  if not isinstance(fields["questions"], list) or not fields["questions"]:
    raise invalid("'questions': expected a list of strings that is not empty")
  return fields["questions"], False


def _count(fields: dict[str, Any], name: str, default: int, least: int, most: int) -> int:
  value = fields.get(name, default)
  if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
    raise invalid(f"'{name}': expected an integer from {least} to {most}")
  return value


def _share(fields: dict[str, Any], name: str) -> float | None:
  value = fields.get(name)
  if value is None:
    return None
  if isinstance(value, bool) or not isinstance(value, (int, float)):
    raise invalid(f"'{name}': expected a number from 0 to 1")
  return float(value) if abs(value) < 1e9 else 2.0  # which is out of range, whatever it was
