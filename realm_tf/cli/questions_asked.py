"""Questions on the command line, from standard input, or one after the other by hand."""

import sys
from collections.abc import Callable, Sequence

from realm_tf.datasets import questions
from realm_tf.errors import UserError

PrintAnswers = Callable[[Sequence[str]], object]  # prints what is found for questions


def check_questions(arguments: Sequence[str], command: str) -> None:
  """Raises `UserError` for what is no question, or where there is none, and nobody who could
  type one."""
  if not arguments and not sys.stdin.isatty():
    raise UserError(f'give a question: realm {command} --workdir=DIR "Who wrote Hamlet?"; '
                    f"`realm {command} -` reads questions from standard input, one a line")
  questions.check_questions(arguments)


def answer_all(arguments: Sequence[str], tell: PrintAnswers) -> None:
  """Tells of the questions that are given; with `-` of each line of standard input, as it
  comes, and without any of what is typed."""
  if arguments and list(arguments) != ["-"]:
    tell(arguments)
    return
  by_hand = not arguments
  if by_hand:
    print("One question a line; Ctrl-D ends.", file=sys.stderr)
  while line := _line(by_hand):
    question = line.decode("utf-8", "surrogateescape").strip()
    if not question:
      continue
    try:
      tell([question])
    except UserError as error:
      if not by_hand:
        raise
      print(f"realm: {error}", file=sys.stderr)
    sys.stdout.flush()


def _line(by_hand: bool) -> bytes:
  """The next one; empty at the end."""
  if by_hand:
    print("\n? ", end="", file=sys.stderr, flush=True)
  return sys.stdin.buffer.readline()
