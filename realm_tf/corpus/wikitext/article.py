"""An article's wikitext as plain text: its paragraphs and lists.

Tables, references, files and categories are out, and so are sections of references and links.
Templates are rendered where `templates` knows them, and counted where it does not.
"""

import collections
import html
import json
import re
import sys
from collections.abc import Iterable
from typing import Any

import mwparserfromhell
from mwparserfromhell import nodes

from realm_tf.corpus.readers.unreadable import Unreadable
from realm_tf.corpus.small_figures import subscript
from realm_tf.corpus.wikitext import templates
from realm_tf.corpus.wikitext.call import Call
from realm_tf.corpus.wikitext.chemistry import read_chemistry
from realm_tf.corpus.wikitext.formula import read_formula
from realm_tf.corpus.wikitext.layout import laid_out
from realm_tf.corpus.wikitext.of_languages import END_SECTIONS, WITHOUT_TEXT
from realm_tf.corpus.wikitext.powers import of_wikitext
from realm_tf.corpus.wikitext.quotes import put_together, shielded
from realm_tf.corpus.wikitext.stray_tags import without_stray_tags

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z-]+)?|simple")
_DISAMBIGUATION = re.compile(r"""disambig.*|.*\bdisambiguation|dab|disamb|hndis|geodis|mathdab
    |numberdis|mil-unit-dis|callsigndis|schooldis|hospitaldis|roaddis
    |letter–number\ combination\ disam.*
    |begriffsklärung|homonymie|desambigua.*|doorverwijspagina|ujednoznacznienie
    |неоднозначность|многозначность|aimai|曖昧さ回避|消歧义|消歧義|동음이의|förgrening""",
    re.VERBOSE)
_OF_DISAMBIGUATIONS = re.compile(r"category:.*\bdisambiguation pages", re.IGNORECASE)

_DROPPED_TAGS = frozenset("""
  ref references table gallery timeline imagemap score graph mapframe maplink templatestyles
  style script includeonly syntaxhighlight source section del s strike indicator hiero rt rp
""".split())
# What articles give for each variant of their language: -{zh-hans:里根;zh-hant:雷根}-
_VARIANTS = re.compile(
    r"-\{(?:([A-Z;]+)\|)?([^{}|]*(?:\b(?:zh|sr|sh|kk|ku|uz|tg|gan|iu|shi|crh)(?:-[a-z]+)?:"
    r"|[\u4e00-\u9fff])[^{}|]*)\}-")
_VARIANT = re.compile(r"\s*[a-z]{2,3}(?:-[a-z]+)?\s*:")
# A comparison, which the parser would take for a tag that ends the call.
_COMPARISON = re.compile(r"(?<=\{\{)\s*#(?:if)?expr\s*:[^|{}]*")
# Whose letters are variables, also where they are upright.
_FORMULAS = frozenset("math mvar bigmath nummath i var em".split())
# By their spelling alone these are no currency, ship and country: {{MYR|5}} is RM5.
_OTHERWISE = {"Myr": "million years", "Ins": "inserted text", "Bra": "bra vector"}
_CODE = ("syntaxhighlight", "source")  # within a sentence, or a block of it
_BLOCK_TAGS = frozenset("div p blockquote poem center li ul ol dl dt dd hr pre".split())


