"""The demo's questions: trivia lists in YAML, cleaned and split in two.

A list is a mapping from question to answers. Not every entry can be asked of a
text: some show a picture, some are half a team's name, some quiz a single game.
"""

import collections
import hashlib
import math
import pathlib
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import yaml

from realm_tf.datasets.questions import Question
from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.jsonl import checked_text, quoted
from realm_tf.lines import read_text
from realm_tf.text.answers import normalize

_HEADER = frozenset({"AUTHOR", "DESCRIPTION", "CONFIG"})

# Lists about one work of fiction or one game: an encyclopedia that holds such an
# answer ("Lion", "Phoenix") nearly always means another thing by it.
ONE_WORLD = frozenset({
    "anime", "boombeach", "clashroyale", "disney", "doom", "finalfantasy",
    "gameofthrones", "harrypotter", "leagueoflegends", "leagueults", "lotr",
    "overwatch", "pokemon", "r6siege", "startrek", "starwars", "warcraft"})

# Lists of lines from a song, slogans and abbreviations: text without a question.
NOT_QUESTIONS = frozenset({
    "michaeljackson", "prince", "slogans", "usstateabbreviations"})

_URL = re.compile(r"https?://|www\.", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+")
_FEWEST_WORDS = 4
_YES_NO = frozenset({"yes", "no", "true", "false"})

# Questions that share this much of their words count as one.
_SAME = 0.8


def read_trivia(
    folder: PathLike, skip: Collection[str] = ONE_WORLD | NOT_QUESTIONS,
) -> list[Question]:
  """Reads all lists of a folder but those named in `skip` (without .yaml).

  Dropped, besides: questions with a web address (they ask about a picture), with
  fewer than four words, answered by yes or no, and second copies.
  """
  paths = sorted(pathlib.Path(folder).glob("*.yaml"))
  if not paths:
    raise UserError(f"{folder}: no trivia lists in it, expected files *.yaml")
  questions, known_keys = [], set()
  for path in paths:
    if path.stem in skip:
      continue
    for number, (text, answers) in enumerate(_entries(path), start=1):
      key = normalize(text)
      if key not in known_keys and _askable(text, answers):
        known_keys.add(key)
        questions.append(Question(f"{path.stem}-{number}", text, answers))
  return questions


def split_trivia(
    questions: Sequence[Question], held_out: float, seed: int,
) -> tuple[list[Question], list[Question]]:
  """Divides into (training, held out); `held_out` is the share of the latter.

  Near-duplicates (at least 80 % of the words in common, or linked by a chain of
  such) fall on the same side. The side hangs on a hash of the text and the seed,
  not on the order.
  """
  if not 0 <= held_out <= 1:
    raise UserError(f"held_out: expected a share between 0 and 1, not {held_out}")
  texts = [normalize(question.question) for question in questions]
  sides: tuple[list[Question], list[Question]] = ([], [])
  for question, name in zip(questions, _group_names(texts)):
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    draw = int.from_bytes(digest[:8], "big") / 2**64
    sides[draw < held_out].append(question)
  return sides


def _entries(path: pathlib.Path) -> Iterable[tuple[str, tuple[str, ...]]]:
  rows = _load(path)
  if not isinstance(rows, dict):
    raise UserError(f"{path}: expected a mapping from questions to lists of answers")
  for question, answers in rows.items():
    if question not in _HEADER:
      where = f"{path}: question {quoted(question)}"
      yield (_clean_question(checked_text(question, where)),
             _clean_answers(answers, where))


def _load(path: pathlib.Path) -> Any:
  text = read_text(path, "a list of trivia in YAML")
  # BaseLoader builds nothing but text, lists and mappings: as safe as safe_load,
  # and an answer such as `Yes`, `007` or `1e3` stays as it was written.
  try:
    return yaml.load(text, Loader=yaml.BaseLoader)
  except yaml.MarkedYAMLError as error:
    place = f"{path}:{error.problem_mark.line + 1}" if error.problem_mark else path
    raise UserError(f"{place}: not valid YAML ({error.problem})") from None
  except yaml.reader.ReaderError as error:
    line = text.count("\n", 0, error.position) + 1
    raise UserError(f"{path}:{line}: not valid YAML (a character that it forbids, "
                    f"{quoted(chr(error.character))})") from None
  except (ValueError, OverflowError):  # "\UFFFFFFFF", which the library does not check
    raise UserError(f"{path}: not valid YAML (a character beyond Unicode)") from None
  except RecursionError:
    raise UserError(f"{path}: not valid YAML (nested too deep)") from None


def _clean_question(text: str) -> str:
  return re.sub(r"\?\s*:$", "?", " ".join(text.split()))


def _clean_answers(answers: object, where: str) -> tuple[str, ...]:
  answers = [answers] if isinstance(answers, str) else answers
  if not isinstance(answers, list):
    raise UserError(f"{where}: expected a list of answers")
  stripped = (" ".join(checked_text(answer, f"{where}: an answer").split())
              for answer in answers)
  return tuple(dict.fromkeys(answer for answer in stripped if answer))


def _askable(text: str, answers: Sequence[str]) -> bool:
  if not answers or _URL.search(text):
    return False
  if all(normalize(answer) in _YES_NO for answer in answers):
    return False
  return len(_WORD.findall(text)) >= _FEWEST_WORDS


def _group_names(texts: Sequence[str]) -> list[str]:
  """For each text the least text among its near-duplicates."""
  leader = list(range(len(texts)))

  def find(item: int) -> int:
    while leader[item] != item:
      leader[item] = item = leader[leader[item]]
    return item

  for left, right in _near_duplicates(texts):
    leader[find(left)] = find(right)
  least: dict[int, str] = {}
  for item, text in enumerate(texts):
    least[find(item)] = min(text, least.get(find(item), text))
  return [least[find(item)] for item in range(len(texts))]


def _near_duplicates(texts: Sequence[str]) -> Iterable[tuple[int, int]]:
  """Pairs of texts whose sets of words have a Jaccard index of at least 0.8.

  Two such sets must meet in their rarest words (the first n - ceil(0.8 n) + 1),
  so only texts that share one of those are compared.
  """
  words = [frozenset(text.split()) for text in texts]
  counts = collections.Counter(word for group in words for word in group)
  holders: dict[str, list[int]] = collections.defaultdict(list)
  for item, group in enumerate(words):
    rarest = sorted(group, key=lambda word: (counts[word], word))
    prefix = rarest[:len(group) - math.ceil(_SAME * len(group)) + 1]
    for other in {other for word in prefix for other in holders[word]}:
      if len(group & words[other]) >= _SAME * len(group | words[other]):
        yield item, other
    for word in prefix:
      holders[word].append(item)
