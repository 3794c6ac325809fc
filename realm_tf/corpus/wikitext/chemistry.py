"""Chemical formulas, by templates and as <chem> has them: 2H2 + O2 -> 2H2O."""

import re

from realm_tf.corpus.small_figures import subscript, superscript
from realm_tf.corpus.wikitext.call import Call

# A count stands behind an element or a bracket; any other figure is a coefficient or text.
_COUNT = re.compile(r"(?<=[A-Za-z)\]}])\d+")
_HIGH = re.compile(r"\^\{?([\dn]*[+\-−]?)\}?")
_LOW = re.compile(r"_\{?(\d+)\}?")
_CHARGE = re.compile(r"\((\d*[+−-])\)|(?<=[A-Za-z\d)\]])([+-])(?=\s|$)")
_ARROWS = (("<=>>", "⇌"), ("<<=>", "⇌"), ("<=>", "⇌"), ("<-->", "⇄"), ("<->", "↔"),
           ("->", "→"), ("<-", "←"))
_CONDITION = re.compile(r"(?<=[→⇌])\[[^\[\]]*\](?:\[[^\[\]]*\])?")
# What {{chem2}} calls bonds and signs.
_BONDS = {"\\s": "–", "\\d": "=", "\\t": "≡", "<->": "⇌", "->": "→"}
_DOT = re.compile(r"(?<=[\w)\]])[.*](?=\d*[A-Z])")  # CuSO4*5H2O


def read_chemistry(text: str) -> str | None:
  """What stands in <chem> as a line of text; None where it holds other commands of TeX."""
  for arrow, sign in _ARROWS:
    text = text.replace(arrow, sign)
  text = _DOT.sub("·", _CONDITION.sub("", text))
  text = _scripts(text)
  text = re.sub(r"(?<=[A-Za-z₀-₉)\]])[+-](?=\s|$)", lambda match: superscript(
      match.group()), text)
  return None if "\\" in text else re.sub(r"[{}]", "", " ".join(text.split()))


def _scripts(text: str) -> str:
  text = _HIGH.sub(lambda match: superscript(match[1]), text)
  text = _LOW.sub(lambda match: subscript(match[1]), text)
  return _COUNT.sub(lambda match: subscript(match.group()), text)


def _counted(call: Call) -> str:
  """{{chem|SO|4|2-}} -> SO₄²⁻: elements and counts in turn, and a charge."""
  return "".join(superscript(part) if part[-1] in "+-−" else
                 subscript(part) if re.fullmatch(r"[\d.,–-]+", part) else part
                 for part in call.given)


def _linear(call: Call) -> str:
  """{{chem2|SO4(2-)}}, {{chem2|Na+}}, {{chem2|CH3\\sCH3}}"""
  text = " ".join(call.given)
  for bond, sign in _BONDS.items():
    text = text.replace(bond, sign)
  text = _CHARGE.sub(lambda match: superscript(match[1] or match[2]), _DOT.sub("·", text))
  return _scripts(text)


CHEMISTRY_TEMPLATES = {
    **dict.fromkeys(("chem", "fchim", "formule chimique", "chem/link"), _counted),
    "chem2": _linear}
