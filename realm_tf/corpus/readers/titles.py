"""Which pages of Wikipedia are no articles, by their titles, as ORQA chose them.

Source: google-research/language, orqa/preprocessing/wiki_preprocessor.py (`remove_doc`).
"""

import re

LISTS, DISAMBIGUATIONS = "lists, indexes and outlines", "disambiguations"
_LISTS = re.compile("(List|Index|Outline) of .+")


def no_article(title: str) -> str | None:
  """Why a page is left out; None for articles."""
  if _LISTS.match(title):
    return LISTS
  return DISAMBIGUATIONS if "(disambiguation)" in title else None
