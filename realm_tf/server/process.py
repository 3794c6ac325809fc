"""The server as a process: its socket, its signals, its end."""

import contextlib
import gc
import socket
from typing import Iterator

import uvicorn
from absl import logging
from starlette.types import ASGIApp

from realm_tf.server.address import Address
from realm_tf.server.app import make_app
from realm_tf.server.batching import Batcher
from realm_tf.server.connections import ImpatientProtocol
from realm_tf.server.guard import is_loopback, name_of_host
from realm_tf.server.keys import read_keys
from realm_tf.server.lifecycle import Lifecycle, VersionSource, Watcher
from realm_tf.server.prometheus import Gauges
from realm_tf.server.served import Served
from realm_tf.server.server_settings import Batching, Limits
from realm_tf.server.service import Service

_CONNECTIONS = 1000  # at a time; more are told 503


def serve(source: VersionSource, where: str, place: Address, batching: Batching,
          limits: Limits, listener: socket.socket) -> None:
  """Serves at a socket until SIGTERM or Ctrl-C, then finishes what was accepted.

  Raises:
    UserError: no version can be loaded, or the keys cannot be read.
  """
  keys = read_keys(place.keys_file) if place.keys_file else ()
  host, port = listener.getsockname()[:2]
  with running(source, where, place, batching, limits, keys, host) as app:
    address = f"[{host}]" if ":" in host else host
    print(f"realm: {place.name} answers at http://{address}:{port}", flush=True)
    if not keys and not is_loopback(host):
      logging.warning("%s can be reached from other machines, and asks for no API key "
                      "(--api_keys)", address)
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises its signal again
      http_server(app, place.graceful_seconds).run(sockets=[listener])
  print("realm: stopped", flush=True)


def http_server(app: ASGIApp, graceful_seconds: int) -> uvicorn.Server:
  """What speaks HTTP for an application."""
  return uvicorn.Server(uvicorn.Config(
      app, http=ImpatientProtocol, ws="none", loop="asyncio", lifespan="on", log_config=None,
      access_log=False, proxy_headers=False, server_header=False,
      limit_concurrency=_CONNECTIONS, timeout_graceful_shutdown=graceful_seconds))


@contextlib.contextmanager
def running(source: VersionSource, where: str, place: Address, batching: Batching,
            limits: Limits, keys: tuple[bytes, ...] = (),
            bound: str = "") -> Iterator[ASGIApp]:
  """The application over a model that is loaded and watched.

  `bound` is the address that `place.host` stands for, where that is known.
  """
  metrics = Gauges()
  with loaded(source, where, place, batching, limits, metrics) as service:
    yield make_app(service, metrics, keys, own_names(place, bound or place.host))


def own_names(place: Address, bound: str) -> set[str]:
  """The names that a Host header may have, as by `name_of_host`; none: it may have any.

  Only what listens on loopback has names, by which browsers of this machine know it.
  """
  if not is_loopback(name_of_host(bound)):
    return set()
  return {name_of_host(name) for name in (place.host, *place.allowed_hosts)}


@contextlib.contextmanager
def loaded(source: VersionSource, where: str, place: Address, batching: Batching,
           limits: Limits, metrics: Gauges) -> Iterator[Service]:
  """A model that is loaded and watched; at the end what was accepted is finished.

  Raises:
    UserError: no version can be loaded.
  """
  gc.collect()
  gc.freeze()  # what is there before a model stays: later collections need not look at it
  lifecycle = Lifecycle(source, Served, where, metrics.swap, metrics.refused)
  lifecycle.start()
  batcher = Batcher(batching, metrics.batch)
  watcher = Watcher(lifecycle.look, place.poll_seconds)
  try:
    yield Service(place.name, lifecycle, batcher, limits, place.labels)
  finally:
    watcher.stop()
    batcher.close()
