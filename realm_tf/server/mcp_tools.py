"""The tools `answer` and `search` for assistants, by the Model Context Protocol.

Over HTTP each request stands alone and is answered by one JSON object: no sessions, no
streams. What cannot be asked or answered is a tool error, whose text the assistant reads.
"""

import urllib.parse
from typing import Annotated, Any, Awaitable

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

import realm_tf
from realm_tf.errors import UserError
from realm_tf.server.body import read_bytes
from realm_tf.server.guard import is_loopback, name_of_host
from realm_tf.server.question_requests import MOST_LISTED_ANSWERS, QuestionRequest
from realm_tf.server.served import MOST_PASSAGES
from realm_tf.server.server_settings import Limits
from realm_tf.server.statuses import Refused, refusal

_INSTRUCTIONS = (
    "Answers questions from one collection of documents, by text cut out of them. `answer` "
    "gives the best answer, how probable it is, and the passage that says so; "
    "`search` gives the passages that fit a question best. Nothing is known here that is "
    "not in these documents.")
_READS_ONLY = ToolAnnotations(read_only_hint=True, idempotent_hint=True,
                              open_world_hint=False)
_Probability = Annotated[float, Field(description="From 0 to 1.")]


class FoundPassage(BaseModel):
  """A passage that was found."""
  title: str
  passage: str
  passage_id: str = Field(description="The document's.")
  probability: float = Field(description="p(passage | question) among those listed.")


class Candidate(BaseModel):
  """An answer, and the passage that it is cut from."""
  answer: str
  probability: _Probability
  title: str
  passage: str
  passage_id: str = Field(description="The document's.")


class Answer(Candidate):
  """The answer to a question."""
  answerable: bool = Field(description="False: the best answer is less probable than was "
                           "wanted; `answer` is empty.")
  calibrated: bool = Field(description="False: nothing fitted the probabilities to how often "
                           "answers are right; they only rank them.")
  answers: list[Candidate] = Field(description="The best one, given or not, then others by "
                                   "falling probability.")
  passages: list[FoundPassage]


class FoundPassages(BaseModel):
  """The passages for a question, best first."""
  passages: list[FoundPassage]


def make_tools(questions: QuestionRequest, name: str) -> MCPServer:
  """A server of both tools, for any transport.

  Args:
    questions: what answers; its limits are theirs.
    name: that hosts show.
  """
  server = MCPServer(name, instructions=_INSTRUCTIONS, version=realm_tf.__version__,
                     subscriptions=False)

  @server.tool(title="Answer a question from the documents", annotations=_READS_ONLY)
  async def answer(
      question: Annotated[str, Field(description="One question, in full words.")],
      top_n: Annotated[int, Field(ge=1, le=MOST_LISTED_ANSWERS, description=(
          "How many answers to list."))] = 3,
      threshold: Annotated[float, Field(ge=0, le=1, description=(
          "No answer if the best is less probable."))] = 0.0,
      passages: Annotated[int, Field(ge=0, le=MOST_PASSAGES, description=(
          "How many of the best passages to list beside the answers."))] = 0) -> Answer:
    """Answers a question by words cut out of the documents, with the passage that says so and
    how probable it is that the answer is right."""
    return Answer.model_validate(await _told(questions.answer_object({
        "question": question, "top_n": top_n, "threshold": threshold,
        "passages": passages})))

  @server.tool(title="Search the documents", annotations=_READS_ONLY)
  async def search(
      question: Annotated[str, Field(description="A question, or what is looked for.")],
      k: Annotated[int, Field(ge=1, le=MOST_PASSAGES, description="How many passages.")] = 5
  ) -> FoundPassages:
    """Finds the passages of the documents that fit a question best."""
    return FoundPassages.model_validate(await _told(questions.search_object({
        "question": question, "k": k})))

  return server


async def _told(result: Awaitable[dict[str, Any]]) -> dict[str, Any]:
  try:
    return await result
  except (Refused, UserError) as error:
    raise ToolError(str(refusal(error))) from None


class Endpoint:
  """The tools over HTTP: an ASGI application for POST; `run` is its lifespan."""

  def __init__(self, questions: QuestionRequest, name: str, limits: Limits):
    server = make_tools(questions, name)
    # The guard looks at hosts, whichever endpoint is asked.
    server.streamable_http_app(
        stateless_http=True, json_response=True, max_request_body_size=limits.max_body_bytes,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False))
    self._manager: StreamableHTTPSessionManager = server.session_manager
    self._limits = limits
    self.run = self._manager.run

  async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    request.state.endpoint = "mcp"
    _check_origin(request)
    content: list[Message] = [{"type": "http.request", "more_body": False,
                               "body": await read_bytes(request, self._limits)}]

    async def again() -> Message:
      return content.pop() if content else await receive()

    await self._manager.handle_request(scope, again, send)


def _check_origin(request: Request) -> None:
  """A page may call the tools of its own server only, as the protocol demands."""
  origin = request.headers.get("origin")
  if origin is None:
    return
  try:
    name = urllib.parse.urlsplit(origin).hostname or "null"
  except ValueError:
    name = "null"
  if name != name_of_host(request.headers.get("host", "")) and not is_loopback(name):
    raise Refused("PERMISSION_DENIED", "A page from elsewhere may not call these tools")
