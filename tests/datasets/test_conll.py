import gzip
import random

import pytest

from realm_tf.datasets.conll import EntitySpan, bio_tags, entities, read_conll
from realm_tf.errors import UserError


@pytest.mark.parametrize("tags, expected", [
    # Of Tjong Kim Sang & De Meulder 2003: IOB, where B tells neighbours of a type apart.
    ("I-ORG O I-MISC O", [(0, 1, "ORG"), (2, 3, "MISC")]),
    ("I-PER I-PER B-PER I-LOC", [(0, 2, "PER"), (2, 3, "PER"), (3, 4, "LOC")]),
    # The same as BIO.
    ("B-PER I-PER B-PER B-LOC", [(0, 2, "PER"), (2, 3, "PER"), (3, 4, "LOC")]),
    ("B-PER I-LOC O", [(0, 1, "PER"), (1, 2, "LOC")]),
    # BIOES and BILOU.
    ("S-PER S-PER B-LOC I-LOC E-LOC E-LOC",
     [(0, 1, "PER"), (1, 2, "PER"), (2, 5, "LOC"), (5, 6, "LOC")]),
    ("U-PER B-LOC L-LOC I-LOC", [(0, 1, "PER"), (1, 3, "LOC"), (3, 4, "LOC")]),
    ("O O", []), ("", [])])
def test_entities_by_tags(tags, expected):
  assert entities(tags.split()) == [EntitySpan(*span) for span in expected]


def test_bio_tags_say_what_is_read_of_them():
  rng = random.Random(3)
  for _ in range(300):
    places = sorted(rng.sample(range(13), 6))
    spans = [EntitySpan(*places[i:i + 2], rng.choice(["PER", "LOC"])) for i in (0, 2, 4)]
    assert entities(bio_tags(spans, 14)) == spans


def _written(tmp_path, text):
  path = tmp_path / "some.conll"
  path.write_bytes(text.encode("utf-8"))
  return path


def test_a_file_of_the_shared_task(tmp_path):
  path = _written(tmp_path, "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n"
                  "\n\nPeter NNP B-NP B-PER\nBlackburn NNP I-NP I-PER\n")
  first, second = read_conll(path)
  assert first == (["EU", "rejects"], [(0, 1, "ORG")])
  assert second == (["Peter", "Blackburn"], [(0, 2, "PER")])


def test_tabs_windows_line_ends_comments_and_compression(tmp_path):
  text = "\ufeff# id 7\tdomain=en\r\nNew\u00a0York\tB-LOC\r\n#\tO\r\n  \r\n# O\r\n"
  path = tmp_path / "some.conll.gz"
  path.write_bytes(gzip.compress(text.encode("utf-8")))
  assert read_conll(path) == [(["New\u00a0York", "#"], [(0, 1, "LOC")]), (["#"], [])]


@pytest.mark.parametrize("text, message", [
    ("EU B-ORG\nrejects\n", ":2: 'rejects': one column; expected a word and its tag"),
    ("EU NNP B-ORG\nrejects O\n", ":2: 2 columns, but 3 in the lines before"),
    ("EU ORG\n", ":1: tag 'ORG': expected O, or B or I, a hyphen and a type"),
    ("EU B-\n", ":1: tag 'B-'"), ("EU X-ORG\n", ":1: tag 'X-ORG'"),
    ("\n\n", "no sentence; expected CoNLL's format"),
    ('{"text": "EU"}\n', ":1: tag '\"EU\"}'"),
    ("EU \0\n", ":1: tag")])
def test_what_is_wrong_is_one_line_that_names_file_and_line(tmp_path, text, message):
  path = _written(tmp_path, text)
  with pytest.raises(UserError) as error:
    read_conll(path)
  assert message in str(error.value) and str(error.value).startswith(str(path))
  assert "\n" not in str(error.value)


def test_what_is_no_utf8_is_named(tmp_path):
  path = tmp_path / "some.conll"
  path.write_bytes(b"EU B-ORG\nM\xfcller B-PER\n")
  with pytest.raises(UserError, match=":2: not UTF-8"):
    read_conll(path)
