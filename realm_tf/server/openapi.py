"""The description of the endpoints, OpenAPI 3.1, and the same as a page for people."""

import html
import json
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import realm_tf
from realm_tf.server import body
from realm_tf.server.question_requests import MOST_LISTED_ANSWERS
from realm_tf.server.served import MOST_PASSAGES
from realm_tf.server.service import Service

_HERE = "{this server}"  # stands for its address
_TEXT = {"type": "string"}
_NUMBER = {"type": "number"}
_INTEGER = {"type": "integer"}
_QUESTION = {"type": "string", "minLength": 1, "description": "One question."}
_PLACE = {
    "probability": {"type": "number", "description": "From 0 to 1."}, "title": _TEXT,
    "passage": _TEXT, "passage_id": _TEXT, "row": _INTEGER, "score": _NUMBER}
_SPAN = {
    "answer": _TEXT, **_PLACE,
    "start": {"type": "integer", "description": "Where the answer begins in the passage, in "
              "Unicode characters."},
    "end": {"type": "integer", "description": "Where it ends, exclusive."},
    "start_byte": _INTEGER, "end_byte": _INTEGER}


def _object(properties: dict[str, Any], required: list[str] | None = None, **more: Any
            ) -> dict[str, Any]:
  return {"type": "object", "properties": properties, "required": required or [], **more}


def _list(items: dict[str, Any], **more: Any) -> dict[str, Any]:
  return {"type": "array", "items": items, **more}


_PASSAGE = _object(_PLACE, list(_PLACE))
_ANSWER = _object({
    "question": _TEXT, **_SPAN,
    "answerable": {"type": "boolean", "description": "False: the best answer is less "
                   "probable than wanted; `answer` is empty."},
    "answers": _list(_object(_SPAN, list(_SPAN)), description="The best one, given or not, "
                     "then others by falling probability."),
    "calibrated": {"type": "boolean", "description": "False: nothing fitted the "
                   "probabilities to how often answers are right; they only rank them."},
    "passages": _list(_PASSAGE),
    "version": _TEXT},
    ["question", *_SPAN, "answerable", "answers", "calibrated", "passages"])
_FOUND = _object({"question": _TEXT, "passages": _list(_PASSAGE), "version": _TEXT},
                 ["question", "passages"])


def _asked(more: dict[str, Any], most: int) -> dict[str, Any]:
  """A request with one question, or with several."""
  both = {"question": _QUESTION, "questions": _list(_QUESTION, minItems=1, maxItems=most)}
  return {"oneOf": [_object({name: both[name], **more}, [name], additionalProperties=False)
                    for name in both]}


def _several(schema: dict[str, Any]) -> dict[str, Any]:
  return {"oneOf": [
      schema, _object({"results": _list(schema), "version": _TEXT}, ["results"])]}


def _operation(summary: str, request: dict[str, Any] | None, response: dict[str, Any],
               example: Any = None, key: bool = True) -> dict[str, Any]:
  operation: dict[str, Any] = {"summary": summary, "responses": {
      "200": {"description": "As asked.",
              "content": {"application/json": {"schema": response}}},
      "default": {"description": "Why not.", "content": {"application/json": {
          "schema": _object({"error": _TEXT}, ["error"])}}}}}
  if request:
    operation["requestBody"] = {"required": True, "content": {
        "application/json": {"schema": request, "example": example}}}
  if not key:
    operation["security"] = []
  return operation


