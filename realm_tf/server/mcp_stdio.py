"""The tools for an assistant that starts this process, over its stdin and stdout."""

import asyncio

from realm_tf.server.lifecycle import VersionSource
from realm_tf.server.mcp_tools import make_tools
from realm_tf.server.process import Address, loaded
from realm_tf.server.prometheus import Gauges
from realm_tf.server.question_requests import QuestionRequest
from realm_tf.server.server_settings import Batching, Limits


def answer_stdio(source: VersionSource, where: str, poll_seconds: float) -> None:
  """Answers until stdin ends. Whatever else is printed meanwhile goes to stderr.

  Raises:
    UserError: no version can be loaded.
  """
  place = Address(poll_seconds=poll_seconds)
  with loaded(source, where, place, Batching(), Limits(), Gauges()) as service:
    asyncio.run(make_tools(QuestionRequest(service), place.name).run_stdio_async())
