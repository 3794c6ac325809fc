"""Templates that show a sign, with or without what it stands before."""

from typing import Callable

from realm_tf.corpus.small_figures import superscript
from realm_tf.corpus.wikitext.call import Call, Unrendered
from realm_tf.corpus.wikitext.powers import PLUS
from realm_tf.corpus.wikitext.quotes import shielded

_SIGNS = {
    "=": "=", "'": "'", "'s": "'s", '"': '"', "`": "`", "-'": "'",
    "' \"": "'\"", "\" '": "\"'", "'\"": "'\"", "\"'": "\"'", "'-": "'", "-s": "'s",
    "–": "–", "ndash": "–", "en dash": "–", "endash": "–", "--": "–", "snd": " – ",
    "spnd": " – ", "spaced ndash": " – ", "spaced en dash": " – ", "dash": " – ",
    "snds": " – ", "sndash": " – ", "spndash": " – ", "nsndns": " – ", "—": "—", "mdash": "—",
    "em dash": "—", "emdash": "—", "---": "—", "spaced mdash": " — ", "long dash": "——",
    "hyphen": "-", "hyp": "-", "nbhyph": "-", "nbh": "-", "nbhyphen": "-",
    "nbsp": " ", "nbs": " ", "nnbsp": " ", "hard space": " ", "non-breaking space": " ",
    "okina": "ʻ", "hamza": "ʾ", "ayin": "ʿ", "ayn": "ʿ", "saltillo": "ꞌ", "dagger": "†",
    "double-dagger": "‡", "tau": "τ", "hbar": "ℏ", "nabla": "∇", "infin": "∞", "mu": "μ",
    "lord": "Lord", "e-": "e⁻", "section sign": "§", "space": " ",
    "spaces": " ", "sp": " ", "em space": " ", "en space": " ",
    "figure space": " ", "pad": " ", "gap": " ", "indent": " ", "quad": " ", "i sp": " ",
    "0": "", "zwsp": "", "zwj": "", "zwnj": "", "shy": "", "wbr": "", "·": " · ",
    "•": " • ", "dot": " · ", "bull": " • ", "bullet": " • ", "middot": " · ", "*": "*",
    "pound": "#", "number sign": "#", "hash": "#", "asterisk": "*", "pipe": "|", "\\": " / ",
    "sharp": "♯", "flat": "♭", "natural": "♮", "ellipsis": "…", "(!": "[", "!)": "]",
    "(": "{", ")": "}", "((": "{{", "))": "}}", "crlf": "\n", "break": "\n\n",
    "br": "\n\n", "paragraph": "\n\n", "paragraph break": "\n\n", "pb": "\n\n",
    "1/2": f"{PLUS}1/2", "1/4": f"{PLUS}1/4", "3/4": f"{PLUS}3/4", "1/3": f"{PLUS}1/3",
    "2/3": f"{PLUS}2/3",
    **{f"{odd}/8": f"{PLUS}{odd}/8" for odd in (1, 3, 5, 7)},
    "yes": "Yes", "no": "No", "n/a": "N/A", "tba": "TBA", "pi": "π",
    "co2": "CO₂", "h2o": "H₂O", "clear": "", "-": "", "coord": ""}
_BEFORE = {"minus": "−", "times": "×", "×": "×", "~": "~", "approx": "≈",
           "hashtag": "#", "no.": "No. ", "numero": "No. ", "number sign": "#"}
_MUSIC = {"flat": "♭", "b": "♭", "sharp": "♯", "#": "♯", "natural": "♮"}


def _alone(sign: str) -> Callable[[Call], str]:
  return lambda call: sign


def _before(sign: str) -> Callable[[Call], str]:
  """{{±|5}} -> ±5"""
  return lambda call: f"{sign}{call.at(0)}"


def _more_or_less(call: Call) -> str:
  """{{±|5}} -> ±5; {{±|5|6}} -> +5−6"""
  return f"+{call.at(0)}−{call.at(1)}" if call.at(1) else f"±{call.at(0)}"


def _within(first: str, last: str) -> Callable[[Call], str]:
  return lambda call: f"{first}{', '.join(call.given)}{last}"


def _root(call: Call) -> str:
  """{{sqrt|2}} -> √2; {{radic|8|3}} -> ³√8"""
  return f"{superscript(call.at(1))}√{call.at(0)}"


def _music(call: Call) -> str:
  """{{music|flat}} -> ♭; {{music|time|3|4}} -> 3/4"""
  if call.at(0) == "time":
    return "/".join(call.given[1:])
  if call.at(0) not in _MUSIC:
    raise Unrendered
  return _MUSIC[call.at(0)]


SIGN_TEMPLATES: dict[str, Callable[[Call], str]] = {
    **{name: _alone(shielded(sign)) for name, sign in _SIGNS.items()},
    "!": _alone("|"), "!!": _alone("||"),  # of tables
    **{name: _before(sign) for name, sign in _BEFORE.items()}, "music": _music,
    **dict.fromkeys(("±", "+-", "+/-", "pm", "plusminus"), _more_or_less),
    **dict.fromkeys(("sqrt", "radic"), _root),
    # Intervals: {{closed-open|0, 1}} -> [0, 1)
    **{f"{left}-{right}": _within("[("[left == "open"], "])"[right == "open"])
       for left in ("open", "closed") for right in ("open", "closed")},
    **dict.fromkeys(("mset", "set"), _within("{", "}")),
    "norm": _within("‖", "‖"), "ket": _within(shielded("|"), "⟩"),
    "bra vector": _within("⟨", shielded("|")),
    **dict.fromkeys(("binom", "tbinom", "dbinom"),
                    lambda call: f"({call.need(0)} choose {call.need(1)})"),
    "floor": lambda call: f"⌊{call.at(0)}⌋", "ceil": lambda call: f"⌈{call.at(0)}⌉",
    # Figures and units with a narrow space between them.
    **dict.fromkeys(("thinsp", "thin space", "hairsp", "hair space"),
                    lambda call: " ".join(call.given) or " ")}
