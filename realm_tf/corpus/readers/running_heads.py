"""Lines that pages repeat at their tops and feet, in the middle of what is written there."""

import re

_NEAR = 4  # pages before and behind: left and right ones may have heads of their own
_OTHERS = 2  # of these have the same line
_NUMBER = re.compile(r"\d+|\b[ivxl]+\b")
# What may stand beside the number of a page: "Page 5 of 9", "- 5 -", or a name of two words,
# for "Chapter 5" at the top of a page says what is below it.
_BESIDE = re.compile(r"\W*(?:page|p|pg|seite|s|página|pagina|pág|strana|стр)?\W*"
                     r"(?:#\W*(?:of|von|de|di|/|из)?\W*)?#?\W*|.*\w{2,}\W+\w{2,}.*")


def without_running_heads(pages: list[str]) -> list[str]:
  """The pages less such a line at either end; one that has no others is left as it is."""
  lines = [page.split("\n") for page in pages]
  for place in (0, -1):
    keys = [_key(page, place) for page in lines]
    for number, (page, key) in enumerate(zip(lines, keys)):
      near = keys[max(number - _NEAR, 0):number] + keys[number + 1:number + 1 + _NEAR]
      if key and near.count(key) >= _OTHERS and any(
          line.strip() for line in (page[1:] if place == 0 else page[:-1])):
        del page[place]
  return ["\n".join(page) for page in lines]


def _key(page: list[str], place: int) -> str:
  """By which the line is known on other pages; empty where it is none that could repeat."""
  while len(page) > 1 and not page[place].strip():
    del page[place]
  line = " ".join(page[place].casefold().split())
  key = _NUMBER.sub("#", line)
  return "" if key != line and not _BESIDE.fullmatch(key) else key
