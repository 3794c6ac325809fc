"""Tags that nothing opens or closes: the parser takes them for text, which they are not.

A <ref> that nobody closed takes nothing with it. What MediaWiki does, the rest of the page up
to the next </ref>, nobody meant, as a slash was forgotten: <ref name=x>.
"""

import re

_BLOCKS = frozenset("div p blockquote poem center li ul ol dl dt dd hr pre br table tr td th "
                    "caption gallery".split())
# Behind a space a single letter is a number that is compared: a < b and c > d.
_TAG = re.compile(r"""</?\ *(?!(?<=\ )[biuspq]\b)(ref|references|small|big|su[bp]|b|i|u|s|del
    |ins|span|font|tt|code|cite|q|em|strong|abbr|var|kbd|samp|mark|nowiki|noinclude
    |includeonly|onlyinclude|section|math|chem|syntaxhighlight|source|nobr|strike|bdi|rt|rp
    |ruby|wbr|br|div|p|blockquote|poem|center|li|ul|ol|dl|dt|dd|hr|pre|table|tr|td|th|caption
    |gallery)\b[^<>]*>|<!--""", re.VERBOSE | re.IGNORECASE)


def without_stray_tags(text: str) -> str:
  return _TAG.sub(_in_place, text) if "<" in text else text


def _in_place(match: re.Match) -> str:
  """A paragraph, a space, or the mark of a power: 10<sup>6 is not 106."""
  name = (match[1] or "").casefold()
  if name == "sup" and not match[0].startswith("</"):
    return "^"
  return "\n\n" if name in _BLOCKS else " " if name == "ref" else ""
