"""What every request goes through: who asks, what they are not told, what is counted."""

import ipaddress
import time
from typing import Callable, Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from realm_tf.server import body
from realm_tf.server.keys import given_key, is_key
from realm_tf.server.statuses import Refused, refusal

# No inline code, nothing from elsewhere, no frames, no forms that lead elsewhere.
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff", "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()"}
# Without a key: what says nothing of the documents.
OPEN = ("/", "/page.css", "/page.js", "/icon.svg", "/docs", "/openapi.json", "/v2",
        "/v2/health/live", "/v2/health/ready")
Observe = Callable[[str, int, float], None]  # endpoint, status, seconds


class Guard:
  """An ASGI middleware.

  Args:
    app: what answers; its errors become {"error": ...} here, and no more than that.
    keys: digests of API keys; without any, none is needed.
    hosts: names that the Host header may have, as by `name_of_host`; any if empty.
    observe: is told of each request; its endpoint is what a handler has left in
      `scope["state"]["endpoint"]`, or "other".
  """

  def __init__(self, app: ASGIApp, keys: tuple[bytes, ...], hosts: Collection[str],
               observe: Observe):
    self._app, self._keys, self._hosts, self._observe = app, keys, hosts, observe

  async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
      await self._app(scope, receive, send)
      return
    begun, status = time.monotonic(), 0

    async def sending(message: Message) -> None:
      nonlocal status
      if message["type"] == "http.response.start":
        status = message["status"]
        headers = MutableHeaders(scope=message)
        for name, value in HEADERS.items():
          headers.setdefault(name, value)
      await send(message)

    try:
      self._admit(scope)
      await self._app(scope, receive, sending)
    except Exception as error:  # pylint: disable=broad-except
      if not status:  # else the application has said what it is
        await body.refused(refusal(error))(scope, receive, sending)
    finally:
      endpoint = scope.get("state", {}).get("endpoint", "other")
      self._observe(endpoint, status, time.monotonic() - begun)

  def _admit(self, scope: Scope) -> None:
    headers = Headers(scope=scope)
    host = name_of_host(headers.get("host", ""))
    if self._hosts and host not in self._hosts and not is_loopback(host):
      raise Refused("PERMISSION_DENIED", "This server answers to another host name; it was "
                    "told none but its own (--allowed_hosts)")
    if not self._keys or scope["path"] in OPEN:
      return
    key = given_key(headers.get("authorization", ""), headers.get("x-api-key", ""))
    if not is_key(key, self._keys):
      raise Refused("UNAUTHENTICATED", "Expected an API key, as 'Authorization: Bearer KEY' "
                    "or 'X-API-Key: KEY'", headers={"www-authenticate": "Bearer"})


def name_of_host(host: str) -> str:
  """Of a Host header or a flag, without the port, in the form in which names are compared."""
  if host.startswith("["):
    return host[1:].partition("]")[0].lower()
  if host.count(":") > 1:  # an IPv6 address, which a flag gives without brackets
    return host.lower()
  return host.partition(":")[0].lower()


def is_loopback(host: str) -> bool:
  """Of what `name_of_host` gives."""
  try:
    return host == "localhost" or ipaddress.ip_address(host).is_loopback
  except ValueError:
    return False
