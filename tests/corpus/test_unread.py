"""HTML as sites write it: what nobody reads is out, and what was read by others stays."""

import pytest

from realm_tf.corpus.readers import html

_ARTICLE = """<html><head><title>Berlin - Wikipedia</title></head><body>
<a class="mw-jump-link" href="#x">Jump to content</a><div id="mw-panel" role="navigation">No
</div>
<main id="content"><h1>Berlin</h1><div id="siteSub" class="noprint">From Wikipedia</div>
<p>It<sup id="cite_ref-9" class="reference"><a href="#n">[9]</a></sup> has 891 km<sup>2</sup>
<sup class="noprint Inline-Template">[<i>citation needed</i>]</sup>.</p>
<div class="mw-heading"><h2>Past</h2><span class="mw-editsection">[<a>edit</a>]</span>
</div><table class="infobox"><tr><th>Population<div>(2022)</div></th><td>3,769,495<br>people
</td></tr></table><ol class="references"><li><span class="mw-cite-backlink">^</span>
<span>Ref.</span></li></ol><div class="navbox"><table><tr><td>no</table></div>
<div class="printfooter">Retrieved</div><div class="catlinks">Towns</div></main></body>"""


@pytest.mark.parametrize("page, text", [
    (_ARTICLE, "It has 891 km² .\n\nPast\n\n"
     "Population (2022) | 3,769,495 people.\n\nRef."),
    ("<div role=banner>no</div><div role='contentinfo'>no</div><p role=complementary>no</p>"
     "<div role=search>no</div><div role=presentation><p>Yes.", "Yes."),
    ("<div id=cookie-banner>no</div><div class='x cookie-consent'>no</div>"
     "<div class=cc-window>no</div><div id=onetrust-banner-sdk>no</div>"
     "<div id=CybotCookiebotDialog>no</div><div class=has-cookie-bar>Yes.<p id=cookies>Bake "
     "<b class=cookie>cookies</b> well.",
     "Yes.\n\nBake cookies well."),
    ("<h2 class=sr-only>no</h2><p>A <a class='headerlink x'>¶</a>b "
     "<span class=viewcode-link>no</span>", "A b"),
    ("<main><p>One.</main><p>no<main><p>Two.</main>", "One.\n\nTwo."),
    ("<main hidden><p>no</main><p>no<div role=main><main>Yes.</main> Too.</div>",
     "Yes.\n\nToo."),
    ("<main></main><p>All that there is.", "All that there is."),
    ("<main hidden>no</main><p>All that there is.", "All that there is."),
    ("<div hidden><main>no</main></div><main>Yes.</main>", "Yes.")])
def test_what_nobody_reads(page, text):
  assert html.read_html(page.encode())[1] == text


@pytest.mark.parametrize("title, read", [
    ("Berlin - Wikipedia", "Berlin"), ("Berlin | Travel | Site", "Berlin"),
    ("Berlin — The Site", "Berlin"), ("Berlin: Past", "Berlin: Past"), ("Berlin", "Berlin"),
    ("Site - Berlin", "Site - Berlin"), ("Berlin-Mitte - Site", "Berlin-Mitte - Site"),
    ("Berlin and Site", "Berlin and Site"), ("Berlin -", "Berlin -")])
def test_the_name_of_a_site_is_no_part_of_a_title(title, read):
  page = f"<title>{title}</title><h1></h1><h1>Berlin</h1><p>Old."
  assert html.read_html(page.encode())[0] == read


@pytest.mark.parametrize("cells, text", [
    ("<td><p>a</p></td><td><p>1</p><p>2</p></td>", "a | 1 2."),
    ("<td>a<br>b<td><ul><li>1<li>2</ul>", "a b | 1 2."), ("<td><div>a</div></td>", "a"),
    # Tables that lay pages out.
    ("<td><p>a</p><h2>b</h2></td>", "a\n\nb"), ("<td><pre>a\n  b</pre>c", "a\n  b\n\nc"),
    (f"<td><p>{'a' * 150}</p><p>{'b' * 150}</p></td>", f"{'a' * 150}\n\n{'b' * 150}"),
    ("<td><p>a</p><table><tr><td><p>b</p></td></tr></table></td>", "a\n\nb")])
def test_cells(cells, text):
  page = f"<table><tr>{cells}</table>"
  assert html.read_html(page.encode())[1] == text
