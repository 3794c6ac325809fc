import json
import sys
import unicodedata

import numpy as np
import pytest

from realm_tf import jsonl
from realm_tf.errors import UserError
from realm_tf.text.tokenizer import Tokenizer
from tests.vocabulary import small_vocabulary


def _rows(path, text):
  path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
  return list(jsonl.read_rows(path, "a"))


def test_rows_know_where_they_stand(tmp_path):
  path = tmp_path / "a.jsonl"
  rows = _rows(path, '\ufeff{"a": 1}\r\n\n \u00a0\n\ufeff{"a": "\u2028é"}')
  assert rows == [(f"{path}:1", 1, '{"a": 1}\r\n', {"a": 1}),
                  (f"{path}:4", 4, '\ufeff{"a": "\u2028é"}', {"a": "\u2028é"})]


def test_what_python_writes_is_read(tmp_path):
  value = {"a": [1, -2.5e300, float("inf"), None, {"b": [[]], "": True}], "é\0": "\ud800"}
  row, = _rows(tmp_path / "a.jsonl", json.dumps(value))
  assert row.fields == value
  row, = _rows(tmp_path / "a.jsonl", '{"a": {"b": 1, "b": 2}}')  # no field of ours
  assert row.fields == {"a": {"b": 2}}


@pytest.mark.parametrize("line, message", [
    ("null", "JSON null; expected one object per line, with a"), ('"x"', "JSON str"),
    ("5", "JSON int"), ("[]", "JSON list"), ("NaN", "JSON float"),
    ("{'a': 1}", "not valid JSON .Expecting property name .* at column 2"),
    ('{"a": 1} {"a": 2}', "not valid JSON .Extra data at column 10"),
    ('{"a": 1, "b": 2, "a": 1}', "field 'a' is there twice"),
    ('{"a": %s}' % ("9" * 5000), "a number too long"),
    ('{"a": %s' % ("[" * 100_000), "nested too deep"),
    ('{"a": "x', "not valid JSON"), ("\0", "not valid JSON"),
    (b"\xed\xa0\x80", "not UTF-8")])  # half a surrogate pair, as such
def test_a_line_that_is_no_object_is_named(tmp_path, line, message):
  line = line if isinstance(line, bytes) else line.encode()
  with pytest.raises(UserError, match=rf"^\S*a\.jsonl:2: .*{message}") as caught:
    _rows(tmp_path / "a.jsonl", b'{"a": 1}\n' + line)
  assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("fields, message", [
    ({}, "x: field 'text' is missing; expected a string"),
    ({"text": None}, "x: field 'text' is missing .null."),
    ({"contents": "y"}, "missing .rename 'contents' to 'text'."),
    ({"text\n": "y"}, r"missing .rename 'text\\n' to 'text'."),
    ({" Text": "y"}, "missing .rename ' Text' to 'text'."),
    ({"id": 1, "t": "y", "rest\n": ""}, r"missing .found: 't', 'rest\\n'.; expected"),
    ({"Body ": "y"}, "missing .rename 'Body ' to 'text'."),
    ({"id": 1, "t": "y", "z" * 99: 1}, "missing .found: 't', 'z{17}...'.; expected a string"),
    (dict.fromkeys("abcdefg"), "missing .found: 'a', 'b', 'c', 'd', 'e', ....; expected"),
    ({"text": 5}, "x: field 'text' is int; expected a string"),
    ({"text": ["y"]}, "x: field 'text' is list"),
    ({"text": "a" * 100 + "\udcff"}, "x: field 'text' holds half a surrogate pair.*'aaa")])
def test_a_field_that_is_no_text_is_named(fields, message):
  with pytest.raises(UserError, match=message) as caught:
    jsonl.text_field(fields, "text", "x")
  str(caught.value).encode("utf-8")  # can be printed


def test_ids_are_texts_or_whole_numbers():
  assert jsonl.id_field({"id": 17}, "x") == "17" and jsonl.id_field({"id": "a"}, "x") == "a"
  for value in (True, 1.0, None, "", "\u200b", [1]):
    with pytest.raises(UserError, match="x: field 'id'"):
      jsonl.id_field({"id": value}, "x")


def test_blank_is_what_no_tokenizer_sees():
  """Character by character; the planes between are not assigned."""
  codes = [*range(0x33000), 0x50000, *range(0xE0000, 0xE2000), 0xF0000, sys.maxunicode]
  chars = [chr(code) for code in codes if unicodedata.category(chr(code)) != "Cs"]
  tokens = Tokenizer(small_vocabulary([])).tokenize([char.encode() for char in chars])
  unseen = {char for char, count in zip(chars, np.diff(tokens.row_splits.numpy()))
            if not count}
  blank = {char for char in chars if jsonl.is_blank(char)}
  assert unseen <= blank and blank - unseen == set("\u2800\u115f\u1160\u3164\uffa0")
  assert jsonl.is_blank("") and jsonl.is_blank(" \u200b\u00a0")
  assert not jsonl.is_blank("\u200ba") and not jsonl.is_blank(".")
