"""What holds for the answers to any questions, and odd questions."""

import numpy as np

from realm_tf.corpus.store import Corpus
from realm_tf.evaluation.answering import Answers
from realm_tf.text.words import cuts_no_word

ODD_QUESTIONS = [
    b"", b" ", b"[CLS] [SEP] [PAD] [MASK] [UNK]", b"\0", b"\0who\0", b"\x07\x1b",
    b"\xff\xfe", b"caf\xc3", b"\xed\xa0\xbd lives", b"x" * 100_000, b"who " * 100_000,
    b"." * 1_000_000, b" " * 100_000, *(text.encode() for text in (
        "\u200b\ufeff", "\U0001f600" * 30, "日本の首都", "é" * 300, "\u0301" * 1000))]


def of_export(columns) -> Answers:
  """The answers among what an export returns, which says more."""
  return Answers(**{name: columns[name] for name in Answers._fields})


def edges(corpus: Corpus, row: int) -> tuple[set[int], set[int]]:
  """The pieces of a block that begin a word, and those that end one."""
  text, starts = corpus.texts[row], corpus.body_starts.row(row).tolist()
  begins = {i for i, start in enumerate(starts) if i == 0 or start != starts[i - 1]
            and cuts_no_word(text.decode(), len(text[:start].decode()))}
  return begins, {i - 1 for i in begins if i} | {len(starts) - 1}


def check(corpus: Corpus, answers: Answers) -> None:
  """Scores are finite; answers are whole words, and stand where they say."""
  columns = Answers(*(value.numpy() for value in answers))
  assert np.isfinite(columns.score).all()
  for answer in (Answers(*values) for values in zip(*columns, strict=True)):
    passage, row = answer.passage, answer.row
    assert passage == corpus.texts[row] and answer.title == corpus.titles[row]
    assert answer.passage_id.decode() == corpus.document_ids[row]
    assert passage[answer.start_byte:answer.end_byte] == answer.answer
    assert passage.decode()[answer.start:answer.end] == answer.answer.decode()
    begins, ends = edges(corpus, row)
    assert answer.answer == passage == b"" or (
        answer.start_byte in corpus.body_starts.row(row)[sorted(begins)]
        and answer.end_byte in corpus.body_ends.row(row)[sorted(ends)])
