"""Templates that carry text, by name. All others are dropped, and counted.

Every published extractor drops templates whole, and with them the figures of a sentence: "an
area of and a population of approximately ." (KILT#46, wikiextractor#189).
"""

import re
from typing import Callable

from realm_tf.corpus.wikitext import dates, numbers
from realm_tf.corpus.wikitext.call import Call, Unrendered
from realm_tf.corpus.wikitext.languages import LANGUAGES

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


def _in_language(call: Call) -> str:
  """{{langx|fr|Bonjour}}, {{lang-fr|Bonjour}} -> French: Bonjour"""
  code, first = (call.name[5:], 0) if call.name.startswith("lang-") else (call.at(0), 1)
  name = LANGUAGES.get(code.partition("-")[0].casefold(), "")
  text = call.get("text") or call.need(first)
  more = f", '{call.get('lit', 'translation')}'" if call.get("lit", "translation") else ""
  label = "" if call.get("label") == "none" or not name else f"{name}: "
  return f"{label}{text}{more}"


def _nihongo(call: Call) -> str:
  """{{nihongo|Tokyo Tower|東京タワー|Tōkyō tawā|extra}}"""
  meant = call.at(0)
  inner = ", ".join(filter(None, [call.at(1), call.at(2), call.at(3) or call.get("extra")]))
  return f"{meant} ({inner})" if meant and inner else meant or inner


def _nihongo3(call: Call) -> str:
  """{{nihongo3|Tokyo Tower|東京タワー|Tōkyō tawā}}: how it is said comes first."""
  first, *rest = [part for part in (call.at(2), call.at(0), "") if part] or [""]
  inner = ", ".join(filter(None, [call.at(1), *rest, call.at(3)]))
  return f"{first} ({inner})" if first and inner else first or inner


def _chinese(call: Call) -> str:
  """{{zh|t=北京|p=Běijīng}}, {{korean|hangul=…}}: what is said, with its kind."""
  kinds = {"c": "Chinese", "t": "traditional Chinese", "s": "simplified Chinese",
           "p": "pinyin", "w": "Wade–Giles", "j": "Jyutping", "l": "lit.",
           "hangul": "Korean", "hanja": "Hanja", "rr": "RR", "mr": "MR", "lit": "lit."}
  shown = [f"{kind}: {call.named[name]}" for name, kind in kinds.items()
           if call.named.get(name)]
  return "; ".join(shown) or call.need(0)


def _transliterated(call: Call) -> str:
  """{{transl|ru|Moskva}}, {{transl|ar|ALA|kitāb}}: the last of code, system and text."""
  return call.get("text") or call.at(2) or call.need(1)


def _era(name: str) -> Render:
  """{{BC}}; {{BC|44}} -> 44 BC, {{AD|79}} -> AD 79"""
  def shown(call: Call) -> str:
    return " ".join(filter(None, [name, call.at(0)] if name == "AD" else [call.at(0), name]))
  return shown


def _listed(call: Call) -> str:
  """{{plainlist|* one}}: where an argument begins, no line does."""
  return re.sub(r"^\s*[*#]\s*", "", call.get("1") or call.at(0))


def _ship(call: Call) -> str:
  """{{ship|HMS|Victory|1765}}, {{USS|Enterprise|CVN-65}}: the ship with its number."""
  parts = call.positional if call.name in ("ship", "sclass") else [
      call.name.upper(), *call.positional]
  prefix, name, number = (*parts, "", "", "")[:3]
  return f"{prefix} {name}".strip() + (f" ({number})" if number else "")


def _other_wiki(call: Call) -> str:
  """{{ill|Label|de|Titel|lt=shown}}"""
  return call.get("lt", "display") or call.need(0)


def _quotation(call: Call) -> str:
  text = call.get("text", "quote", "1") or call.at(0)
  return f"\n\n{text}\n\n"


def _if(call: Call) -> str:
  """{{#if: condition | then | else}}; other parser functions are not computed."""
  return call.at(1) if call.at(0).strip() else call.at(2)


def _if_equal(call: Call) -> str:
  return call.at(2) if call.at(0).strip() == call.at(1).strip() else call.at(3)


def _switch(call: Call) -> str:
  value = call.at(0).strip()
  return call.named.get(value.casefold()) or call.get("#default") or call.need(1)


def _flag_of(call: Call) -> str:
  return call.get("name") or call.need(0)


def _plural(call: Call) -> str:
  return call.at(1) if call.at(0).strip() == "1" else call.at(2)


# Their text is their first argument.
_FIRST = """
  nowrap, nobr, nobreak, nowr, no wrap, avoid wrap, longitem, small, smaller, big, larger,
  large, em, strong, bold, italic, italics, noitalic, no italic, nobold, no bold,
  normal, underline, overline, u, sc, smallcaps, small caps, sc2, allcaps, abbr, abbrv,
  abbrlink, mono, code, kbd, var, mvar, math, samp, tt, not a typo, as written,
  proper name, sic, typo, visible anchor, vanchor, linktext, key, button,
  noredirect, no redirect, plainlink, ruby, ruby-ja, center, centre,
  angbr, rtl, ltr, bdi, unbulleted, tq, xt, green, red, blue, gray, grey
"""
# And of these the second.
_SECOND = """
  lang, native name, nativename, rtl-lang, script, wikt-lang, wt, color, colour,
  colored text, bg, font, fontcolor, hover title
"""
_SHIPS = "hms, uss, ss, rms, mv, ms, hmas, hmcs, sms, ins, usns, rv, ship, usat, uscgc, hmnzs"

