"""How many there are of something, in words: 1 document, 2 documents."""


def counted(number: int, name: str) -> str:
  """A number and what is counted, which is named in the singular."""
  return f"{number} {name}{'' if number == 1 else 's'}"