def description(service: Service) -> dict[str, Any]:
  """The OpenAPI description of a server."""
  most, model = service.limits.max_questions, f"/v1/models/{service.name}"
  share = {"type": "number", "minimum": 0, "maximum": 1}
  answer = _asked({
      "top_n": {"type": "integer", "minimum": 1, "maximum": MOST_LISTED_ANSWERS, "default": 1,
                "description": "How many answers to list."},
      "threshold": {**share, "description": "No answer if the best is less probable."},
      "precision": {**share, "exclusiveMinimum": 0, "description": "Instead of a threshold: "
                    "the share of right answers among those given, on the dev questions."},
      "passages": {"type": "integer", "minimum": 0, "maximum": MOST_PASSAGES, "default": 0,
                   "description": "How many of the best passages to list, each with "
                   "p(z|x) among those listed."}}, most)
  search = _asked({"k": {"type": "integer", "minimum": 1, "maximum": MOST_PASSAGES,
                         "default": 5, "description": "How many passages."}}, most)
  tensors = _object({"signature_name": _TEXT, "instances": _list({}), "inputs": {}})
  anything = _object({})
  return {
      "openapi": "3.1.0", "info": {"title": f"REALM: {service.name}",
                                   "version": realm_tf.__version__},
      "security": [{}, {"bearer": []}, {"key": []}],
      "components": {"securitySchemes": {
          "bearer": {"type": "http", "scheme": "bearer"},
          "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}},
      "paths": {
          "/answer": {"post": _operation(
              "Answer a question, or several", answer, _several(_ANSWER),
              {"question": "Who wrote Hamlet?", "top_n": 3, "threshold": 0.2})},
          "/search": {"post": _operation(
              "Find passages for a question, or several", search, _several(_FOUND),
              {"question": "Who wrote Hamlet?", "k": 5})},
          f"{model}:predict": {"post": _operation(
              "TensorFlow Serving: run a signature", tensors, anything,
              {"instances": ["Who wrote Hamlet?"]})},
          model: {"get": _operation("TensorFlow Serving: versions and their state", None,
                                    anything)},
          f"{model}/metadata": {"get": _operation("TensorFlow Serving: the signatures", None,
                                                  anything)},
          f"/v2/models/{service.name}": {"get": _operation(
              "KServe v2: inputs and outputs", None, anything)},
          f"/v2/models/{service.name}/infer": {"post": _operation(
              "KServe v2: run a signature", anything, anything,
              {"inputs": [{"name": "questions", "datatype": "BYTES", "shape": [1],
                           "data": ["Who wrote Hamlet?"]}]})},
          "/v2/health/live": {"get": _operation("KServe v2: is the server up", None, anything,
                                                key=False)},
          "/v2/health/ready": {"get": _operation("KServe v2: does it answer", None, anything,
                                                 key=False)}}}


def openapi_routes(service: Service) -> list[Route]:
  """GET /openapi.json and GET /docs."""
  described = description(service)
  page = _page(described)

  async def as_json(request: Request) -> Response:
    request.state.endpoint = "docs"
    return body.answer(described)

  async def as_page(request: Request) -> Response:
    request.state.endpoint = "docs"
    return Response(page.replace(_HERE, html.escape(_address(request))),
                    media_type="text/html")
  return [Route("/openapi.json", as_json), Route("/docs", as_page)]


def _address(request: Request) -> str:
  """By which the server was called; of what is no plain name a shell might make more."""
  address = request.headers.get("host", "")
  plain = re.fullmatch(r"[\w.\[\]:-]+", address, re.ASCII)
  scheme = "https://" if request.url.scheme == "https" else ""
  return scheme + (address if plain else "localhost:8501")


def _page(described: dict[str, Any]) -> str:
  parts = [_section(path, verb, operation)
           for path, verbs in described["paths"].items() for verb, operation in verbs.items()]
  title = html.escape(described["info"]["title"])
  return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}: endpoints</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/icon.svg"><link rel="stylesheet" href="/page.css"></head>
<body><header><h1>{title}</h1><p><a href="/">Ask</a> &middot;
<a href="/openapi.json">openapi.json</a></p></header><main>{''.join(parts)}</main>
</body></html>
"""


def _section(path: str, verb: str, operation: dict[str, Any]) -> str:
  request = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
  command = f"curl {_HERE}{path}" + (f" -d '{json.dumps(request['example'])}'" if request
                                     else "")
  schemas = request.get("schema", {}).get("oneOf", [])
  fields = {name: field for schema in schemas for name, field in schema["properties"].items()}
  rows = "".join(f"<dt><code>{html.escape(name)}</code></dt><dd>{_said(field)}</dd>"
                 for name, field in fields.items())
  return (f'<section class="card"><h2>{verb.upper()} <code>{html.escape(path)}</code></h2>'
          f"<p>{html.escape(operation['summary'])}</p>{f'<dl>{rows}</dl>' if rows else ''}"
          f'<pre tabindex="0">{html.escape(command)}</pre></section>')


def _said(field: dict[str, Any]) -> str:
  limits = " to ".join(str(field[name]) for name in ("minimum", "maximum") if name in field)
  words = [field.get("type", ""), limits, f"default {field['default']}"
           if "default" in field else "", field.get("description", "")]
  return html.escape("; ".join(word for word in words if word))
