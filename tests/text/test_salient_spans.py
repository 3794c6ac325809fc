import random
import sys
import types

import pytest

from realm_tf.errors import UserError
from realm_tf.registry import TAGGERS
from realm_tf.text import figures, salient_spans, spacy_tagger
from realm_tf.text.sentences import split_sentences


def spans_of(text: str, tagger=salient_spans.RuleTagger()) -> list[str]:  # noqa: B008
  spans, = tagger([text], [split_sentences(text)])
  return [text[start:end] for start, end in spans]


@pytest.mark.parametrize("text, expected", [
    ("He was born on 12 May 1920 in Paris.", ["12 May 1920", "Paris"]),
    ("She died on May 12, 1920, at home.", ["May 12, 1920"]),
    ("In the 1920s and the 4th century BC it grew.", ["1920s", "4th century BC"]),
    ("It ran 1914–1918, from 300 BC to AD 79.", ["1914–1918", "300 BC", "AD 79"]),
    ("The nineteenth century ended.", ["nineteenth century"]),
    ("It is 8,849 m tall and cost $3.5 million.", ["8,849 m", "$3.5 million"]),
    ("About 25 percent of 1,234,567 voted.", ["25 percent", "1,234,567"]),
    ("On March 3 and in June 2010 it rained.", ["March 3", "June 2010"]),
    ("He saw 3 of 4 doors in room 12.", []),
])
def test_dates_and_figures(text, expected):
  assert spans_of(text) == expected


@pytest.mark.parametrize("text, dates", [
    ("On 12 May 1920 and in the 1930s some 500 people paid $3.", ["12 May 1920", "1930s"]),
    ("In 1984 it had 1,984 seats and 1984 inhabitants, and 12 % in 2001.", ["1984", "2001"]),
    ("From 300 BC, for 300 years, at 300 °C.", ["300 BC"]),
    ("In the 4th century it rose to 100 MW in 20 minutes.", ["4th century"]),
    ("It took 1914–1918 soldiers 3–4 days, and 5 million men.", ["1914–1918"]),
    ("It cost £1,500 in March 2010, 25 percent of 2 million.", ["March 2010"])])
def test_numbers_are_optional_and_dates_are_not(text, dates):
  assert spans_of(text, salient_spans.tagger("rules", numbers=False)) == dates
  assert set(spans_of(text, salient_spans.tagger("rules"))) > set(dates)


@pytest.mark.parametrize("numbers, expected", [
    (True, ["Delhi", "3 miles", "12 May 1639"]), (False, ["Delhi", "12 May 1639"])])
@pytest.mark.parametrize("name", ["rules", "spacy", "names of its own"])
def test_dates_are_found_whatever_finds_the_names(monkeypatch, name, numbers, expected):
  _fake_spacy(monkeypatch, [("Delhi", "GPE")])
  monkeypatch.setitem(TAGGERS._values, "names of its own", lambda: lambda texts, _: [
      [(text.index("Delhi"), text.index("Delhi") + 5)] for text in texts])
  text = "They saw Delhi, 3 miles off, on 12 May 1639."
  assert spans_of(text, salient_spans.tagger(name, numbers)) == expected


@pytest.mark.parametrize("text, expected", [
    ("He went to the University of Oxford.", ["University of Oxford"]),
    ("The Beatles came from Liverpool.", ["Beatles", "Liverpool"]),
    ("He read J. R. R. Tolkien in St. Louis.", ["J. R. R. Tolkien", "St. Louis"]),
    ("Later Napoleon left Elba.", ["Napoleon", "Elba"]),
    ("Chili peppers are hot.", []),
    ("Marie Curie was a physicist.", ["Marie Curie"]),
    ("Curie was born. They say that Curie won.", ["Curie", "Curie"]),
    ("NASA launched Apollo 11.", ["NASA", "Apollo 11"]),
    ("I think that I am.", []),
    ("Obama's wife saw the king of Spain's son.", ["Spain"]),
    ("He met Ludwig van Beethoven and Alexander the Great.",
     ["Ludwig van Beethoven", "Alexander the Great"]),
    ("A firm, Procter & Gamble, of Paris.", ["Procter & Gamble", "Paris"]),
    ('He said "Hello" to Émile Zola.', ["Hello", "Émile Zola"]),
    ("In Port of's Bay, Port of-the Bay, Port often Bay and Port of the de la Mer.",
     ["Port", "Bay", "Port", "Bay", "Port", "Bay", "Port", "Mer"]),
    ("It is big. London is bigger than Rome, says London.",
     ["London", "Rome", "London"]),
    ("", []),
])
def test_names(text, expected):
  assert spans_of(text) == expected


