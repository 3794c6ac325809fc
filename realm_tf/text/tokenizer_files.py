"""What a folder of weights says of its tokenizer: honoured, or refused in one line.

The files are those of Hugging Face's Transformers. Honoured are the vocabulary (`vocab.txt`
or `tokenizer.json`) and whether text is lower-cased (`tokenizer_config.json` or
`tokenizer.json`); all else that is said must be as in BERT's own tokenizer, which is ours.
"""

import dataclasses
import json
import pathlib
import shutil
from typing import Any, Iterable, Iterator, Mapping

from realm_tf import files
from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.text.normalizer import MAX_WORD_CHARS
from realm_tf.text.tokenizer import (
  CONTINUATION,
  SPECIAL_TOKENS,
  Tokenizer,
  check_vocabulary,
  read_vocabulary,
)

VOCABULARY, _FAST, _SETTINGS = "vocab.txt", "tokenizer.json", "tokenizer_config.json"
_SPECIAL, _ADDED = "special_tokens_map.json", "added_tokens.json"
# Beside any of these a vocab.txt is of another kind than WordPiece.
_OTHER_KINDS = ("vocab.json", "merges.txt", "bpe.codes", "spiece.model", "tokenizer.model",
                "sentencepiece.bpe.model", "spm.model")
# BERT's tokenizer by other names.
_CLASSES = [name + end for end in ("Tokenizer", "TokenizerFast") for name in (
    "Bert", "Realm", "DistilBert", "Electra", "MobileBert", "DPRQuestionEncoder",
    "DPRContextEncoder", "DPRReader", "PreTrained")]


@dataclasses.dataclass(frozen=True)
class Stated:
  """What makes a tokenizer, as a folder states it."""
  path: pathlib.Path  # of the vocabulary
  vocabulary: list[str]
  lower_case: bool


def read_tokenizer(folder: PathLike) -> Tokenizer:
  """The tokenizer of a folder of weights.

  Raises:
    UserError: there is none, or not one like BERT's; names the file and the field.
  """
  stated = read_needed(folder)
  return Tokenizer(stated.vocabulary, stated.lower_case)


def check_tokenizer(folder: PathLike, tokenizer: Tokenizer) -> None:
  """Checks that weights were trained with this tokenizer, as far as their folder says.

  Raises:
    UserError: names the file, and the first token or the field that differs.
  """
  stated = read_stated(folder)
  if stated is None:
    return
  for number, (token, ours) in enumerate(zip(stated.vocabulary, tokenizer.vocabulary)):
    if token != ours:
      raise UserError(f"{stated.path}: token {number} is '{token}', but '{ours}' in the "
                      "vocabulary of the corpus; expected weights that were trained with "
                      "the same vocabulary")
  if len(stated.vocabulary) != tokenizer.vocab_size:
    raise UserError(f"{stated.path}: {len(stated.vocabulary)} tokens, but "
                    f"{tokenizer.vocab_size} in the vocabulary of the corpus; expected "
                    "weights that were trained with the same vocabulary")
  if stated.lower_case != tokenizer.lower_case:
    raise UserError(f"{pathlib.Path(folder) / _SETTINGS}: field 'do_lower_case' is "
                    f"{json.dumps(stated.lower_case)}, but "
                    f"{json.dumps(tokenizer.lower_case)} for the corpus")


def vocabulary_file(folder: PathLike) -> pathlib.Path | None:
  """The file of a folder that has its vocabulary, if one has."""
  paths = (pathlib.Path(folder) / name for name in (VOCABULARY, _FAST))
  return next((path for path in paths if path.exists()), None)


def read_needed(folder: PathLike) -> Stated:
  """As `read_stated`, of a folder that must have a vocabulary.

  Raises:
    UserError: see `read_tokenizer`.
  """
  stated = read_stated(folder)
  if stated is None:
    raise UserError(f"{pathlib.Path(folder) / VOCABULARY}: no such file; expected the "
                    "WordPiece vocabulary of these weights, one token per line")
  return stated


