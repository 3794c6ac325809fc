"""DPR's passages: quotes that csv writes, and quotes that are only text."""

import csv
import io
import itertools

import pytest

from realm_tf.corpus import tsv
from realm_tf.errors import UserError

_HEADER = "id\ttext\ttitle\n"


def _read(text, header=_HEADER):
  lines = enumerate(io.StringIO(header + text, newline="\n"), 1)
  return list(tsv.read_records(lines, "a.tsv"))


def _by_csv(text):
  return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter="\t") if row]


@pytest.mark.parametrize("text", [
    '1\t"Said ""no""\tthen\nleft."\tA "b"\n2\tTwo.\t\n',
    '"1"\t"Two\n\nparagraphs."\t"T"\n"2"\t""\t""\n',
    '1\t"Line one.\r\nLine two."\tT\r\n2\tTwo.\tB\r\n',
    '1\t"Ends in """\t"""Begins"\n2\t""""\t""""""\n',
    '1\t"a\tb\nc\td"\tT\n2\tTwo.\tB\n',  # c is no id, for the others are numbers
    '1\t"Both span\nlines."\t"So does\nthis."\n2\tTwo.\tB\n',
    '1\t"Spans\nlines."\t"So does\nthis."\n2\t"It\ndoes."\tB\n',
    '1\t"On and ""on"".\n""On""\n\nand on."\tT',
])
def test_proper_quotes_are_read_as_csv_reads_them(text):
  assert [values for _, values in _read(text)] == _by_csv(text)


# The quote is text: each line is the record that it seems to be.
_STRAY = [
    '1\tOne.\t"Heroes\n2\tTwo.\tB\n3\tThree\tC\n',
    '1\t"Ode.\tOde\n2\tHe said "yes"\tBob\n3\tT.\tC\n',
    '1\t"Ode.\tOde\n2\tHe said "yes" twice\tBob\n3\tT.\tC\n',
    '1\t"Help" was sung\tThe "song"\n2\tA 5" disc, a 7" disc\tDiscs\n',
    '1\t"Ode.\tThe Bob"\n2\tTwo.\tB\n',
    '1\tOne.\tA\n2\tTwo.\t"',
    '"1\tOne.\tA\n2\t"Two" is.\tB\n',
    '1\t"""Ode.\tOde\n2\tTwo.\tB\n',
    '1\t"Ode."x\tOde\r\n2\t"Two\tB\r\n',
    'a\t"Ode.\t"Ode\nb\t"Two\t"B\nc\t"\t"\n',
    '1\tA 5" disc.\tA\n2\t"Ode.\tOde\n3\tShe said yes."\tBob\n4\tT.\tC\n',  # text before
]


@pytest.mark.parametrize("text", _STRAY)
def test_a_stray_quote_is_text(text):
  expected = [(number, line.rstrip("\r\n").split("\t"))
              for number, line in enumerate(io.StringIO(text, newline="\n"), 2)]
  assert _read(text) == expected


@pytest.mark.parametrize("text, message", [
    ('1\tOne.\tA\n2\t"Ode.\tOde\n3\tShe said yes."\tBob\n',
     "3: a quote opens a value here and one ends it 1 lines below"),
    ('1\tOne.\t"Heroes\n2\tTwo.\tB\n\n4\tFour.\tC"\n',
     "2: a quote opens a value here and one ends it 3 lines below"),
    ('a\t"One\tA\nb\tTwo"\tB\n', "2: a quote opens a value here"),
    ('1\tOne.\tA\n2\t"Never ended.\n3\tThree.\tC\n', "3: a quote opens a value and none"),
    ('1\t"Not properly\nended" here\tA\n', "2: a quote opens a value and none ends"),
    ('1\tOne.\tA\n\n2\tTwo.\n', "4: 2 fields"), ('1\tOne.\tA\tB\n', "2: 4 fields"),
    ('1\t"One."\t"A"\t"B"\n', "2: 4 fields"),
])
def test_what_nobody_could_tell_is_named(text, message):
  with pytest.raises(UserError, match=f"^a.tsv:{message}"):
    _read(text)


@pytest.mark.parametrize("header", ["id\ttitle\ttext\n", "id\ttext\n", "1\tOne.\tA\n",
                                    "x" * 10**6, '{"id": "1", "text": "x"}\n'])
def test_another_header_is_refused(header):
  with pytest.raises(UserError, match="^a.tsv:1: header '.*; expected id, text") as caught:
    _read("1\tOne.\tA\n", header)
  assert len(str(caught.value)) < 200


@pytest.mark.parametrize("header", ['"id"\t"text"\t"title"\r\n', "\n\nid\ttext\ttitle\n"])
def test_the_header_may_be_quoted_and_stand_below_blank_lines(header):
  assert [values for _, values in _read("1\tOne.\tA\n", header)] == [["1", "One.", "A"]]


def test_all_short_files_are_read_or_refused_but_never_merged():
  """Every text of lines `number tab value tab value`, values of a few odd characters."""
  values = ["", "x", '"', 'x"', '"x', '"x"', '""', 'x"y', '"x"y']
  accepted = refused = 0
  for four in itertools.product(values, repeat=4):
    text = "1\t{}\t{}\n2\t{}\t{}\n".format(*four)
    try:
      rows = _read(text)
    except UserError as error:
      assert str(error).startswith("a.tsv:2: a quote opens a value here")
      refused += 1
      continue
    assert [number for number, _ in rows] == [2, 3], text
    for (_, row), written in zip(rows, (four[:2], four[2:])):
      for value, as_written in zip(row[1:], written):
        # Quoted values lose their quotes; others are what was written.
        quoted = list(csv.reader([as_written], delimiter="\t", strict=True)) \
            if as_written in ('"x"', '""') else [[as_written]]
        assert value == (quoted[0] or [""])[0], text
    accepted += 1
  assert accepted > 25 * refused > 0


def test_it_streams_past_a_quote_that_is_not_ended():
  def lines():
    yield 1, _HEADER
    yield 2, '0\t"Ode.\tOde\n'
    for number in itertools.count(3):
      assert number < 2000, "reads on and on"
      yield number, f"{number}\tx\ty\n"

  records = tsv.read_records(lines(), "a.tsv")
  assert next(records) == (2, ["0", '"Ode.', "Ode"])
  assert next(records) == (3, ["3", "x", "y"])