def test_figures_are_those_of_a_look_at_every_place():
  rng = random.Random(9)
  words = """January Feb Mar April May June Jul August September October Oct Nov. December AD
             D 3rd third thirteenth twenty-first tenth eleventh nineteenth fourth fifth sixth
             second seventh ninth century centuries millennium BC 1920 1920s ٣ $3 million of
             or - – . , x1 é 12 km""".split()
  for _ in range(400):
    text = "".join(rng.choice(words) + rng.choice(["", " ", " ", "  "]) for _ in range(12))
    found, done = [], 0
    for start in range(len(text)):
      figure = figures._FIGURES.match(text, start)
      if start >= done and figure:
        found.append(figure.span())
        done = figure.end()
    assert [(figure.start, figure.end) for figure in figures.figures(text)] == found, text


def test_spans_are_sorted_and_disjoint():
  rng = random.Random(5)
  words = ["The", "of", "the", "May", "12", "1920", "Paris", "J.", "cat", "AD", "4th",
           "century", ".", "\n", "(", '"', "$3", "million", "-", "Émile's", "1,000"]
  texts = [" ".join(rng.choices(words, k=30)) for _ in range(300)]
  for text, spans in zip(texts, salient_spans.RuleTagger()(
      texts, map(split_sentences, texts)), strict=True):
    at = 0
    for start, end in spans:
      assert at <= start < end <= len(text)
      at = end


@pytest.mark.parametrize("text", [
    "1," * 50_000 + "x", "A of of of " * 5_000, "1." * 50_000, '"' * 50_000 + "A",
    "1990-" * 20_000, "1" * 100_000])
def test_linear_on_malicious_text(text):
  spans_of(text)  # quadratic time would take minutes


def test_unknown_tagger():
  with pytest.raises(UserError, match="tagger 'magic' is not known.*rules, spacy"):
    salient_spans.tagger("magic")


def test_rules_by_name():
  assert spans_of("She saw Rome.", salient_spans.tagger("rules")) == ["Rome"]


def test_spacy_missing(monkeypatch):
  monkeypatch.setitem(sys.modules, "spacy", None)
  with pytest.raises(UserError, match=r"pip install realm_tf\[spacy\]"):
    salient_spans.tagger("spacy")


def _fake_spacy(monkeypatch, entities):
  class Pipeline:
    def pipe(self, texts, batch_size):
      for text in texts:
        yield types.SimpleNamespace(ents=[
            types.SimpleNamespace(start_char=text.index(name), label_=label,
                                  end_char=text.index(name) + len(name))
            for name, label in entities])

  monkeypatch.setitem(sys.modules, "spacy", types.ModuleType("spacy"))
  model = types.ModuleType("en_core_web_sm")
  model.load = lambda exclude: Pipeline()
  monkeypatch.setitem(sys.modules, "en_core_web_sm", model)


def test_spacy_names_with_dates_by_rule(monkeypatch):
  _fake_spacy(monkeypatch, [("the Red Fort", "FAC"), ("12 May", "ORG"),
                            ("two", "CARDINAL"), ("Delhi's", "GPE")])
  text = "On 12 May 1639 two saw the Red Fort and Delhi's walls."
  assert spans_of(text, salient_spans.tagger("spacy")) == ["12 May 1639", "Red Fort", "Delhi"]


def test_spacy_without_a_model(monkeypatch):
  monkeypatch.setitem(sys.modules, "spacy", types.ModuleType("spacy"))
  with pytest.raises(UserError, match="no model installed"):
    spacy_tagger.SpacyTagger("en_no_such_model")


def test_spacy_itself():
  pytest.importorskip("spacy", reason="spaCy is an extra: pip install 'realm_tf[spacy]'")
  assert "Napoleon" in spans_of("In 1815 Napoleon left Elba.", spacy_tagger.SpacyTagger())
