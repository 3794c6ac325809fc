"""WordPiece vocabularies for tests: small ones made here, the real one where it is."""

import os
import pathlib
import string
from typing import Iterable

import pytest

_REAL = pathlib.Path(__file__).parents[1] / "data" / "weights" / "minilm" / "vocab.txt"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = """
  the a of in and is was to he she it they art party london paris tower born died year
  cat dog sat on mat river city capital france germany old new great
""".split()


def small_vocabulary(more: Iterable[str] = ()) -> list[str]:
  """Special tokens, `WORDS`, `more`, and ASCII, also as continuations of words."""
  characters = string.ascii_lowercase + string.digits
  tokens = [*SPECIAL, *string.punctuation, *characters]
  tokens += [f"##{character}" for character in characters]
  return list(dict.fromkeys([*tokens, *WORDS, *more]))


def real_vocabulary() -> pathlib.Path:
  """Path of the bert-base-uncased vocabulary; skips the test where there is none."""
  path = pathlib.Path(os.environ.get("REALM_TEST_VOCABULARY", _REAL))
  if not path.exists():
    pytest.skip(f"the real vocabulary is not there: {path} (run `make setup`, or set "
                "REALM_TEST_VOCABULARY)")
  return path
