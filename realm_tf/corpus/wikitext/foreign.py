"""Templates that show words of other languages: how they are written, and what they mean."""

import unicodedata
from typing import Callable

from realm_tf.corpus.wikitext.call import Call
from realm_tf.corpus.wikitext.languages import LANGUAGES
from realm_tf.corpus.wikitext.quotes import quoted

_KINDS = {"c": "Chinese", "t": "traditional Chinese", "s": "simplified Chinese",
          "p": "pinyin", "w": "Wade–Giles", "j": "Jyutping", "poj": "Pe̍h-ōe-jī",
          "hangul": "Korean", "hanja": "Hanja", "rr": "RR", "mr": "MR", "l": "lit.",
          "lit": "lit."}


def _is_latin(text: str) -> bool:
  letters = [char for char in text if char.isalpha()]
  return all("LATIN" in unicodedata.name(char, "") for char in letters)


def _in_language(call: Call) -> str:
  """{{langx|ru|Москва|Moskva}}, {{lang-ru|…}} -> Russian: Москва, romanized: Moskva"""
  code, first = (call.name[5:], 0) if call.name.startswith("lang-") else (call.at(0), 1)
  name = LANGUAGES.get(code.partition("-")[0].casefold(), "")
  text = call.get("text") or call.need(first)
  latin = call.get("translit", "r", "rr", "tr")
  meant = call.get("lit", "translation", "gloss", "m")
  second, third = call.at(first + 1), call.at(first + 2)
  if _is_latin(text):
    meant = meant or third or second
  else:
    latin, meant = latin or second, meant or third
  name = call.get("label") or name
  label = "" if name in ("", "none") else f"{name}: "
  return "".join((label, text, f", romanized: {latin}" if latin else "",
                  f", lit. {quoted(meant)}" if meant else ""))


def _nihongo(call: Call) -> str:
  """{{nihongo|Tokyo Tower|東京タワー|Tōkyō tawā|extra|extra2}}"""
  meant, kanji, latin, more = _japanese(call)
  return _in_brackets(meant, kanji, latin, more) + _behind(call)


def _nihongo3(call: Call) -> str:
  """{{nihongo3|Tokyo Tower|東京タワー|Tōkyō tawā}}: how it is said comes first."""
  meant, kanji, latin, more = _japanese(call)
  shown = (_in_brackets(latin, kanji, meant, more) if latin
           else _in_brackets(meant, kanji, more))
  return shown + _behind(call)


def _nihongo_core(call: Call) -> str:
  """{{nihongo core|東京タワー|Tōkyō tawā}}: without the English."""
  return ", ".join(filter(None, [call.at(place) for place in range(3)]))


def _japanese(call: Call) -> tuple[str, str, str, str]:
  """What it means, how it is written and said, and what else is said of it."""
  return (call.get("english") or call.at(0),
          call.get("kanji", "ja", "japanese") or call.at(1),
          call.get("romaji", "hepburn") or call.at(2), call.get("extra") or call.at(3))


def _in_brackets(first: str, *inner: str) -> str:
  within = ", ".join(filter(None, inner))
  return f"{first} ({within})" if first and within else first or within


def _behind(call: Call) -> str:
  text = call.get("extra2") or call.at(4)
  return f" {text}" if text else ""


def _kinds(call: Call) -> str:
  """{{zh|t=北京|p=Běijīng}}, {{korean|서울|rr=Seoul}}: what is said, with its kind."""
  shown = call.given[:1]
  for name, kind in _KINDS.items():
    if said := call.named.get(name):
      meant = kind == "lit."
      said = quoted(said) if meant else said
      bare = call.get("labels") == "no" and not meant
      shown.append(said if bare else f"{kind} {said}" if meant else f"{kind}: {said}")
  return "; ".join(shown) or call.need(0)


def _transliterated(call: Call) -> str:
  """{{transl|ru|Moskva}}, {{transl|ar|ALA|kitāb}}: the last of code, system and text."""
  return call.get("text") or call.at(2) or call.need(1)


def _meaning(call: Call) -> str:
  """{{lit|word}}, {{literal translation|word|other}} -> lit. 'word' or 'other'"""
  return "lit. " + " or ".join(map(quoted, call.given)) if call.given else "lit."


def in_script(call: Call) -> str:
  """{{script|Cyrl|Москва}}, {{script/Hebrew|שלום}}"""
  return call.given[-1] if call.given else call.need(0)


def of_prefix(name: str) -> Callable[[Call], str] | None:
  """For {{lang-fr}} and {{script/Arabic}}, of which there are hundreds."""
  return (_in_language if name.startswith("lang-") else
          in_script if name.startswith("script/") else None)


FOREIGN_TEMPLATES: dict[str, Callable[[Call], str]] = {
    **dict.fromkeys(("langx", "lang-x"), _in_language),
    **dict.fromkeys(("nihongo", "nihongo krt", "nihongo4"), _nihongo), "nihongo3": _nihongo3,
    "nihongo core": _nihongo_core, "nihongo foot": lambda call: call.at(0),
    "nihongo2": lambda call: call.at(0),
    **dict.fromkeys(("zh", "lang-zh", "zhi", "cjkv", "korean", "ko-hhrm"), _kinds),
    **dict.fromkeys(("transl", "transliteration", "translit", "tlit", "xlit"),
                    _transliterated),
    **dict.fromkeys(("lit", "lit.", "literal translation", "literally", "literal"), _meaning),
    "gloss": lambda call: quoted(call.need(0)),
    **dict.fromkeys(("script", "hebrew", "arabic", "unicode", "iast", "polytonic",
                     "lang block", "isotranslit"), in_script)}
