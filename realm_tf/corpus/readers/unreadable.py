"""What a parser says of a document that cannot be read."""


class Unreadable(Exception):
  """One document cannot be read: it is skipped, and counted by `reason`."""

  def __init__(self, reason: str, detail: str = ""):
    super().__init__(reason, detail)
    self.reason, self.detail = reason, detail
