"""Italics and bold: the apostrophes that stay are those that MediaWiki shows."""

import json

import pytest

from realm_tf.corpus.wikitext.article import read_article


def _text(text):
  return read_article(json.dumps({"title": "T", "text": text}).encode())["text"]


@pytest.mark.parametrize("wikitext, text", [
    # As in articles.
    ("''Titanic'''s crew", "Titanic's crew"), ("''Titanic''{{'}}s crew", "Titanic's crew"),
    ("''Titanic''{{'s}} crew", "Titanic's crew"), ("''Time''&#39;s cover", "Time's cover"),
    ("L'''amour'' de loin", "L'amour de loin"), ("d{{'}}''Artagnan''", "d'Artagnan"),
    ("Le directeur de l''''Express'''", "Le directeur de l'Express"),
    ("'''Foo'''{{'}}s ''bar''", "Foo's bar"), ("''Who's Who''", "Who's Who"),
    ("'''''Foo'''s'' end", "Foos end"), ("rock 'n' roll, '90s", "rock 'n' roll, '90s"),
    ("{{gloss|''day''}} {{lit|''day''}} {{langx|fr|mot|lit=''word''}}",
     "'day' lit. 'day' French: mot, lit. 'word'"),
    # What stands between two marks keeps them apart.
    ("''v''<sub>''e''</sub> and ''a''<sub>''n''+1</sub>", "ve and an₊₁"),
    ("{{math|''x''<sup>''n''+1</sup>}} {{math|''a''<sub>''n''</sub>}} {{abs|''x''}}",
     "xⁿ⁺¹ an |x|"),
    ("[[x|''a'']]''b'' ''c''{{nowrap|''d''}}''e'' <i>''f''</i>''g''", "ab cde fg"),
    ("''Emma''<ref>x</ref>''s'' ''Emma''{{efn|x}}'s", "Emmas Emma's"),
    ("''{{lang|fr|''Le Monde''}}'' and ''[[USS Foo|USS ''Foo'']]''", "Le Monde and USS Foo"),
    ("<nowiki>''a''</nowiki> {{nowrap|''b''}}", "''a'' b"),
    # Marks that do not end, and those of the next line, which are others.
    ("''a '''b\nc'' d'''", "a 'b c d'"), ("'''a ''b\n\n'''c''", "'a b\n\n'c"),
    # MediaWiki's own: four are an apostrophe and bold, more than five leave the first ones.
    ("'plain'''bold'''plain", "'plainboldplain"), ("a''''b''''c", "a'b'c"),
    ("''''''''''a", "'''''a"), ("''''''a'''''", "'a"),
    # Of several bold marks the one behind a word of one letter, then behind a longer one.
    ("the '''x''' l'''y'' z", "the x l'y z"), ("ab '''cd ef'''gh'' '''i", "ab cd ef'gh i"),
    ("'''", ""), ("x '''", "x"), ("x ''", "x")])
def test_marks(wikitext, text):
  assert _text(wikitext) == text
