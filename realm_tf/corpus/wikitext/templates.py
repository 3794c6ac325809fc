"""Templates that carry text, by name. All others are dropped, and counted.

Every published extractor drops templates whole, and with them the figures of a sentence: "an
area of and a population of approximately ." (KILT#46, wikiextractor#189).
"""

import re
from typing import Callable

from realm_tf.corpus.wikitext import (
  ages,
  chemistry,
  countries,
  dates,
  density,
  foreign,
  functions,
  money,
  numbered,
  numbers,
  other_wikis,
  signs,
)
from realm_tf.corpus.wikitext.call import Call, Unrendered
from realm_tf.corpus.wikitext.languages import LANGUAGES
from realm_tf.corpus.wikitext.quotes import between_bars, quoted

Render = Callable[[Call], str]


def _one(place: int, *names: str) -> Render:
  """An argument by its place, or by one of its other names."""
  def shown(call: Call) -> str:
    return call.get(str(place + 1), *names) or call.at(place)
  return shown


def _last(call: Call) -> str:
  return call.given[-1] if call.given else ""


def _joined(between: str) -> Render:
  return lambda call: between.join(call.given)


def _fixed(text: str) -> Render:
  return lambda call: text


def _era(name: str) -> Render:
  """{{BC}}; {{BC|44}} -> 44 BC, {{AD|79}} -> AD 79"""
  def shown(call: Call) -> str:
    return " ".join(filter(None, [name, call.at(0)] if name == "AD" else [call.at(0), name]))
  return shown


def _listed(call: Call) -> str:
  """{{plainlist|* one}}: where an argument begins, no line does."""
  return re.sub(r"^\s*[*#]\s*", "", call.get("1") or call.at(0))


def _misspelt(call: Call) -> str:
  """{{sic|reci|eve}} -> recieve: in two parts, lest a program mends it."""
  return "".join(part for part in call.given[:3] if part != "?")


def _class(call: Call) -> str:
  """{{sclass|Iowa|battleship}} -> Iowa-class battleship"""
  return f"{call.need(0)}-class {call.at(1)}".rstrip()


def _boat(call: Call) -> str:
  """{{GS|U|47|1938}} -> U-47"""
  return "-".join(call.positional[:2]).strip("-") or call.need(0)


def _ship(call: Call) -> str:
  """{{ship|HMS|Victory|1765}}, {{USS|Enterprise|CVN-65}}: the ship with its number."""
  parts = call.positional if call.name == "ship" else [
      call.name.upper(), *call.positional]
  prefix, name, number = (*parts, "", "", "")[:3]
  if not name:
    raise Unrendered
  prefix = {"HSWMS": "HSwMS", "HNOMS": "HNoMS"}.get(prefix, prefix)
  return f"{prefix} {name}".strip() + (f" ({number})" if number else "")


def _other_wiki(call: Call) -> str:
  """{{ill|Label|de|Titel|lt=shown}}, {{lien|trad=Title|fr=Titre}}"""
  return call.get("lt", "display", "texte", "en", "fr") or call.need(0)


def _quotation(call: Call) -> str:
  text = call.get("text", "quote", "1") or call.at(0)
  return f"\n\n{text}\n\n"


def _released(call: Call) -> str:
  """{{vgrelease|NA|May 12, 2010|EU|May 14, 2010}} -> NA: May 12, 2010, EU: May 14, 2010"""
  pairs = zip(call.given[::2], call.given[1::2])
  return ", ".join(f"{where}: {when}" for where, when in pairs) or call.need(0)


def _verse(call: Call) -> str:
  """{{bibleverse|1|John|3:16|KJV}} -> 1 John 3:16, of whatever translation"""
  place = next((place for place, part in enumerate(call.positional) if ":" in part), 9)
  return " ".join(filter(None, call.positional[:place + 1])) or call.need(0)


def _french_century(call: Call) -> str:
  """{{s-|XIX|e}} -> XIXe siècle, {{-s-|II|e}} -> IIe siècle av. J.-C."""
  before = " av. J.-C." if call.name.startswith("-") else ""
  return f"{call.need(0)}{call.at(1, 'e')} siècle{before}"


