"""Templates of other Wikipedias, French to Japanese, that carry figures or words."""

import re
from typing import Callable

from realm_tf.corpus.small_figures import subscript, superscript
from realm_tf.corpus.wikitext.call import Call, Unrendered
from realm_tf.corpus.wikitext.numbers import format_number


def _with_units(call: Call) -> str:
  """{{unité|5.5|m|3|s|-1}} -> 5.5 m³ s⁻¹: each unit may have its exponent behind it."""
  number, *units = call.given or [call.need(0)]
  shown = number
  for before, unit in zip([number, *units], units):
    is_exponent = re.fullmatch(r"[-−]?\d", unit) and not re.search(r"\d", before)
    shown += superscript(unit) if is_exponent else f" {unit}"
  return shown


def _read_as(call: Call) -> str:
  """{{読み仮名|首都|しゅと}} -> 首都（しゅと）"""
  return f"{call.need(0)}（{call.at(1)}）" if call.at(1) else call.need(0)


def _hour(call: Call) -> str:
  """{{heure|5|30}} -> 5 h 30"""
  return " ".join(filter(None, (call.need(0), "h", call.at(1))))


def _centuries(call: Call) -> str:
  """{{sp-|XIX|e|-|XX|e}} -> XIXe - XXe siècles"""
  if len(call.given) != 5:
    raise Unrendered
  first, of_first, between, last, of_last = call.given
  return f"{first}{of_first} {between} {last}{of_last} siècles"


def _index_or_india(call: Call) -> str:
  """CO{{ind|2}}; {{IND}}, {{IND|1947}} is the country, whose names are spelled alike here."""
  return subscript(call.at(0)) if len(call.at(0)) in (1, 2) else "India"


def _roman_or_romania(call: Call) -> str:
  """{{rom|V}}; {{ROM}}, {{ROM|1952}}"""
  return call.at(0) if re.fullmatch("[IVXLCDM]+", call.at(0)) else "Romania"


def _before(words: str) -> Callable[[Call], str]:
  return lambda call: f"{words} {call.at(0)}".rstrip()


OTHER_WIKIS: dict[str, Callable[[Call], str]] = {
    **dict.fromkeys(("unité", "unite", "unidad"), _with_units),
    "ind": _index_or_india, "rom": _roman_or_romania,
    "exp": lambda call: superscript(call.need(0)), "1er": _before("1er"),
    "1re": _before("1re"), "ier": _before("Ier"), "ire": _before("Ire"),
    **dict.fromkeys(("n°", "numéro"), _before("no")), "m.": _before("M."),
    "mme": _before("Mme"), "mlle": _before("Mlle"), "heure": _hour, "sp-": _centuries,
    **dict.fromkeys(("abréviation", "terme défini", "incise", "rom-maj", "versalita",
                     "esd", "ルビ", "仮リンク", "要出典範囲"), lambda call: call.need(0)),
    "langue": lambda call: call.need(1),
    **dict.fromkeys(("読み仮名", "読み仮名 ruby不使用"), _read_as),
    "formatzahl": format_number, "höhe": lambda call: f"{call.need(0)} m"}