def read_stated(folder: PathLike) -> Stated | None:
  """What a folder says of its tokenizer; None where it has no vocabulary, or no name.

  Raises:
    UserError: see `read_tokenizer`.
  """
  if not folder:
    return None
  folder = pathlib.Path(folder)
  for name in _OTHER_KINDS:
    if (folder / name).exists():
      raise UserError(f"{folder / name}: of another tokenizer than BERT's; expected weights "
                      f"with a WordPiece vocabulary, {VOCABULARY}")
  config, path = _File(folder / "config.json"), vocabulary_file(folder)
  config.expect("model_type", "bert", "realm")
  if path is None:
    return None
  stated = _stated(path)
  config.expect("pad_token_id", stated.vocabulary.index(SPECIAL_TOKENS[0]))
  return stated


def copy_tokenizer(vocabulary: pathlib.Path, folder: pathlib.Path) -> None:
  """Copies a file with a vocabulary, and what is said beside it of its tokenizer.

  Raises:
    UserError: there is no such file, or its tokenizer is not like BERT's.
  """
  if not vocabulary.exists():
    raise UserError(f"{vocabulary}: no such file")
  beside = [path for name in (_FAST, _SETTINGS, _SPECIAL, _ADDED)
            if (path := vocabulary.parent / name).exists()]
  stated = _stated(vocabulary) if beside else None
  for path in beside:
    shutil.copyfile(path, folder / path.name)
  if stated and vocabulary.name == _FAST:
    text = "".join(f"{token}\n" for token in stated.vocabulary)
    (folder / VOCABULARY).write_bytes(text.encode("utf-8"))
  else:
    shutil.copyfile(vocabulary, folder / VOCABULARY)


def write_settings(tokenizer: Tokenizer, folder: PathLike) -> None:
  """Writes what a `vocab.txt` alone does not say, where it is not what is usual."""
  if not tokenizer.lower_case:
    files.write_json(pathlib.Path(folder) / _SETTINGS, {
        "tokenizer_class": "BertTokenizer", "do_lower_case": False})


class _File:
  """The fields of a JSON file; of one that is not there, none. Part of a file, too."""

  def __init__(self, path: pathlib.Path, fields: Any = None, at: str = ""):
    self.path, self._at = path, at
    if fields is None and not at:
      fields = files.read_json(path) if path.exists() else {}
    if not isinstance(fields, Mapping):
      raise self.error("", fields, "an object")
    self.fields = fields

  def error(self, field: str, value: Any, expected: str) -> UserError:
    field = ".".join(filter(None, (self._at, field)))
    quoted_value = json.dumps(value)
    quoted_value = quoted_value if len(quoted_value) <= 80 else f"{quoted_value[:77]}..."
    where = f"field '{field}' is {quoted_value}" if field else quoted_value
    return UserError(f"{self.path}: {where}; expected {expected}: there is no tokenizer "
                     "here but BERT's")

  def expect(self, field: str, *allowed: Any) -> None:
    """Refuses a field that is there with another value; null is as if it was not."""
    value = self.fields.get(field)
    if value is not None and not any(value is choice or value == choice and not isinstance(
        choice, bool) for choice in allowed):
      raise self.error(field, value, " or ".join(map(json.dumps, allowed)))

  def flag(self, field: str) -> bool | None:
    value = self.fields.get(field)
    if value is not None and not isinstance(value, bool):
      raise self.error(field, value, "true or false")
    return value

  def part(self, field: str) -> "_File":
    """An object within this one; one without fields where there is none."""
    value = self.fields.get(field)
    at = ".".join(filter(None, (self._at, field)))
    return _File(self.path, {} if value is None else value, at)

  def special(self, field: str, allowed: Iterable[str]) -> None:
    """Refuses special tokens, a text or an object or some of these, that are others."""
    value = self.fields.get(field)
    if isinstance(value, Mapping) and "content" not in value:
      value = list(value.values())
    for token in value if isinstance(value, list) else [value]:
      content = token.get("content") if isinstance(token, Mapping) else token
      if content is not None and content not in allowed:
        raise self.error(field, token, " or ".join(allowed))


