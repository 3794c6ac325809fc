"""Asking a server that runs: no TensorFlow, and so no wait."""

import http.client
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Iterable

from realm_tf.datasets.questions import checked_question
from realm_tf.errors import UserError
from realm_tf.report.answers import NOT_CALIBRATED, as_searched, in_words, passages_in_words
from realm_tf.server.keys import can_be_key

KEY = "REALM_API_KEY"  # of the environment: what is in a command line is no secret
_SECONDS = 60.0
_MOST_BYTES = 64 << 20  # of an answer


def ask_server(url: str, questions: Iterable[str], as_json: bool, **wanted: Any) -> None:
  """Prints the server's answer to each question as it comes; see /answer for `wanted`.

  Where its model cannot read, says so and prints the passages, as `realm ask` of a run does.

  Raises:
    UserError: what is wrong with the question, or between here and there.
  """
  if ":/" not in url:
    url = f"http://{url}"
  if not url.startswith(("http:", "https:")):
    raise UserError(f"--server={url}: expected an address that begins with http: or https:")
  if "@" in url.partition("://")[2].partition("/")[0]:  # which may be a password: not shown
    raise UserError(f"--server: expected an address without a user; a key is in {KEY}")
  if not _has_a_port(url):
    raise UserError(f"--server={url}: expected a host and a port up to 65535, as "
                    "localhost:8501")
  wanted = {name: value for name, value in wanted.items() if value is not None}
  threshold = None if "precision" in wanted else wanted.get("threshold", 0.0)
  for number, question in enumerate(questions, 1):
    body = {"question": checked_question(question, f"question {number}"), **wanted}
    try:
      answer = _told(url.rstrip("/"), body, threshold, as_json, number == 1)
    except UserError:  # which is a ValueError
      raise
    except (LookupError, TypeError, ValueError):
      raise UserError(f"{url}: its answer is none of realm serve's") from None
    print(answer, flush=True)


def _has_a_port(url: str) -> bool:
  """Whether it names one that can be, or none."""
  try:
    return urllib.parse.urlsplit(url).port != 0
  except ValueError:
    return False


def _told(url: str, body: dict[str, Any], threshold: float | None, as_json: bool,
          first: bool) -> str:
  try:
    record = _post(url + "/answer", body)
    if first and record.get("calibrated") is False:
      print(f"realm: {NOT_CALIBRATED}", file=sys.stderr, flush=True)
  except _NoReader as reason:
    print(f"realm: {reason}", file=sys.stderr, flush=True)
    return _passages(url + "/search", body["question"], as_json)
  return json.dumps(record, ensure_ascii=False) if as_json else in_words(record, threshold)


class _NoReader(Exception):
  """The server cannot answer, only search."""


def _passages(address: str, question: str, as_json: bool) -> str:
  results = _post(address, {"question": question})
  passages = [as_searched(passage) for passage in results["passages"]]
  return (json.dumps({"question": question, "answer": "", "answerable": False, "answers": [],
                      "passages": passages}, ensure_ascii=False) if as_json
          else passages_in_words(question, passages))


class _NoRedirects(urllib.request.HTTPRedirectHandler):
  """What follows one sends the key along, to whoever is there, and no question."""

  def redirect_request(self, *args: Any) -> None:
    pass


_OPENER = urllib.request.build_opener(_NoRedirects)


def _key() -> dict[str, str]:
  """The header with the key, where there is one; a file's line end is no part of it.

  Raises:
    UserError: says what is wrong with it, never what it is.
  """
  key = os.environ.get(KEY, "").strip()
  if not can_be_key(key):
    raise UserError(f"{KEY} is no API key: expected printable ASCII characters, no spaces")
  return {"x-api-key": key} if key else {}


def _post(address: str, value: dict[str, Any]) -> dict[str, Any]:
  headers = {"content-type": "application/json", **_key()}
  try:
    request = urllib.request.Request(address, json.dumps(value).encode(), headers)
    with _opened(request) as response:
      code, body = response.status, response.read(_MOST_BYTES)
  except (OSError, http.client.HTTPException, ValueError) as error:
    reason = getattr(error, "reason", None) or error
    raise UserError(f"{address}: {getattr(reason, 'strerror', None) or reason}; is `realm "
                    "serve` running there?") from None
  if 300 <= code < 400:
    raise UserError(f"{address}: {code}: it leads to "
                    f"{response.headers.get('location', 'nowhere')}; ask there")
  answer = _object(body)
  if code < 300 and answer is not None:
    return answer
  if code < 300:
    raise UserError(f"{address}: its answer is none of realm serve's")
  message = (answer or {}).get("error", response.reason)  # or it is a proxy that refuses
  if code == 409:
    raise _NoReader(message)
  remedy = f"; set {KEY} to one" if code == 401 else ""
  raise UserError(f"{address}: {code}: {message}{remedy}")


def _opened(request: urllib.request.Request) -> Any:
  """The response, whatever its status."""
  try:
    return _OPENER.open(request, timeout=_SECONDS)
  except urllib.error.HTTPError as error:
    return error  # it is a response too


def _object(body: bytes) -> dict[str, Any] | None:
  """The JSON object that it is; None if it is none."""
  try:
    value = json.loads(body)
  except (ValueError, RecursionError):
    return None
  return value if isinstance(value, dict) else None
