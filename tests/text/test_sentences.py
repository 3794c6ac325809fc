import random

import pytest

from realm_tf.text.sentences import split_sentences


def sentences(text: str) -> list[str]:
  return [text[start:end] for start, end in split_sentences(text)]


@pytest.mark.parametrize("expected", [
    ["Dr. Smith went to Washington.", "He met J. R. R. Tolkien there."],
    ["The U.S. Army is big.", "It is in the U.S.", "The army left."],
    ["Costs rose 3.5 percent.", "See e.g. the report, i.e. this one."],
    ["He was born in St. Louis, Missouri.", "It rained."],
    ['She said "Stop."', "Then he left.", "“Why?” he asked.", '"No!"', "She ran."],
    ["Really?!", "Yes...", "Maybe."],
    ["A thing (see Smith et al. 2001. It is big.) ends here.", "Next one."],
    ["No. 5 is alive.", "He said no.", "The end."],
    ["Born c. 1920 in Ohio.", "He died Jan. 5, 1999.", "End"],
    ["Acme Inc. was founded.", "It merged with Foo Inc.", "The rest was sold."],
    ["Version 2.0.1 is out.", "$5.00 was paid.", "The .com domain."],
    ["He got a Ph.D. from MIT.", "In 1990, he left."],
    ["At 5 p.m. on Monday, he ate.", "Fine."],
    ["Mt. Everest vs. K2.", "Malcolm X.", "He was tall."],
    ["(A whole sentence.)", "Another one."],
    ["He works at Yahoo! in California.", "Good."],
    ["An open ( bracket here.", "A next sentence.", "A third."],
    ["Ça va?", "Oui.", "Él llegó.", "¿Quién?"],
    ["It ends here.", "[1] A note."],
])
def test_splits(expected):
  assert sentences(" ".join(expected)) == expected


@pytest.mark.parametrize("expected", [
    ["so it is", "a | b", "c | 3", "d | e\nso on"],
    ["it is", "- one", "* two\nof it", "2) x"],
    ["it is", "Role: boss\nof all", "Size: 3\nsize: 4"], ["(see", "- one", "- two)"],
    ["on a\n-x\nto 1.5", "A: b"], ["a\n|b|\n3.1 is\nA:b\nA? b: c", "A: b"]])
def test_a_row_an_item_and_a_field_begin_sentences(expected):
  assert sentences("\n".join(expected)) == expected


def test_a_blank_line_ends_a_sentence_and_a_line_break_does_not():
  assert sentences("One\n\nTwo\nwraps (here\n \nThree).") == [
      "One", "Two\nwraps (here", "Three)."]


def test_no_space_after_an_ideographic_full_stop():
  assert sentences("これは文です。次の文です。") == ["これは文です。", "次の文です。"]


def test_brackets_far_apart_do_not_hold_a_text_together():
  text = "Sad :( indeed. " + "It goes on. " * 60 + "b) ends."
  assert len(sentences(text)) > 50


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\t \u00a0"])
def test_nothing(text):
  assert not split_sentences(text)


def test_no_text_is_lost_but_white_space():
  rng = random.Random(3)
  for _ in range(300):
    text = "".join(rng.choices("ab A.B!?…\"')(][ \n\n。 1é", k=rng.randrange(80)))
    spans = split_sentences(text)
    assert spans == sorted(spans)
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())
    at = 0
    for start, end in spans:
      assert start >= at and not text[at:start].strip()
      assert text[start:end] == text[start:end].strip() != ""
      at = end


@pytest.mark.parametrize("text", [
    "." * 100_000 + "x", '!"' * 50_000 + "x", "(" * 50_000 + "a. B " * 1000,
    "\n " * 50_000, "[(" * 50_000 + ")]" * 50_000])
def test_linear_on_malicious_text(text):
  split_sentences(text)  # quadratic time would take minutes
