"""API keys: a file of them, one a line, and whether a request brings one."""

import hashlib
import hmac
import os
import stat

from absl import logging

from realm_tf.errors import UserError

_LEAST = 16  # characters


def read_keys(path: str | os.PathLike) -> tuple[bytes, ...]:
  """The SHA-256 of each key in a file; blank lines and those that begin with # are none.

  Raises:
    UserError: names the line, never what stands in it.
  """
  try:
    with open(path, encoding="utf-8-sig") as file:
      lines = file.read().splitlines()
      mode = os.fstat(file.fileno()).st_mode
  except (OSError, UnicodeDecodeError) as error:
    reason = getattr(error, "strerror", None) or "not UTF-8"
    raise UserError(f"{path}: cannot be read ({reason})") from None
  keys = []
  for number, line in enumerate(lines, 1):
    key = line.strip()
    if not key or key.startswith("#"):
      continue
    if len(key) < _LEAST or not can_be_key(key):
      raise UserError(f"{path}:{number}: no API key; expected at least {_LEAST} printable "
                      "ASCII characters, no spaces")
    keys.append(hashlib.sha256(key.encode()).digest())
  if not keys:
    raise UserError(f"{path}: no API key in it; expected one a line")
  if stat.S_ISREG(mode) and mode & stat.S_IROTH:
    logging.warning("%s: every user of this machine can read the API keys", path)
  return tuple(keys)


def can_be_key(text: str) -> bool:
  """Whether it is what a header can hold: printable ASCII characters, no spaces."""
  return text.isascii() and text.isprintable() and " " not in text


def is_key(text: str, keys: tuple[bytes, ...]) -> bool:
  """Whether it is one of them, in a time that does not depend on how much of it is right."""
  digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
  matches = [hmac.compare_digest(digest, key) for key in keys]
  return any(matches)


def given_key(authorization: str, x_api_key: str) -> str:
  """The key of a request's two headers, "" for none."""
  scheme, _, token = authorization.partition(" ")
  return token.strip() if scheme.lower() == "bearer" else x_api_key.strip()
