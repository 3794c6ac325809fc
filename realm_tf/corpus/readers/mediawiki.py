"""XML dumps of MediaWiki: articles as plain text, parsed on all cores.

Redirects, other namespaces, lists and disambiguations are left out, as ORQA did. Text is made
by `wikitext`; a page that takes that too long or too much memory is skipped.
"""

import contextlib
import json
import pathlib
import re
from typing import Any, Iterator

from realm_tf.corpus.readers.children import Children
from realm_tf.corpus.readers.dump import MOST_PAGE_CHARACTERS, Page, read_pages
from realm_tf.corpus.readers.maker import Document, Format, Lines, Maker
from realm_tf.corpus.readers.titles import DISAMBIGUATIONS, no_article
from realm_tf.corpus.readers.unreadable import Unreadable
from realm_tf.extras import require
from realm_tf.lines import plain_suffix
from realm_tf.parallel import in_order

_READ = "realm_tf.corpus.wikitext.article:read_article"
_SECONDS = 30.0  # of processor time, for one page
_REDIRECT = re.compile(r"\s*#\w+\s*:?\s*\[\[")  # "# [[A]]" begins a list


def _parse(numbered: Lines, maker: Maker) -> Iterator[Document]:
  require(("mwparserfromhell",), f"{maker.path}", "documents")

  def render(page: Page) -> tuple[Page, Any]:
    try:
      data = json.dumps({"title": page.title, "text": page.text,
                         "without_text": page.without_text}).encode()
      return page, children.call(_READ, data, _SECONDS)
    except Unreadable as problem:
      return page, problem

  with Children() as children, contextlib.closing(
      in_order(render, _articles(numbered, maker))) as results:
    for page, result in results:
      if isinstance(result, Unreadable):
        maker.skip(page.title, result.reason, result.detail)
        continue
      for kind, counts in result["dropped"].items():
        maker.report.counts[kind].update(counts)
      if result["is_disambiguation"]:
        maker.leave_out(page.title, DISAMBIGUATIONS)
      else:
        yield from maker.make(page.title, {
            "id": page.id, "title": page.title, "text": result["text"]})


def _articles(numbered: Lines, maker: Maker) -> Iterator[Page]:
  """The pages that are articles by what the dump says of them."""
  for page in read_pages(numbered, maker.path):
    if page.namespace != "0":
      maker.leave_out(page.title, "pages of other namespaces")
    elif page.is_redirect or _REDIRECT.match(page.text or ""):
      maker.leave_out(page.title, "redirects")
    elif page.model != "wikitext":
      maker.leave_out(page.title, f"pages of {page.model[:40]}")
    elif reason := no_article(page.title):
      maker.leave_out(page.title, reason)
    elif not page.title:
      maker.skip(f"page {page.id}", "title is empty")
    elif page.text is None:
      maker.skip(page.title, "page is too long",
                 f"more than {MOST_PAGE_CHARACTERS} characters")
    else:
      yield page


def _sniff(path: pathlib.Path, first: str) -> bool:
  start = first.lstrip("\ufeff \t")
  return start.startswith(("<mediawiki", "<?xml")) or plain_suffix(path) == ".xml"


MEDIAWIKI = Format(_parse, _sniff)
