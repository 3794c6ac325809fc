"""All endpoints as one ASGI application."""

import contextlib
import importlib.util
import re
from typing import Any, AsyncIterator, Collection

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from realm_tf.errors import UserError
from realm_tf.server import body, openapi, pages
from realm_tf.server.guard import Guard
from realm_tf.server.kserve import Handler, KServe
from realm_tf.server.prometheus import CONTENT_TYPE, Gauges
from realm_tf.server.question_requests import QuestionRequest
from realm_tf.server.rest import Rest
from realm_tf.server.service import Service
from realm_tf.server.statuses import Refused, refusal

_ASKED = ("/answer", "/search")  # paths that take questions, by POST


def make_app(service: Service, metrics: Gauges, keys: tuple[bytes, ...] = (),
             hosts: Collection[str] = ()) -> ASGIApp:
  """The application, behind its guard; see there for keys and hosts."""
  rest = Rest(service)
  questions, kserve = QuestionRequest(service), KServe(service)
  tools, lifespan = _mcp(questions, service)

  async def told(request: Request) -> Response:
    del request
    return Response(metrics.page(service.batcher.waiting), media_type=CONTENT_TYPE)

  async def others(scope: Scope, receive: Receive, send: Send) -> None:
    if not re.match("(?i)/v1/", scope["path"]):
      raise HTTPException(404)
    request = Request(scope, receive)
    response = await _named("v1", rest)(request)
    await response(scope, receive, send)

  app = Starlette(
      routes=[
          *pages.page_routes(), *openapi.openapi_routes(service),
          Route("/answer", _named("answer", questions.answer), methods=["POST"]),
          Route("/search", _named("search", questions.search), methods=["POST"]),
          Route("/mcp", tools, methods=["POST"]),
          Route("/monitoring/prometheus/metrics", _named("metrics", told)),
          *(Route(path, _named("v2", handler), methods=[verb])
            for path, verb, handler in kserve.handlers())],
      exception_handlers={Exception: _refused, Refused: _refused, UserError: _refused,
                          HTTPException: _http_error}, lifespan=lifespan)
  app.router.redirect_slashes = False
  app.router.default = others
  return Guard(app, keys, hosts, metrics.request)


def _mcp(questions: QuestionRequest, service: Service) -> tuple[Any, Any]:
  """The endpoint of the tools for assistants, and the lifespan of its application."""
  if importlib.util.find_spec("mcp") is None:
    async def missing(request: Request) -> Response:
      del request
      raise Refused("UNIMPLEMENTED", "/mcp needs the extra mcp: pip install 'realm_tf[mcp]'")
    return _named("mcp", missing), None
  from realm_tf.server.mcp_tools import Endpoint  # an extra
  endpoint = Endpoint(questions, service.name, service.limits)

  @contextlib.asynccontextmanager
  async def lifespan(app: Starlette) -> AsyncIterator[None]:
    del app
    async with endpoint.run():
      yield
  return endpoint, lifespan


def _named(endpoint: str, handler: Handler) -> Handler:
  """The handler, under a name for the metrics."""
  async def named(request: Request) -> Response:
    request.state.endpoint = endpoint
    return await handler(request)
  return named


async def _refused(request: Request, error: Exception) -> Response:
  del request
  return body.refused(refusal(error))


async def _http_error(request: Request, error: Exception) -> Response:
  assert isinstance(error, HTTPException)
  headers = dict(error.headers or {})
  return body.answer({"error": _said(request, error, headers)}, error.status_code, headers)


def _said(request: Request, error: HTTPException, headers: dict[str, str]) -> str:
  """What was wrong, and what is to be sent instead."""
  allowed = next((value for name, value in headers.items() if name.lower() == "allow"), "")
  if error.status_code == 405 and allowed:
    what = ' with {"question": "..."}' if request.url.path in _ASKED else ""
    verbs = " or ".join(sorted(re.findall(r"\w+", allowed)))  # as they come from a set
    return f"{request.method} is not for this path: expected {verbs}{what}; see /docs"
  return "no such path; see /docs" if error.status_code == 404 else str(error.detail)