def _stated(path: pathlib.Path) -> Stated:
  settings, fast = (_File(path.parent / name) for name in (_SETTINGS, _FAST))
  vocabulary = _fast_vocabulary(fast) if fast.fields else []
  if path.name != _FAST:
    listed = read_vocabulary(path)
    if fast.fields and vocabulary != listed:
      raise UserError(f"{fast.path}: field 'model.vocab' is not what {path.name} beside it "
                      "has; expected one vocabulary")
    vocabulary = listed
  lower_case = _lower_case(settings, fast)
  for part in (settings, fast.part("normalizer")):
    part.expect("strip_accents", lower_case)
  for file in (settings, _File(path.parent / _SPECIAL)):
    _check_settings(file)
  for file in (settings, fast, _File(path.parent / _ADDED)):
    for field, number, token in _added(file):
      if token not in SPECIAL_TOKENS or vocabulary.index(token) != number:
        raise file.error(field, {"id": number, "content": token},
                         "no tokens beside those of the vocabulary")
  return Stated(path, vocabulary, lower_case)


def _lower_case(settings: _File, fast: _File) -> bool:
  said, normalizer = settings.flag("do_lower_case"), fast.part("normalizer")
  by_fast = normalizer.flag("lowercase")
  if said is not None and by_fast is not None and said != by_fast:
    raise settings.error("do_lower_case", said, f"{json.dumps(by_fast)}, the 'lowercase' of "
                         f"{_FAST}")
  return next((value for value in (said, by_fast) if value is not None), True)


def _check_settings(file: _File) -> None:
  """Refuses what `tokenizer_config.json` or `special_tokens_map.json` says otherwise."""
  kind = file.fields.get("tokenizer_class")
  if kind is not None and kind not in _CLASSES:
    raise file.error("tokenizer_class", kind, '"BertTokenizer"')
  for field in ("tokenize_chinese_chars", "do_basic_tokenize", "clean_text"):
    file.expect(field, True)
  file.expect("wordpieces_prefix", CONTINUATION)
  for field, token in zip(("pad_token", "unk_token", "cls_token", "sep_token",
                           "mask_token"), SPECIAL_TOKENS):
    file.special(field, [token])
  for field in ("never_split", "additional_special_tokens", "extra_special_tokens"):
    file.special(field, SPECIAL_TOKENS)


def _fast_vocabulary(fast: _File) -> list[str]:
  """The tokens of a `tokenizer.json`, all of which is checked besides."""
  model, normalizer = fast.part("model"), fast.part("normalizer")
  if "merges" in model.fields:
    raise model.error("type", model.fields.get("type"), '"WordPiece"')
  model.expect("type", "WordPiece")
  model.expect("unk_token", SPECIAL_TOKENS[1])
  model.expect("continuing_subword_prefix", CONTINUATION)
  model.expect("max_input_chars_per_word", MAX_WORD_CHARS)
  normalizer.expect("type", "BertNormalizer")
  normalizer.expect("clean_text", True)
  normalizer.expect("handle_chinese_chars", True)
  for part, kind in ((normalizer, "BertNormalizer"),
                     (fast.part("pre_tokenizer"), "BertPreTokenizer")):
    if part.fields.get("type") != kind:
      raise part.error("type", part.fields.get("type"), f'"{kind}"')
  numbers = model.part("vocab").fields
  tokens = {number: token for token, number in numbers.items() if isinstance(number, int)}
  if len(tokens) != len(numbers) or set(tokens) != set(range(len(tokens))):
    raise UserError(f"{fast.path}: field 'model.vocab': expected the numbers from 0 to "
                    f"{len(numbers) - 1}, one for each token")
  vocabulary = [tokens[number] for number in range(len(tokens))]
  check_vocabulary(vocabulary, f"{fast.path}, field 'model.vocab'")
  return vocabulary


def _added(file: _File) -> Iterator[tuple[str, Any, Any]]:
  """Field, number and text of the tokens that a file adds to its vocabulary."""
  if file.path.name == _ADDED:
    yield from ((token, number, token) for token, number in file.fields.items())
  listed = file.fields.get("added_tokens")
  for token in listed if isinstance(listed, list) else ():
    if isinstance(token, Mapping):
      yield "added_tokens", token.get("id"), token.get("content")
  for number, token in file.part("added_tokens_decoder").fields.items():
    yield "added_tokens_decoder", int(number) if number.isdecimal() else number, (
        token.get("content") if isinstance(token, Mapping) else token)
