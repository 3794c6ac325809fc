"""Wikitext as plain text: what stays, what goes, and that numbers do not vanish."""

import json
import re

import pytest

from realm_tf.corpus.wikitext.article import read_article


def _read(text, title="Here (town)"):
  return read_article(json.dumps({"title": title, "text": text}).encode())


def _text(text):
  return _read(text)["text"]


@pytest.mark.parametrize("wikitext, text", [
    # As they stand in articles, and as MediaWiki shows them, less what it computes.
    ("an area of {{convert|505.9|km2|sqmi|abbr=on}} and", "an area of 505.9 km² and"),
    ("{{convert|12345|km}} {{cvt|3|-|5|ft}} {{Convert|10|x|20|m}}",
     "12,345 km 3–5 ft 10 × 20 m"),
    ("{{convert|5|ft|10|in|m|2}} {{convert|1+1/2|mi|adj=on}} {{convert|-40|C|F}}",
     "5 ft 10 in 1 1/2 mi -40 °C"),
    ("{{convert|1,200|acre}}, {{convert|3.2|e6USgal}}", "1,200 acres, 3.2 million US gal"),
    ("{{convert|100|to|200|PD/sqmi}} {{convert|9.8|m/s2}}", "100 to 200 per sq mi 9.8 m/s²"),
    ("{{formatnum:1234567.5}} {{formatnum:12,345|R}} {{formatnum: 0123 }}",
     "1,234,567.5 12345 0123"),
    ("{{val|5.2|0.1|e=6|u=kg}} {{val|12345|fmt=commas|ul=m|up=s}} {{val|1|+0.1|-0.2}}",
     "5.2±0.1×10⁶ kg 12,345 m/s 1+0.1-0.2"),
    ("{{val|7|u=%}} {{frac|3|4}} {{frac|2|1|2}} {{nts|1000}} {{gaps|1|234.5}} 3{{e|8}}",
     "7% 3/4 2 1/2 1,000 1234.5 3×10⁸"),
    ("{{US$|1500}} {{£|2 million}} {{percentage|1|3|1}} {{ordinal|12}} {{ordinal|22}}",
     "US$1,500 £2 million 33.3% 12th 22nd"),
    ("2<sup>{{frac|7|12}}</sup> x{{sup|{{sfrac|1|2}}}}, e<sup>−{{frac|1|2}}</sup> <sup>"
     "{{frac|1|4}}</sup> mile", "2^(7/12) x^(1/2), e^(−1/2) 1/4 mile"),
    ("10<sup>{{mvar|k}}</sup> 10<sup><i>k</i></sup> {{math|10<sup>k</sup> + e<sup>ab</sup>}}",
     "10^k 10^k 10^k + e^(ab)"),
    ("10<sup>x</sup> ''e''<sup>''ax''</sup> ''n''<sup>''th''</sup> 500<sup>a</sup> 1<sup>e"
     "</sup>", "10^x e^(ax) nth 500a 1e"),
    ("{{height|ft=6|in=2}} 10<sup>6</sup> m<sup>2</sup> 19<sup>th</sup> H<sub>2</sub>O",
     "6 ft 2 in 10⁶ m² 19th H₂O"),
    ("<math>E = 42</math> <math>n^{10}</math>", "E = 42 n¹⁰"),
    ("{{birth date|1879|3|14}} {{Birth date and age|df=yes|1950|12|1}}",
     "March 14, 1879 1 December 1950"),
    ("{{birth date|mf=y|1=1879|2=3|3=14}} {{start date|2010|05}} {{start date|1990}}",
     "March 14, 1879 May 2010 1990"),
    ("{{death date and age|1955|4|18|1879|3|14}}, {{dda|df=y|1955|1|8|1879|3|14}}",
     "April 18, 1955 (aged 76), 8 January 1955 (aged 75)"),
    ("{{age|1879|3|14|1955|4|18}} {{birth-date|7 May 1990}} {{start date|2001-02-03|df=y}}",
     "76 7 May 1990 3 February 2001"),
    ("{{birth year and age|1950}} {{death year and age|1990|1930}} {{film date|1999|10|15}}",
     "1950 1990 (aged 59–60) October 15, 1999"),
    ("{{circa|1500}} {{c.|1500|1510}} {{floruit|1300}} {{reign|1837|1901}}",
     "c. 1500 c. 1500 – c. 1510 fl. 1300 r. 1837–1901"),
    ("{{as of|2010|5}}, {{As of|2011|lc=y}}", "As of May 2010, as of 2011"),
    ("{{marriage|Ada|1990|2000}}", "Ada (m. 1990; div. 2000)"),
    ("{{lang|fr|Bonjour}} {{lang-de|Tag}} {{langx|ja|東京}} {{transl|ru|Moskva}}",
     "Bonjour German: Tag Japanese: 東京 Moskva"),
    ("{{nihongo|'''Tokyo Tower'''|東京タワー|Tōkyō tawā}} {{nihongo||寿司|sushi}}",
     "Tokyo Tower (東京タワー, Tōkyō tawā) 寿司, sushi"),
    ("{{nowrap|5 kg}} {{abbr|BCE|Before}} {{small|x {{nobr|y}}}} {{nowrap|1=a=b}}",
     "5 kg BCE x y a=b"),
    ("{{HMS|Victory|1765}} {{ship|USS|Iowa|BB-61}} {{ill|Foo|de|Bar}} {{flag|Chad}}",
     "HMS Victory (1765) USS Iowa (BB-61) Foo Chad"),
    ("{{sortname|Ada|Lovelace}}{{'s}} 5{{ndash}}6 {{hlist|a|b}}", "Ada Lovelace's 5–6 a, b"),
    ("{{Convert\n | 10 <!-- ten --> \n | km }} {{Template:convert|1|m}} {{nowrap_|x}}",
     "10 km 1 m x"),
    ("{{convert|many|km}} {{val}} {{circa}}", "many km c."),
    ("{{convert|1|,|2|, and|3|km}} {{convert|5|to(-)|6|m}} {{convert|5|and(–)|6|m}}",
     "1, 2, and 3 km 5 to 6 m 5 and 6 m"),
    ("{{convert|10|(-)|12|ft|m}} {{convert|5|C-change|F-change}} {{val|3|(–)|4}}",
     "10–12 ft 5 °C 3–4"),
    ("{{convert|9|km|mi|adj=mid|-long}} {{convert|9|m|adj=mid|wide}} {{convert|2|m|adj=mid}}",
     "9 km-long 9 m wide 2 m"),
    ("{{convert|5|mi|km|adj=pre|round}} {{convert|5|ft|6|in|m|adj=mid|-tall}}",
     "5 round mi 5 ft 6 in-tall"),
    ("{{INRConvert|5|c}} {{INRConvert|50000}} {{INRConvert|2|lc}} {{format price|5000}}",
     "₹5 crore ₹50,000 ₹2 lakh crore 5,000"),
    ("{{RA|05|55|10.3}} {{DEC|+07|24|25}} {{Ma|66}} {{solar mass|5}} {{track gauge|1435mm}}",
     "05h 55m 10.3s +07° 24′ 25″ 66 Ma 5 M☉ 1435mm"),
    ("{{birth date and age|year=1990|month=5|day=7}} {{birth date|df=y|year=1990|month=5}}",
     "May 7, 1990 May 1990"),
    ("{{death date and given age|1955|4|18|76}} {{age in years and days|1990|1|1|2010|5|1}}",
     "April 18, 1955 (aged 76) 20 years, 120 days"),
    ("{{birth based on age as of date|30|2010|5|1}} {{age in years and days|1990|1|1}}",
     "1979 or 1980 January 1, 1990"),
    ("{{nihongo3|Tokyo Tower|東京|Tōkyō|red}} {{nihongo3||東京}} {{nihongo3|T|東}}",
     "Tōkyō (東京, Tokyo Tower, red) 東京 T (東)"),
    ("{{val|10|–|20|u=m}} {{val|10|to|20}} {{val|5|-}}", "10–20 m 10 to 20 5 -"),
    ("{{rnd|3.14159|2}} {{rnd|1e999999|2}} {{rnd|5|999999999}} {{percentage|1e99999|3}}",
     "3.14 1e999999 2 5 999999999 1e99999 3"),
    ("{{duration|h=1|m=2|s=5}} {{duration|m=3|s=45}} {{duration|3:45}} {{duration|1|2|3}}",
     "1:02:05 3:45 3:45 1:02:03"),
    ("{{deg|5}} 5{{deg}} {{spellnum|12}} {{currency|1000|EUR}} {{BC|44}} {{AD|79}} 5{{BCE}}",
     "5° 5° 12 €1,000 44 BC AD 79 5BCE"),
    ("{{OldStyleDate|1 May|1700|20 April}} {{b.|1900}} {{d.|1950}} {{r.|1837|1901}}",
     "1 May [O.S. 20 April] 1700 b. 1900 d. 1950 r. 1837–1901"),
    ("{{age in days|2000|1|1|2000|1|31}} {{transl|ar|ALA|kitāb}} {{native name|fr|Paris}}",
     "30 kitāb Paris"),
    ("{{resize|80%|x}} {{resize|y}} {{keypress|Ctrl|C}} {{plainlist|* a 5}}",
     "x y Ctrl+C a 5"),
    ("{{PAGENAME}} {{pagenamebase}} {{lc:ABC}} {{#if: x | yes | no}} {{#if:|yes|no}}",
     "Here (town) Here abc yes no")])