class _Article:
  """Renders one page.

  Attributes:
    dropped: how many, by "templates" and "tags", and by name.
    is_disambiguation: whether a template says so.
  """

  def __init__(self, title: str, without_text: Iterable[str] = ()):
    self._title = title
    self._without_text = WITHOUT_TEXT.union(without_text)
    self.dropped: dict[str, collections.Counter[str]] = {
        "templates": collections.Counter(), "tags": collections.Counter()}
    self.is_disambiguation = False
    self._formulas = 0  # that are open

  def sections(self, code: Any) -> str:
    """The text of a page, without its headings and the sections that end it."""
    pieces, dropped_level = [], 0
    for node in code.nodes:
      if isinstance(node, nodes.Heading):
        if dropped_level and node.level > dropped_level:
          continue
        name = " ".join(self.render(node.title).split()).casefold()
        dropped_level = node.level if name in END_SECTIONS else 0
        pieces.append("\n\n")
      elif not dropped_level:
        pieces.append(self._node(node))
      elif isinstance(node, nodes.Template):
        self._look_for_disambiguation(_name(node))
      elif isinstance(node, nodes.Wikilink):
        self._look_for_category(str(node.title))
    return put_together(pieces)

  def render(self, code: Any) -> str:
    return put_together(map(self._node, code.nodes)) if code is not None else ""

  def _node(self, node: Any) -> str:
    match node:
      case nodes.Text():
        return without_stray_tags(str(node.value))
      case nodes.HTMLEntity():
        return _character(node)
      case nodes.Template():
        return self._template(node)
      case nodes.Wikilink():
        return self._link(node)
      case nodes.ExternalLink():
        return self.render(node.title) if node.title or node.brackets else str(node.url)
      case nodes.Tag():
        return self._tag(node)
      case nodes.Argument():
        return self.render(node.default)
      case nodes.Heading():
        return "\n\n"
    return ""  # comments

  def _link(self, node: nodes.Wikilink) -> str:
    title = self.render(node.title).strip()
    self._look_for_category(title)
    prefix, colon, _ = title.replace("_", " ").casefold().partition(":")
    prefix = prefix.strip() if colon else ""
    if prefix in self._without_text or (
        prefix and not node.text and _LANGUAGE.fullmatch(prefix)):
      return ""
    shown = self.render(node.text) if node.text is not None else ""
    return shown if shown.strip() else title.lstrip(":").replace("_", " ")

  def _tag(self, node: nodes.Tag) -> str:
    name = str(node.tag).strip().casefold()
    if node.wiki_markup and name != "table":
      return "\n\n" if name in _BLOCK_TAGS else self.render(node.contents)
    if name == "br":
      return "\n\n"
    if name in _CODE and any(str(one.name).strip() == "inline" for one in node.attributes):
      return shielded(str(node.contents))
    if name in _DROPPED_TAGS or "display:none" in _style(node):
      return "\n\n" if name == "table" else ""
    if name in ("math", "chem", "ce"):
      return self._formula(name, str(node.contents).strip())
    if name == "nowiki":
      return shielded(str(node.contents))
    text = self.render(node.contents)
    if name == "q":
      return f"“{text}”"
    if name in ("sup", "sub"):
      is_formula = self._formulas > 0 or _is_variable(node.contents)
      return of_wikitext(text, is_formula) if name == "sup" else subscript(text)
    return f"\n\n{text}\n\n" if name in _BLOCK_TAGS else text

  def _formula(self, name: str, tex: str) -> str:
    """A formula that reads as a line of text; others are dropped, and counted."""
    shown = (read_chemistry if name in ("chem", "ce") else read_formula)(tex)
    if shown is None:
      self.dropped["tags"][name] += 1
    return shielded(shown or "")

  def _look_for_disambiguation(self, name: str) -> None:
    self.is_disambiguation |= bool(_DISAMBIGUATION.fullmatch(name))

  def _look_for_category(self, title: str) -> None:
    self.is_disambiguation |= bool(_OF_DISAMBIGUATIONS.match(title))

  def _template(self, node: nodes.Template) -> str:
    name = _name(node)
    self._look_for_disambiguation(name)
    function, colon, first = name.partition(":")
    if colon and templates.is_known(function):  # {{formatnum:1234}}, {{#if: x | y}}
      name, head = function, [self.render(node.name).partition(":")[2].strip()]
    else:
      head = []
    shown = None
    if name == "tmath" and node.params:  # <math> by another name: TeX is no wikitext
      return self._formula(name, str(node.params[0].value).strip())
    if templates.is_known(name):
      self._formulas += name in _FORMULAS
      positional, named, ordered = self._arguments(node)
      self._formulas -= name in _FORMULAS
      ordered = [*((None, value) for value in head), *ordered]
      shown = templates.render(
          Call(name, head + positional, named, self._title, ordered))
    if shown is None:  # what stands behind a colon is no name: {{DEFAULTSORT:Last, First}}
      self.dropped["templates"][function if colon else name[:80]] += 1
    return shown or ""

  def _arguments(self, node: nodes.Template) -> tuple[
      list[str], dict[str, str], list[tuple[str | None, str]]]:
    """By place, where `2=` counts as well, by name, and all in their order."""
    named: dict[str, str] = {}
    ordered: list[tuple[str | None, str]] = []
    for parameter in node.params:
      key = str(parameter.name).strip()
      value = self.render(parameter.value).strip()
      named[key.casefold()] = value
      ordered.append((key if parameter.showkey else None, value))
    last = max((int(key) for key in named if re.fullmatch("[1-9][0-9]?", key)), default=0)
    return [named.get(str(place), "") for place in range(1, last + 1)], named, ordered