_TEXT: dict[str, Render] = {
    **{" ".join(name.split()): _one(0, "text", "content") for name in _FIRST.split(",")},
    **{" ".join(name.split()): _one(1, "text") for name in _SECOND.split(",")},
    **{name.strip(): _ship for name in _SHIPS.split(",")},
    **dict.fromkeys(("transl", "transliteration", "translit"), _transliterated),
    **dict.fromkeys(("plainlist", "flatlist"), _listed), "resize": _last,
    **dict.fromkeys(("keypress", "key press"), _joined("+")), "nihongo krt": _nihongo,
    "font color": _last, "tooltip": _one(0), "langx": _in_language, "lang-x": _in_language,
    "langr": _one(1), "nihongo": _nihongo, "nihongo2": _one(0), "nihongo3": _nihongo3,
    "nihongo foot": _one(0), "zh": _chinese, "lang-zh": _chinese, "korean": _chinese,
    "ko-hhrm": _chinese, "ill": _other_wiki, "interlanguage link": _other_wiki,
    "quote": _quotation, "blockquote": _quotation, "cquote": _quotation, "bq": _quotation,
    "quotation": _quotation, "quote box": _quotation, "poemquote": _quotation,
    "poem quote": _quotation, "hlist": _joined(", "), "ubl": _joined(", "),
    "ublist": _joined(", "), "unbulleted list": _joined(", "), "cslist": _joined(", "),
    "bulleted list": _joined(", "), "flowlist": _joined(", "), "enum": _joined(", "),
    "sortname": _joined(" "), "hs": _fixed(""), "last-first": _joined(" "),
    "unité": _joined(" "), "unite": _joined(" "), "chem": _joined(""), "chem2": _joined(""),
    "section link": _joined(" § "), "slink": _joined(" § "), "flag": _flag_of,
    "flagcountry": _flag_of, "flagdeco": _fixed(""), "flagu": _flag_of, "flaglist": _flag_of,
    "flag+link": _last, "vgrelease": _joined(": "), "bibleverse": _joined(" "),
    "plural": _plural, "#if": _if, "#ifeq": _if_equal, "#switch": _switch, "lc": lambda c: (
        c.at(0).lower()), "uc": lambda c: c.at(0).upper(), "lcfirst": lambda c: (
            c.at(0)[:1].lower() + c.at(0)[1:]), "ucfirst": lambda c: (
                c.at(0)[:1].upper() + c.at(0)[1:]),
    "pagename": lambda c: c.page, "fullpagename": lambda c: c.page,
    "basepagename": lambda c: c.page, "pagenamebase": lambda c: re.sub(
        r" \([^()]*\)$", "", c.page)}
_SIGNS = {
    "!": "|", "=": "=", "'": "'", "'s": "'s", '"': '"', '\'"': '\'"', '"\'': '"\'',
    "-'": "'", "–": "–", "ndash": "–", "en dash": "–", "endash": "–", "snd": " – ",
    "spnd": " – ", "spaced ndash": " – ", "spaced en dash": " – ", "dash": " – ",
    "mdash": "—", "em dash": "—", "emdash": "—", "spaced mdash": " — ", "nbsp": " ",
    "space": " ", "spaces": " ", "sp": " ", "thinsp": " ", "thin space": " ", "hairsp": " ",
    "zwsp": "", "zwj": "", "zwnj": "", "shy": "", "wbr": "", "·": " · ", "•": " • ",
    "dot": " · ", "bull": " • ", "middot": " · ", "pound": "#", "number sign": "#",
    "hash": "#", "asterisk": "*", "pipe": "|", "minus": "−", "+-": "±", "times": "×",
    "sharp": "♯", "flat": "♭", "natural": "♮", "music": "", "ellipsis": "…", "(!": "[",
    "!)": "]", "(": "{", ")": "}", "((": "{{", "))": "}}", "crlf": "\n", "break": "\n\n",
    "br": "\n\n", "paragraph": "\n\n", "pb": "\n\n", "1/2": "1/2", "1/4": "1/4",
    "3/4": "3/4", "1/3": "1/3", "2/3": "2/3", "yes": "Yes", "no": "No", "clear": "", "-": "",
    "coord": ""}
TEMPLATES: dict[str, Render] = {
    **{name.casefold(): _era(name) for name in ("BCE", "CE", "BC", "AD")},
    **{name: _fixed(text) for name, text in _SIGNS.items()}, **numbers.NUMBER_TEMPLATES,
    **dates.DATE_TEMPLATES, **_TEXT}


def render(call: Call) -> str | None:
  """The text of a template; None where it has none that is known here."""
  shown = TEMPLATES.get(call.name)
  if shown is None and call.name.startswith("lang-"):
    shown = _in_language
  try:
    return shown(call) if shown else None
  except Unrendered:
    # Whatever it is, its words are better than a gap.
    return " ".join(call.given) or None


def is_known(name: str) -> bool:
  return name in TEMPLATES or name.startswith("lang-")