def test_templates_that_carry_text(wikitext, text):
  result = _read(f"It: {wikitext}")
  assert result["text"] == f"It: {text}"
  assert set(result["dropped"]["templates"]) <= {"val"}


@pytest.mark.parametrize("wikitext, text", [
    ("'''Foo''' is ''[[bar|a bar]]'' [[baz]]s, [[Multi_word]] [[a|]].",
     "Foo is a bar bazs, Multi word a."),
    ("One.\nSame.\n\nTwo.\n\n\n\nThree.", "One. Same.\n\nTwo.\n\nThree."),
    ("A<ref>no [[x]] {{cite|y}}</ref> b<ref name=x /> c<ref name='y'>z</ref>.", "A b c."),
    ("[[File:a.jpg|thumb|left|A [[nested|cap]] {{convert|1|m}}]]Yes [[Image:b.png]].",
     "Yes."),
    ("Yes.\n[[Category:Towns|x]]\n[[de:Ort]]\n[[Kategorie:X]] [[:Category:Shown]]",
     "Yes.\n\nCategory:Shown"),
    ("Before.\n{| class=wikitable\n|-\n! a !! b\n|-\n| 1 || {| \n| in\n|}\n|}\nAfter.",
     "Before.\n\nAfter."),
    ("Before.\n{| class=x\n|-\n| never closed\n\nAfter.", "Before.\n\nAfter."),
    ("* one\n* two\n** three\n# four\n; term : meaning", "one\n\ntwo\n\nthree\n\nfour\n\nterm"
     "\n\nmeaning"),
    ("A.\n== History ==\nB.\n=== 1900 ===\nC.", "A.\n\nB.\n\nC."),
    ("A.\n==References==\nno\n=== Books ===\nno\n== [[Later]] ==\nYes.", "A.\n\nYes."),
    ("A.\n== See also ==\n* [[no]]\n==External links==\n* [http://x no]", "A."),
    ("[http://x.org the site] [http://x.org] [https://x.org ''it'']", "the site it"),
    ("<!-- no -->a<br>b<br />c <nowiki>[[d]] ''e''</nowiki>", "a\n\nb\n\nc [[d]] ''e''"),
    ("&nbsp;&eacute;&#233;&amp;&lt;b&gt; &unknown; &#x1F600;", "éé&<b> &unknown; 😀"),
    ("x <div>y</div> <span style='display: none'>no</span><span>z</span>", "x\n\ny\n\nz"),
    ("__NOTOC__A {{{1|default}}} {{{2}}}.", "A default."),
    ("<gallery>\nFile:a.jpg|no\n</gallery><math>\\begin{matrix}5</math>Yes.", "Yes."),
    ("Ona ({{IPA|x}}; {{unknown}}, born 1900; {{x}}) is ({{y}}) old {{z}}.",
     "Ona (born 1900) is old."),
    ("שלום '''עולם'''. 東京は[[日本]]の首都。😀", "שלום עולם. 東京は日本の首都。😀"),
    ("<q>Yes</q> 1990&#150;95 soft&shy;ly, <syntaxhighlight lang=c inline>b[''0'']"
     "</syntaxhighlight> is<source lang=c>no</source>", "“Yes” 1990–95 softly, b[''0''] is"),
    ("<ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>字", "漢字"),
    ("It's the '90s, ''isn't'' it?", "It's the '90s, isn't it?"),
    ("{{Infobox x\n| a = {{convert|1|km}}\n| b = [[c]]\n}}\nText.", "Text."),
    ("{{coord|1|2|N|3|E}}A town {{coord|1|2|display=title}}.", "A town."),
    ("", ""), ("\r\n \r\n", ""), ("{{", ""), ("]] }} '' |", ""), ("a {{", "a {{"),
    ("{{a|{{b|{{c}}", "{{a|{{b|")])
