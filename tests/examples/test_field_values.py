"""What can be asked of lines of "key: value", against lists by hand."""

import numpy as np
import pytest

from realm_tf.corpus.store import Corpus
from realm_tf.examples.cloze_questions import cloze_batches, find_clozes
from realm_tf.examples.field_values import TITLE, questions
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny

_BY_KEY = [("1", "Phone", "Ana"), ("Ana", "Name", "1"), ("2", "Phone", "Bo"),
           ("Bo", "Name", "2")]


def _told(text):
  data = text.encode()
  return [tuple("TITLE" if place == TITLE else data[slice(*place)].decode()
                for place in places) for places in questions(data)]


@pytest.mark.parametrize("text, expected", [
    # Of the document.
    ("Voltage: 110 kV\nBuilt: 1998",
     [("110 kV", "Voltage", "TITLE"), ("1998", "Built", "TITLE")]),
    ("Prose before it.\n\nVoltage: 110 kV.\n\nBuilt: 1998.\n\nOld: yes.",
     [("110 kV", "Voltage", "TITLE"), ("1998", "Built", "TITLE"), ("yes", "Old", "TITLE")]),
    ("- Völt: 1\n* Öhm: 2.5", [("1", "Völt", "TITLE"), ("2.5", "Öhm", "TITLE")]),
    ("Calls after 18:00: Ana\nSo: it", [("Ana", "Calls after 18:00", "TITLE"),
                                        ("it", "So", "TITLE")]),
    # Of what the first key says, with a line between the records or without.
    ("Name: Ana\nPhone: 1\n\nName: Bo\nPhone: 2", _BY_KEY),
    ("Name: Ana\nPhone: 1\nName: Bo\nPhone: 2", _BY_KEY),
    ("Name: Ana\n\nPhone: 1\n\nName: Bo\n\nPhone: 2", _BY_KEY),
    # Of the line above.
    ("Ana\nTown: Rome\n\nBo Li:\nTown: Oslo",
     [("Rome", "Town", "Ana"), ("Ana", "Town", "Rome"),
      ("Oslo", "Town", "Bo Li"), ("Bo Li", "Town", "Oslo")]),
    ("Opening hours:\n\n1. Monday: 9:00-17:00\n2. Sunday: closed.\n\nPhone: 1",
     [("9:00-17:00", "Monday", "Opening hours"), ("closed", "Sunday", "Opening hours"),
      ("1", "Phone", "TITLE")]),
    # What several have names none of them.
    ("Ana\nTown: Rome\nBo\nTown: Rome", [("Rome", "Town", "Ana"), ("Rome", "Town", "Bo")]),
    ("Ana\nTown: Rome\nAna\nTown: Oslo", [("Ana", "Town", "Rome"), ("Ana", "Town", "Oslo")]),
    # None: one alone, sentences, parts of them, tables, and what goes on below.
    ("Note: this", []), ("", []), ("a: 1\nb: 2", []),
    ("See http://a.b\nAt 9:30\nOh: no?", []),
    ("He said. Note: one\nShe said. Note: two", []), ("A | B: 1\nC | D: 2", []),
    ("One: a sentence. And another\nTwo: the first of many,\nThree: four", []),
    ("A key of more than six words here: 1\nAnother of them that is too long: 2", [])])
def test_values_are_asked_for_by_their_key_and_what_they_are_of(text, expected):
  assert _told(text) == expected
  assert _told(text.replace("\n", " \n ")) == expected


def test_questions_hold_the_words_of_key_and_title(tmp_path):
  tiny.write_bert(tmp_path / "bert", hidden=16, layers=1)
  config = tiny.make_config(
      tmp_path, write=False, cloze__steps=20, cloze__batch_size=4, cloze__form="question",
      cloze__table_share=1.0, encoder__max_span_width=16)
  corpus = Corpus.from_documents(
      [{"id": "x", "title": "Oslo", "text": "People: rome\nRiver: the cat"}],
      Tokenizer(tiny.vocabulary()), 64)
  clozes = find_clozes(config, corpus)
  assert sum(clozes.asked_by[:, 1] > 0) == 2 and not np.any(clozes.asked_by[:, 2:])
  vocabulary = corpus.tokenizer.vocabulary
  seen = set()
  for batch in cloze_batches(config, corpus, clozes, 0):
    for name, question in zip(batch.name.numpy(), batch.question.to_list()):
      if clozes.asked_by[list(clozes.spans.name).index(name), 1]:
        seen.add(frozenset({vocabulary[piece] for piece in question}
                           & {"oslo", "people", "river", "rome", "cat", ":"}))
  whole = {frozenset({"oslo", "people"}), frozenset({"oslo", "river"})}
  assert whole <= seen and all(any(words <= both for both in whole) for words in seen), seen
