"""Questions of another corpus are an error, not a figure. Plain Python."""

from collections.abc import Iterable, Sequence

from realm_tf.datasets.questions import Question
from realm_tf.errors import UserError
from realm_tf.evaluation import metrics
from realm_tf.jsonl import quoted
from realm_tf.text.words import spelled


def check_gold_passages(questions: Iterable[Question], document_ids: Iterable[str]) -> None:
  """Refuses a question whose gold passage is no document of the corpus.

  Raises:
    UserError: names file, line and the first such passage.
  """
  named = [question for question in questions if question.gold_passage]
  missing = {question.gold_passage for question in named}
  for name in document_ids if named else ():
    missing.discard(name)
    if not missing:
      return
  for question in named:
    if question.gold_passage in missing:
      raise UserError(
          f"{question.where or f'question {quoted(question.id)}'}: field 'gold_passage': "
          f"{quoted(question.gold_passage)} is no document of the corpus; expected the id of "
          "one, or no such field")


def check_answerable(questions: Sequence[Question], texts: Iterable[bytes], name: str
                     ) -> None:
  """Refuses questions none of whose answers stands in the corpus, by words.

  It stops at the first text that holds any of the answers.

  Args:
    questions: with their answers.
    texts: of the corpus, UTF-8.
    name: the setting that names the questions, for the error.

  Raises:
    UserError: they are questions of another corpus.
  """
  patterns = {answer for question in questions if question.regex
              for answer in question.answers}
  by_first_word: dict[str, set[str]] = {}
  for answer in {answer for question in questions if not question.regex
                 for answer in question.answers}:
    wanted = spelled(answer)
    if wanted.strip():
      by_first_word.setdefault(wanted.split()[0], set()).add(wanted)
  for text in texts:
    decoded = text.decode("utf-8")
    written = spelled(decoded)
    if any(wanted in written for word in by_first_word.keys() & set(written.split())
           for wanted in by_first_word[word]) or metrics.has_pattern(decoded, patterns):
      return
  raise UserError(f"{name}: no usable question: no answer of {len(questions)} stands in the "
                  "corpus; expected questions about config.corpus.source")