def test_markup(wikitext, text):
  assert _text(wikitext) == text


def test_what_is_dropped_is_counted_by_name():
  result = _read("{{Cite web|x}} {{cite_web}} {{citation needed|date=May}} {{#expr:1+}} "
                 "{{Foo<!-- x -->}} <math>\\foo</math> {{DEFAULTSORT:A, B}} {{coord|1|2}}")
  assert result["dropped"] == {
      "templates": {"cite web": 2, "citation needed": 1, "#expr": 1, "foo": 1,
                    "defaultsort": 1},
      "tags": {"math": 1}}


@pytest.mark.parametrize("wikitext, is_one", [
    ("x {{disambiguation|surname}}", True), ("x\n==See also==\n{{Disambig}}", True),
    ("x {{Human name disambiguation}}", True), ("{{Begriffsklärung}}", True),
    ("{{dab}}", True), ("{{Mil-unit-dis}}", True),
    ("[[:Category:Disambiguation pages]]", False),
    ("x\n==See also==\n[[Category:Human name disambiguation pages|x]]", True),
    ("x __DISAMBIG__", True), ("x {{for|other|x (disambiguation)}}", False),
    ("x {{about|y}}", False)])
def test_disambiguations(wikitext, is_one):
  assert _read(wikitext)["is_disambiguation"] == is_one


def test_no_number_vanishes():
  """Every figure of a text stays, however it is wrapped."""
  wraps = ["{{convert|%s|km}}", "{{nowrap|%s}}", "{{formatnum:%s}}", "{{val|%s}}", "''%s''",
           "[[x|%s]]", "{{circa|%s}}", "{{lang|en|%s}}", "{{nts|%s}}", "{{US$|%s}}",
           "<span>%s</span>", "{{as of|%s}}", "{{start date|%s}}", "{{abbr|%s|x}}"]
  for first in wraps:
    for second in wraps:
      inner = first % 1987
      text = _text(f"In {second % inner} it was.")
      assert "1987" in re.sub(r"(?<=\d),(?=\d)", "", text), (second, first, text)
