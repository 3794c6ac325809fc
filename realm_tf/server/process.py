"""The server as a process: its socket, its signals, its end."""

import contextlib
import dataclasses
import gc
import ipaddress
import socket
from typing import Iterator

import uvicorn
from absl import logging
from starlette.types import ASGIApp

from realm_tf.errors import UserError
from realm_tf.server.app import make_app
from realm_tf.server.batching import Batcher
from realm_tf.server.keys import read_keys
from realm_tf.server.lifecycle import Lifecycle, Source, Watcher
from realm_tf.server.prometheus import Gauges
from realm_tf.server.served import Served
from realm_tf.server.server_settings import Batching, Limits
from realm_tf.server.service import Service

_CONNECTIONS = 1000  # at a time; more are told 503


@dataclasses.dataclass(frozen=True)
class Address:
  """Where a server listens, under which name, and to whom.

  Attributes:
    host: an address of this machine.
    port: 0: any that is free.
    name: of the model.
    labels: of versions that mean the one that answers.
    keys_file: of API keys; "": none is needed.
    allowed_hosts: further names that the Host header may have.
    poll_seconds: between two looks for versions.
    graceful_seconds: for which requests that were accepted may go on at the end.
  """
  host: str = "127.0.0.1"
  port: int = 8501
  name: str = "realm"
  labels: tuple[str, ...] = ()
  keys_file: str = ""
  allowed_hosts: tuple[str, ...] = ()
  poll_seconds: float = 1.0
  graceful_seconds: int = 30


def serve(source: Source, where: str, place: Address, batching: Batching, limits: Limits
          ) -> None:
  """Serves until SIGTERM or Ctrl-C, then finishes what was accepted.

  Raises:
    UserError: no version can be loaded, the keys cannot be read, or the port is taken.
  """
  keys = read_keys(place.keys_file) if place.keys_file else ()
  with _listening(place) as listener, running(source, where, place, batching, limits,
                                              keys) as app:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"realm: {place.name} answers at http://{shown}:{port}", flush=True)
    if not keys and not _is_loopback(host):
      logging.warning("%s can be reached from other machines, and asks for no API key "
                      "(--api_keys)", shown)
    server = uvicorn.Server(uvicorn.Config(
        app, http="httptools", ws="none", loop="asyncio", lifespan="off", log_config=None,
        access_log=False, proxy_headers=False, server_header=False,
        limit_concurrency=_CONNECTIONS, timeout_graceful_shutdown=place.graceful_seconds))
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises its signal again
      server.run(sockets=[listener])
  print("realm: stopped", flush=True)


@contextlib.contextmanager
def running(source: Source, where: str, place: Address, batching: Batching, limits: Limits,
            keys: tuple[bytes, ...] = ()) -> Iterator[ASGIApp]:
  """The application over a model that is loaded and watched."""
  gc.collect()
  gc.freeze()  # what is there before a model stays: later collections need not look at it
  metrics = Gauges()
  lifecycle = Lifecycle(source, Served, where, metrics.swap, metrics.refused)
  lifecycle.start()
  batcher = Batcher(batching, metrics.batch)
  watcher = Watcher(lifecycle.look, place.poll_seconds)
  hosts = {place.host, *place.allowed_hosts} if _is_loopback(place.host) else set()
  try:
    yield make_app(Service(place.name, lifecycle, batcher, limits, place.labels), metrics,
                   keys, hosts)
  finally:
    watcher.stop()
    batcher.close()


@contextlib.contextmanager
def _listening(place: Address) -> Iterator[socket.socket]:
  try:
    family = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)[0][0]
    listener = socket.create_server((place.host, place.port), family=family, backlog=2048)
  except (OSError, OverflowError, UnicodeError) as error:
    raise UserError(f"--host={place.host} --port={place.port}: cannot listen there "
                    f"({getattr(error, 'strerror', None) or error})") from None
  with contextlib.closing(listener):
    yield listener


def _is_loopback(host: str) -> bool:
  try:
    return host == "localhost" or ipaddress.ip_address(host).is_loopback
  except ValueError:
    return False
