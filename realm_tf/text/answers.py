"""The form in which answers are compared (SQuAD, ORQA)."""

import re
import string
import unicodedata

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalize(text: str) -> str:
  """The published form for comparing answers, as in SQuAD and ORQA.

  Canonical decomposition, lower case, then without punctuation, without
  articles, and with single spaces, in this order.
  """
  text = unicodedata.normalize("NFD", text).lower().translate(_PUNCTUATION)
  return " ".join(_ARTICLES.sub(" ", text).split())
