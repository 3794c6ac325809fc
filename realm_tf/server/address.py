"""Where a server listens, and for whom; no TensorFlow: a port in use is said early."""

import contextlib
import dataclasses
import errno
import os
import socket
from typing import Iterator

from realm_tf.errors import UserError
from realm_tf.server.guard import name_of_host


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

  Raises:
    UserError: an allowed host is no name of one.
  """
  host: str = "127.0.0.1"
  port: int = 8501
  name: str = "realm"
  labels: tuple[str, ...] = ()
  keys_file: str = ""
  allowed_hosts: tuple[str, ...] = ()
  poll_seconds: float = 1.0
  graceful_seconds: int = 30

  def __post_init__(self) -> None:
    for name in self.allowed_hosts:
      if not name_of_host(name) or set(name) & set("/*@?# "):
        raise UserError(f"--allowed_hosts={name}: expected names of hosts, such as "
                        "realm.example")


@contextlib.contextmanager
def listening(place: Address) -> Iterator[socket.socket]:
  """The socket of a server, which takes connections that are answered later.

  Raises:
    UserError: the port is taken, or the host is none of this machine.
  """
  try:
    family = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)[0][0]
    listener = socket.create_server((place.host, place.port), family=family, backlog=2048)
  except (OSError, OverflowError, UnicodeError) as error:
    number = getattr(error, "errno", None) or 0
    taken = number in (errno.EADDRINUSE, errno.EACCES)
    reason = os.strerror(number) if taken else getattr(error, "strerror", None) or error
    raise UserError(f"--host={place.host} --port={place.port}: cannot listen there ({reason})"
                    + ("; give another --port, or 0 for any that is free" if taken else "")
                    ) from None
  with contextlib.closing(listener):
    yield listener
