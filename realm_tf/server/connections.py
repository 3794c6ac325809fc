"""Connections of clients, which are closed where no request comes.

uvicorn counts connections, refuses further ones past a limit, and waits for ever for the head
of a request: a thousand clients that say nothing would keep all others out.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class ImpatientProtocol(HttpToolsProtocol):
  """As uvicorn's, but a connection whose head is not there in time is closed.

  Attributes:
    HEAD_SECONDS: from the opening of a connection, and from the first byte of each further
      request, to the end of the request's head.
  """
  HEAD_SECONDS = 20.0
  _head: asyncio.TimerHandle | None = None

  def connection_made(self, transport: Any) -> None:
    super().connection_made(transport)
    self._await_head()

  def on_message_begin(self) -> None:
    if self._head is None:  # else the first request, which is waited for already
      self._await_head()
    super().on_message_begin()

  def on_headers_complete(self) -> None:
    self._stop_waiting()
    super().on_headers_complete()

  def connection_lost(self, exc: Exception | None) -> None:
    self._stop_waiting()
    super().connection_lost(exc)

  def _await_head(self) -> None:
    self._head = self.loop.call_later(self.HEAD_SECONDS, self.timeout_keep_alive_handler)

  def _stop_waiting(self) -> None:
    if self._head is not None:
      self._head.cancel()
      self._head = None