def _roman(call: Call) -> str:
  """{{roman|19}} -> XIX"""
  if not re.fullmatch("[1-9][0-9]{0,3}", call.need(0)) or int(call.at(0)) > 3999:
    raise Unrendered
  number, shown = int(call.at(0)), ""
  for value, letters in _ROMAN:
    shown += letters * (number // value)
    number %= value
  return shown


def _code_point(call: Call) -> str:
  """{{unichar|20AC|Euro sign}} -> U+20AC € Euro sign"""
  if not re.fullmatch("[0-9A-Fa-f]{4,5}", call.need(0)):
    raise Unrendered
  char = chr(int(call.at(0), 16))
  return " ".join(filter(None, (f"U+{call.at(0).upper()}", char if char.isprintable() else "",
                                call.at(1))))


def _nuclide(call: Call) -> str:
  """{{nuclide|uranium|235}} -> uranium-235"""
  return "-".join(call.given) or call.need(0)


def _authors(call: Call) -> str:
  """{{harvtxt|Smith|Jones|2000|p=5}} -> Smith & Jones (2000): it is part of a sentence."""
  *names, year = call.given or [call.need(0)]
  listed = " & ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""
  return f"{listed} ({year})" if listed else year


def _named_authors(call: Call) -> str:
  """{{harvs|txt|last=Smith|year=2000}} -> Smith (2000)"""
  names = [call.get(*((f"last{number}", "last") if number == 1 else (f"last{number}",)))
           for number in range(1, 5)]
  if "txt" not in (*call.positional, *call.named):
    return ""  # a reference in brackets
  return _authors(Call(call.name, [*filter(None, names), call.get("year1", "year")], {}))


def _origin(call: Call) -> str:
  """{{etymology|grc|λόγος|word}} -> from Ancient Greek λόγος 'word'"""
  language = LANGUAGES.get(call.need(0), "")
  meant = f" {quoted(call.at(2))}" if call.at(2) else ""
  return " ".join(filter(None, ("from", language, call.need(1)))) + meant


_ROMAN = ((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"),
          (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))
# Their text is their first argument.
_FIRST = """
  nowrap, nobr, nobreak, nowr, no wrap, nonbreak, avoid wrap, wrap, longitem, small, smaller,
  big, larger, large, em, strong, bold, italic, italics, noitalic, no italic, nobold, no bold,
  normal, underline, overline, u, sc, smallcaps, small caps, sc2, allcaps, smallcaps all,
  abbr, abbrv, abbrlink, mono, code, kbd, var, mvar, math, samp, tt, not a typo, as written,
  proper name, typo, inserted text, visible anchor, vanchor, key, button, char, highlight,
  mark, dfn,
  term, defn, noredirect, no redirect, plainlink, ruby, ruby-ja, center, centre, trim,
  angbr, angle bracket, rtl, ltr, bdi, unbulleted, tq, xt, green, red, blue, gray, grey,
  noflag, title case, vec, tooltip, format link, sronly, larger, visually hidden,
  single+double, pre, block indent, abbreviation, citation needed span, cn-span, cn span,
  dubious span, clarify span, failed verification span, unreliable source span,
  disputed span, right, left, i, b, caps, uppercase, lowercase, nocaps, sentence case, serif,
  bigmath, chem name, in5, stack, float right, float left, block center, nastaliq, nq, naskh,
  uninastaliq, subatomic particle, subatomicparticle, tsc, sc1, gd, midsize, crossref,
  cross-reference, crossreference, huge, nowraplinks, j, nwr, -r, sm, au, equationref, tquote,
  grapheme, wikt, pie, gbmapping, gbmappingsmall, oscoor, imo number
"""
# And of these the second.
_SECOND = """
  lang, langr, native name, nativename, rtl-lang, wikt-lang, wt, color, colour,
  colored text, bg, font, fontcolor, hover title, h:title, audio, sort, ntsh, align,
  background color, stl, station link, native phrase, rquote, numblk, background
"""
_QUOTATIONS = """
  quote, blockquote, block quote, cquote, bq, quotation, quote box, poemquote, poem quote,
  centered pull quote, pull quote, pullquote, poem, verse translation, quote frame
"""
_LISTS = """
  hlist, ubl, ublist, unbulleted list, cslist, bulleted list, flowlist, enum, ordered list,
  comma separated entries, unbulletedlist, br separated entries, br list, numbered list,
  brlist
"""
_SHIPS = """
  hms, uss, ss, rms, mv, ms, hmas, hmcs, sms, ins, usns, rv, ship, usat, uscgc, hmnzs, smu,
  ps, hnlms, hdms, orp, js, roks, rfa, tss, hmhs, usrc, css, bap, ara, hmy, gts, hswms, hnoms
"""


def _names(listed: str) -> list[str]:
  return [" ".join(name.split()) for name in listed.split(",")]


_TEXT: dict[str, Render] = {
    **dict.fromkeys(_names(_FIRST), _one(0, "text", "content")),
    **dict.fromkeys(_names(_SECOND), _one(1, "text")),
    **dict.fromkeys(_names(_SHIPS), _ship), **dict.fromkeys(_names(_QUOTATIONS), _quotation),
    **dict.fromkeys(_names(_LISTS), _joined(", ")),
    **dict.fromkeys(("winloss", "win-loss", "wl", "wdl"), _joined("–")),
    **dict.fromkeys(("sclass", "sclass2", "sclass-", "ship class"), _class),
    **dict.fromkeys(("gs", "jsub"), _boat),
    **dict.fromkeys(("plainlist", "flatlist", "columns-list", "indented plainlist",
                     "columnslist", "column list", "collist", "cast listing", "castlisting",
                     "cast list", "castlist"), _listed), "resize": _last,
    **dict.fromkeys(("keypress", "key press"), _joined("+")), "linktext": _joined(""),
    "font color": _last, "equationnote": _last, "url": _last, "nowrap begin": _fixed(""),
    "nowrap end": _fixed(""),
    **dict.fromkeys(("ill", "interlanguage link", "illm", "interlanguage link multi",
                     "link-interwiki", "lien"), _other_wiki),
    **dict.fromkeys(("s-", "s", "-s-"), _french_century),
    "siglo": lambda call: f"siglo {call.need(0)}",
    "sortname": lambda call: " ".join(call.given[:2]), "hs": _fixed(""),
    "hidden sort key": _fixed(""), "last-first": _joined(" "),
    "section link": _joined(" § "), "slink": _joined(" § "),
    "flagdeco": _fixed(""), "flag+link": _last, "flagg": _last,
    **dict.fromkeys(("rws", "stnlnk", "stn", "lus", "metrod", "rwsa"), _one(0)),
    **dict.fromkeys(("post-nominals", "postnominals", "post-nom"), _joined(" ")),
    "postnominals/gbr": _joined(" "), "etymology": _origin,
    **dict.fromkeys(("harvtxt", "harvp", "citet"), _authors), "harvs": _named_authors,
    **dict.fromkeys(("vgrelease", "video game release", "vgrelease new"), _released),
    **dict.fromkeys(("bibleverse", "bibleref", "bibleref2", "bible verse", "bible"), _verse),
    **dict.fromkeys(("roman", "roman numeral"), _roman),
    **dict.fromkeys(("nuclide", "isotope", "simplenuclide", "simplenuclide2",
                     "complexnuclide"), _nuclide), "unichar": _code_point,
    "sic": _misspelt,
    **dict.fromkeys(("née", "nee"), lambda call: f"née {call.at(0)}".rstrip()),
    "né": lambda call: f"né {call.at(0)}".rstrip(),
    "bracket": lambda call: f"[{call.at(0)}]", "interp": lambda call: f"[{call.at(0)}]",
    "abs": lambda call: between_bars(call.need(0)),
    **dict.fromkeys(("see below", "see above"), lambda call: f"({call.at(0)})")}
TEMPLATES: dict[str, Render] = {
    **{name.casefold(): _era(name) for name in ("BCE", "CE", "BC", "AD")},
    **functions.FUNCTIONS, **signs.SIGN_TEMPLATES, **money.MONEY_TEMPLATES,
    **numbers.NUMBER_TEMPLATES, **dates.DATE_TEMPLATES, **ages.AGE_TEMPLATES,
    **density.DENSITY_TEMPLATES, **numbered.NUMBERED_TEMPLATES, **countries.COUNTRY_TEMPLATES,
    **foreign.FOREIGN_TEMPLATES, **chemistry.CHEMISTRY_TEMPLATES, **_TEXT,
    **other_wikis.OTHER_WIKIS}


def render(call: Call) -> str | None:
  """The text of a template; None where it has none that is known here."""
  shown = TEMPLATES.get(call.name) or foreign.of_prefix(call.name)
  try:
    return shown(call) if shown else None
  except Unrendered:
    if call.name in functions.FUNCTIONS:
      return None  # a formula says nothing
    # Whatever it is, its words are better than a gap.
    return " ".join(call.given) or None


def is_known(name: str) -> bool:
  return name in TEMPLATES or foreign.of_prefix(name) is not None