def _is_variable(code: Any) -> bool:
  """Whether all that stands there is {{mvar|k}}, or <i>k</i>."""
  match code.nodes:
    case [nodes.Template() as node]:
      return _name(node) in _FORMULAS
    case [nodes.Tag() as node]:
      return str(node.tag).strip().casefold() in _FORMULAS
  return False


def _name(node: nodes.Template) -> str:
  name = " ".join(re.sub("<!--.*?-->", "", str(node.name)).replace("_", " ").split())
  name = re.sub("(?i)^(?:(?:safe)?subst:)?(?:template:)?", "", name).strip()
  return _OTHERWISE.get(name[:1].upper() + name[1:], name.casefold())


def _first_variant(match: re.Match) -> str:
  """The first of the variants; nothing where a rule is stated and nothing shown."""
  if match[1] and set(match[1]) & set("HT-"):
    return ""
  first = match[2].partition(";")[0]
  return first.partition(":")[2].strip() if _VARIANT.match(first) else match[2]


def _style(node: nodes.Tag) -> str:
  return "".join(str(attribute.value).replace(" ", "") for attribute in node.attributes
                 if str(attribute.name).strip() == "style" and attribute.value)


def _character(node: nodes.HTMLEntity) -> str:
  try:
    text = node.normalize()
    if "\x80" <= text <= "\x9f":  # as browsers read &#150;
      text = html.unescape(str(node))
    text.encode()
  except (ValueError, OverflowError, UnicodeEncodeError):
    return ""
  return shielded(text)


def read_article(data: bytes) -> dict[str, Any]:
  """The text of a page, whether it is a disambiguation, and what was dropped by name.

  Args:
    data: JSON with `title` and `text`, and perhaps `without_text`: what else links to files
      and categories begin with.

  Raises:
    Unreadable: the parser gives up.
  """
  sys.setrecursionlimit(10_000)  # templates within templates
  page = json.loads(data)
  article = _Article(page["title"], page.get("without_text", ()))
  source = _VARIANTS.sub(_first_variant, _COMPARISON.sub(
      lambda match: match.group().replace("<", "&lt;").replace(">", "&gt;"), page["text"]))
  try:
    code = mwparserfromhell.parse(source, skip_style_tags=True)
  except mwparserfromhell.parser.ParserError as error:
    raise Unreadable("wikitext cannot be parsed", str(error)[:200]) from None
  # Once more for those that hold templates.
  text = laid_out(_VARIANTS.sub(_first_variant, article.sections(code)))
  return {"text": text, "dropped": {kind: dict(counts)
                                    for kind, counts in article.dropped.items()},
          "is_disambiguation": article.is_disambiguation or "__DISAMBIG__" in page["text"]}
