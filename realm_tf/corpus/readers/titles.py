"""Which pages of Wikipedia are no articles, by their titles, as ORQA chose them.

Source: google-research/language, orqa/preprocessing/wiki_preprocessor.py (`remove_doc`).
"""

import re

_LISTS = re.compile("(List|Index|Outline) of .+")


def no_article(title: str) -> str | None:
  """Why a page is left out; None for articles."""
  if _LISTS.match(title):
    return "lists, indexes and outlines"
  return "disambiguations" if "(disambiguation)" in title else None
