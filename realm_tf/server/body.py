"""The JSON of a request, read within limits, and that of an answer."""

import asyncio
import collections
import json
import math
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from realm_tf.server.server_settings import Limits
from realm_tf.server.statuses import Refused, invalid


async def read_bytes(request: Request, limits: Limits) -> bytes:
  """The body; refused as soon as it is known to be too long (413) or too slow (504).

  A client that goes before it was all there is told to nobody, and is no error of ours (499).
  """
  too_long = Refused("INVALID_ARGUMENT", f"The body is longer than {limits.max_body_bytes} "
                     "bytes", 413, {"connection": "close"})
  length = request.headers.get("content-length", "0")
  if length.isdecimal() and int(length[:19]) > limits.max_body_bytes:
    raise too_long
  body = bytearray()
  try:
    async with asyncio.timeout(limits.request_timeout):
      async for chunk in request.stream():
        body += chunk
        if len(body) > limits.max_body_bytes:
          raise too_long
  except TimeoutError:
    raise Refused("DEADLINE_EXCEEDED", "The body did not come within "
                  f"{limits.request_timeout:g} s", headers={"connection": "close"}) from None
  except ClientDisconnect:
    raise Refused("CANCELLED", "The client went before its request was there") from None
  return bytes(body)


async def read_object(request: Request, limits: Limits, lenient: bool = False
                      ) -> dict[str, Any]:
  """The object that the body is.

  Args:
    lenient: takes NaN and Infinity, which JSON has not, and names that are there twice, as
      TensorFlow Serving does.
  """
  body = await read_bytes(request, limits)
  if not body:
    raise invalid("JSON Parse error: The document is empty")
  try:
    value = json.loads(body.decode("utf-8"), parse_float=float if lenient else _finite,
                       parse_constant=float if lenient else _no_constant,
                       object_pairs_hook=None if lenient else _each_once)
  except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
    said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    raise invalid(f"JSON Parse error: {said}") from None
  if not isinstance(value, dict):
    raise invalid("JSON Value: Is not object")
  return value


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  value = dict(pairs)
  if len(value) < len(pairs):
    twice, _ = collections.Counter(name for name, _ in pairs).most_common(1)[0]
    raise ValueError(f"{twice[:60]!r} is there twice in an object")
  return value


def _no_constant(name: str) -> float:
  raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
  value = float(text)
  if not math.isfinite(value):
    raise ValueError(f"{text[:30]} is too large a number")
  return value


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None,
           lenient: bool = False) -> Response:
  """As JSON; a text that is no valid Unicode is replaced where it is not."""
  text = json.dumps(value, ensure_ascii=False, allow_nan=lenient)
  return Response(text.encode("utf-8", "replace"), status,
                  {"cache-control": "no-store", **(headers or {})}, "application/json")


def refused(error: Refused) -> Response:
  """As all the protocols here have it: {"error": "..."}."""
  return answer({"error": str(error)}, error.status, error.headers)
