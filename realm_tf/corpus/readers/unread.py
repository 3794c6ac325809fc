"""What of a page of HTML nobody reads: navigation, what is hidden, what asks for cookies."""

import re

from lxml import etree

_UNREAD = frozenset("""
  script style noscript template title nav footer aside button select textarea svg iframe
  object audio video canvas map dialog rp rt del datalist annotation annotation-xml noframes
""".split())
# What older pages say instead of <nav>, <footer>, <aside> and <dialog>.
_UNREAD_ROLES = frozenset("""
  navigation banner contentinfo complementary search dialog alertdialog menu menubar tablist
  toolbar tooltip
""".split())
# MediaWiki's, then those by which frameworks hide what screen readers say and printers omit.
_UNREAD_CLASSES = frozenset("""
  mw-editsection mw-jump-link mw-cite-backlink mw-indicators noprint printfooter catlinks
  navbox mw-portlet sistersitebox
  sr-only visually-hidden screen-reader-text no-print d-print-none skip-link
  headerlink viewcode-link
""".split())
_COOKIES = re.compile(r"""
    (?:eu-?|gdpr-?)?cookies?[-_]?(?:banner|consent|notice|bar|law|message|popup|modal|dialog
    |overlay|warning|alert|disclaimer|info)(?:[-_].*)?|cookieconsent.*|cc-window
    |onetrust-(?:banner|consent)-sdk|cybotcookiebotdialog|gdpr[-_](?:banner|consent|notice).*
    """, re.VERBOSE | re.IGNORECASE)
_HIDING = re.compile(r"\b(display\s*:\s*none|visibility\s*:\s*hidden)\b", re.IGNORECASE)
_IN_LINE = frozenset(("a", "i", "span", "sup"))
_PAGE = frozenset(("html", "body"))


def is_unread(element: etree._Element) -> bool:
  """Whether nobody reads it. A page that is hidden as a whole is shown by a script.

  So are signs beside headings, and formulas that stand there for those who hear them, too.
  """
  name = element.tag
  if name in _UNREAD:
    return True
  if name in _PAGE or not (named := element.keys()):
    return False
  return ("hidden" in named
          or ("style" in named and bool(_HIDING.search(element.get("style", ""))))
          or (name in _IN_LINE and element.get("aria-hidden") == "true")
          or ("role" in named and element.get("role", "").strip() in _UNREAD_ROLES)
          or ("class" in named and _is_of_unread_class(name, element.get("class", "")))
          or ("id" in named and bool(_COOKIES.fullmatch(element.get("id", "").strip()))))


def _is_of_unread_class(name: str, classes: str) -> bool:
  listed = classes.split()
  return (not _UNREAD_CLASSES.isdisjoint(listed)
          or (name == "sup" and "reference" in listed)  # MediaWiki's [9]
          or ("ookie" in classes or "cc-w" in classes or "gdpr" in classes)
          and any(map(_COOKIES.fullmatch, listed)))
