"""The text of a page of PDF whose exponents are told by their size and place: 10⁶, not 106.

pypdf gives a page as pieces, one for each change of font; what is smaller and higher than
the piece before it on the same line is an exponent.
"""

import math
import re
from typing import Any, NamedTuple

import pypdf

from realm_tf.corpus.small_figures import exponent, is_exponent, raised, subscript

# Of the size of what they stand beside: how much smaller, and how far off its line.
_SMALLER, _LEAST, _MOST = 0.9, 0.08, 0.9
_SHOWING = frozenset((b"Tj", b"TJ", b"'", b'"'))
_STACKED = re.compile(r"(\d+) (\d+)")  # one above the other, where both are small
_SPACES = re.compile(r"(\s*)(.*?)(\s*)", re.DOTALL)


class _Piece(NamedTuple):
  """Text; where it begins, which way is up (of length 1), and its size on the page."""
  text: str
  place: tuple[float, float]
  up: tuple[float, float]
  size: float

  def height(self, other: "_Piece") -> float:
    """How high another piece stands above its line, by its size."""
    across, along = (there - here for here, there in zip(self.place, other.place))
    return (across * self.up[0] + along * self.up[1]) / (self.size or 1)


class _Pieces:
  """Takes what pypdf tells of a page while it is read."""

  def __init__(self) -> None:
    self.all: list[_Piece] = []
    self._rise = self._shown_at = 0.0
    self._saved: list[float] = []

  def operator(self, operator: bytes, operands: Any, *matrices: Any) -> None:
    """Follows how far text is raised, of which pypdf takes no notice."""
    if operator == b"Ts" and operands and isinstance(operands[0], int | float):
      self._rise = float(operands[0])
    elif operator == b"q":
      self._saved.append(self._rise)
    elif operator == b"Q" and self._saved:
      self._rise = self._saved.pop()
    elif operator in _SHOWING:
      self._shown_at = self._rise

  def text(self, text: str, page: Any, line: Any, font: Any, size: float) -> None:
    """One piece; `page` and `line` are the matrices of both."""
    if not text:
      return
    across, along = (line[2] * page[side] + line[3] * page[2 + side] for side in (0, 1))
    scale = math.hypot(across, along) or 1.0
    up = across / scale, along / scale
    x, y = (line[4] * page[side] + line[5] * page[2 + side] + page[4 + side]
            + self._shown_at * scale * up[side] for side in (0, 1))
    self.all.append(_Piece(text, (x, y), up, abs(size) * scale))


def page_text(page: pypdf.PageObject) -> str:
  """What `page.extract_text()` gives, but for exponents."""
  pieces = _Pieces()
  text = page.extract_text(visitor_operand_before=pieces.operator, visitor_text=pieces.text)
  if "".join(piece.text for piece in pieces.all) != text:
    return text
  return _joined(pieces.all)


def _joined(pieces: list[_Piece]) -> str:
  """The text, where pieces that stand above or below the line are drawn so."""
  shown, base, place = "", None, 0
  while place < len(pieces):
    piece = pieces[place]
    base = piece if base is None or shown[-1:] in ("", "\n") else base
    side = _side(base, piece)
    end = place + 1
    while side and end < len(pieces) and pieces[end - 1].text[-1:] != "\n" and (
        _side(base, pieces[end]) == side):
      end += 1
    following = pieces[end] if end < len(pieces) else None
    text = "".join(one.text for one in pieces[place:end])
    if not side and _begins_line(shown, piece, following):
      text = _within_spaces(text, raised)
    elif side:
      inner = _joined(pieces[place:end]) if side > 0 else text
      if inner != text or (side > 0 and raised(text) != text):
        # pypdf sees a gap where there is hardly one.
        shown = re.sub(r"(?<=\w) $", "", shown)
        text, inner = text.lstrip(" "), inner.lstrip(" ")
      if inner == text or side < 0:
        text = _script(text, side, shown, following, base)
      else:  # an exponent with one of its own
        text = _within_spaces(inner, "^({})".format if _is_base(shown) else str)
    shown += text
    base = piece if not side and piece.text.strip() else base
    place = end
  return shown


def _side(base: _Piece | None, piece: _Piece) -> int:
  """1: above the line of `base`, and smaller; -1: below it; 0: neither."""
  if base is None or piece is base or piece.size > _SMALLER * base.size:
    return 0
  height = base.height(piece)
  return 0 if not _LEAST < abs(height) < _MOST else 1 if height > 0 else -1


def _begins_line(shown: str, piece: _Piece, following: _Piece | None) -> bool:
  """Whether a line begins with a piece that is above it: the number of a note."""
  return (shown[-1:] in ("", "\n") and following is not None
          and piece.text[-1:] != "\n" and _side(following, piece) == 1)


def _script(text: str, side: int, shown: str, following: _Piece | None, base: _Piece | None
            ) -> str:
  """Text above or below the line, behind what is `shown`, as it is read."""
  behind = following.text if following and text[-1:].strip() else ""
  stacked = _STACKED.fullmatch(text.strip())
  if stacked and (shown[-1:].isdigit() or not shown[-1:].strip()):
    gap = " " if shown[-1:].isdigit() else ""
    return _within_spaces(text, lambda _: f"{gap}{stacked[1]}/{stacked[2]}")
  if side < 0:
    is_part = text.strip().isdecimal() and (shown[-1:].isdigit() or behind[:1].isdigit())
    after_stroke = shown[-1:] in ("/", "⁄")
    return subscript(text) if is_part and not after_stroke else text
  if behind[:1] in ("/", "⁄") and following and _is_stroke(following, base):
    return f" {text}" if shown[-1:].isdigit() else text  # 5 1/2
  is_behind = _is_base(shown) or not is_exponent(text)
  return _within_spaces(text, exponent if is_behind else raised)


def _is_base(shown: str) -> bool:
  """Whether an exponent may stand behind it."""
  return shown[-1:].isalnum() or shown[-1:] in (")", "]")


def _is_stroke(following: _Piece, base: _Piece | None) -> bool:
  """Whether it is the stroke of a fraction alone, and not the one of m²/s."""
  return len(following.text.strip()) == 1 or _side(base, following) != 0


def _within_spaces(text: str, draw: Any) -> str:
  match = _SPACES.fullmatch(text)
  return f"{match[1]}{draw(match[2])}{match[3]}" if match else text
