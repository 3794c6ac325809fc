"""What folders of weights say of their tokenizer, file by file and field by field."""

import json

import pytest

import realm_tf  # noqa: F401  (chooses Keras 2 before TensorFlow loads)
from realm_tf.errors import UserError
from realm_tf.text import tokenizer_files
from realm_tf.text.tokenizer import SPECIAL_TOKENS, Tokenizer
from realm_tf.text.tokenizer_files import check_tokenizer, read_stated, read_tokenizer
from tests.vocabulary import small_vocabulary

VOCABULARY = small_vocabulary(["Paris"])
CONFIG, SETTINGS, FAST = "config.json", "tokenizer_config.json", "tokenizer.json"
SPECIAL, ADDED = "special_tokens_map.json", "added_tokens.json"
TOKENS = {f"{name.strip('[]').lower()}_token": name for name in SPECIAL_TOKENS}


def _fast(**changes):
  """A tokenizer.json as Transformers writes it of BERT; `part__field` changes it."""
  settings = {
      "version": "1.0", "truncation": None, "padding": None,
      "added_tokens": [{"id": VOCABULARY.index(token), "content": token, "special": True}
                       for token in SPECIAL_TOKENS],
      "normalizer": {"type": "BertNormalizer", "clean_text": True,
                     "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
      "pre_tokenizer": {"type": "BertPreTokenizer"},
      "post_processor": {"type": "TemplateProcessing"},
      "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
      "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
                "vocab": {token: number for number, token in enumerate(VOCABULARY)}}}
  for path, value in changes.items():
    part, _, field = path.rpartition("__")
    (settings[part] if part else settings)[field] = value
  return settings


def _settings(**changes):
  return {"do_lower_case": True, "do_basic_tokenize": True, "never_split": None,
          "tokenize_chinese_chars": True, "strip_accents": None, "model_max_length": 512,
          "tokenizer_class": "BertTokenizer", "name_or_path": "x", **TOKENS,
          "added_tokens_decoder": {
              str(VOCABULARY.index(token)): {"content": token, "special": True}
              for token in SPECIAL_TOKENS}, **changes}


def _folder(path, vocabulary=None, **contents):
  """A folder of weights; `contents` by the name of the file without its end."""
  path.mkdir(exist_ok=True)
  if vocabulary:
    (path / "vocab.txt").write_text("".join(f"{token}\n" for token in vocabulary))
  for name, content in contents.items():
    (path / f"{name}.json").write_text(json.dumps(content))
  return path


@pytest.mark.parametrize("contents, lower_case", [
    ({}, True),
    ({"config": {"model_type": "bert", "pad_token_id": 0}}, True),
    ({"config": {"model_type": "realm"}, "tokenizer_config": {"do_lower_case": False}},
     False),
    ({"tokenizer_config": _settings(), "tokenizer": _fast(), "special_tokens_map": TOKENS},
     True),
    ({"tokenizer_config": _settings(strip_accents=True, never_split=["[MASK]"])}, True),
    ({"tokenizer_config": _settings(do_lower_case=False, strip_accents=False),
      "tokenizer": _fast(normalizer__lowercase=False)}, False),
    ({"tokenizer": _fast(normalizer__lowercase=False)}, False),
    ({"tokenizer_config": {"unk_token": {"content": "[UNK]", "lstrip": False},
                           "tokenizer_class": "DistilBertTokenizerFast"},
      "added_tokens": {"[MASK]": VOCABULARY.index("[MASK]")},
      "special_tokens_map": {"additional_special_tokens": ["[PAD]"]}}, True)])
def test_what_is_said_is_honoured(tmp_path, contents, lower_case):
  tokenizer = read_tokenizer(_folder(tmp_path, VOCABULARY, **contents))
  assert list(tokenizer.vocabulary) == VOCABULARY and tokenizer.lower_case is lower_case
  check_tokenizer(tmp_path, tokenizer)
  pieces = [tokenizer.vocabulary[i] for i in tokenizer.tokenize(["Paris"]).to_list()[0]]
  assert pieces == (["paris"] if lower_case else ["Paris"])


def test_a_vocabulary_in_tokenizer_json_alone_is_read(tmp_path):
  assert read_tokenizer(_folder(tmp_path, tokenizer=_fast())).hash == Tokenizer(
      VOCABULARY).hash


REFUSED = [
    (CONFIG, {"model_type": "roberta"}, "model_type"),
    (CONFIG, {"model_type": "distilbert"}, "model_type"),
    (CONFIG, {"pad_token_id": 1}, "pad_token_id"),
    (SETTINGS, [], "expected an object"),
    *((SETTINGS, _settings(**{field: value}), field) for field, value in [
        ("do_lower_case", "yes"), ("do_lower_case", 1), ("strip_accents", False),
        ("tokenize_chinese_chars", False), ("do_basic_tokenize", False),
        ("clean_text", False), ("wordpieces_prefix", "@@"), ("never_split", ["U.S."]),
        ("unk_token", "<unk>"), ("mask_token", {"content": "<mask>"}), ("sep_token", "[CLS]"),
        ("additional_special_tokens", ["[Q]"]), ("extra_special_tokens", ["[Q]"]),
        ("extra_special_tokens", {"q": "[Q]"}), ("tokenizer_class", "RobertaTokenizer"),
        ("tokenizer_class", "BertJapaneseTokenizer"),
        ("added_tokens_decoder", {"90": {"content": "[Q]"}}),
        ("added_tokens_decoder", {"7": {"content": "[MASK]"}}),
        ("added_tokens_decoder", [])]),
    (SETTINGS, _settings(do_lower_case=False, strip_accents=True), "strip_accents"),
    (SPECIAL, {**TOKENS, "cls_token": "<s>"}, "cls_token"),
    (SPECIAL, {"additional_special_tokens": [{"content": "[Q]"}]}, "additional_special"),
    (ADDED, {"[Q]": len(VOCABULARY)}, "[Q]"),
    *((FAST, _fast(**{path: value}), path.replace("__", ".")) for path, value in [
        ("model__type", "BPE"), ("model__type", "Unigram"), ("model__unk_token", "<unk>"),
        ("model__continuing_subword_prefix", ""), ("model__max_input_chars_per_word", 50),
        ("model__vocab", [["a", -1.0]]), ("model__vocab", {"[PAD]": 0, "[UNK]": 0}),
        ("model__vocab", {token: 2 * n for n, token in enumerate(VOCABULARY)}),
        ("model", None), ("normalizer", None), ("pre_tokenizer", {"type": "Whitespace"}),
        ("normalizer__type", "Lowercase"), ("normalizer__clean_text", False),
        ("normalizer__handle_chinese_chars", False), ("normalizer__strip_accents", False),
        ("added_tokens", [{"id": len(VOCABULARY), "content": "[Q]"}])]),
    (FAST, {"model": {"vocab": {}, "merges": []}}, "model.type"),
]


@pytest.mark.parametrize("name, content, field", REFUSED)
def test_what_is_not_berts_is_refused_by_file_and_field(tmp_path, name, content, field):
  _folder(tmp_path, VOCABULARY, **{name.removesuffix(".json"): content})
  with pytest.raises(UserError) as refused:
    read_stated(tmp_path)
  message = str(refused.value)
  assert message.startswith(str(tmp_path / name)), message
  assert field.rpartition("__")[2] in message, message
  assert "\n" not in message and len(message) < 400


@pytest.mark.parametrize("name", ["merges.txt", "spiece.model", "bpe.codes", "vocab.json"])
def test_other_kinds_of_vocabulary_are_refused(tmp_path, name):
  (_folder(tmp_path, VOCABULARY) / name).write_text("")
  with pytest.raises(UserError, match=f"{name}: of another tokenizer"):
    read_tokenizer(tmp_path)


def test_two_statements_that_differ_are_refused(tmp_path):
  _folder(tmp_path, VOCABULARY, tokenizer=_fast(), tokenizer_config=_settings(
      do_lower_case=False))
  with pytest.raises(UserError, match="do_lower_case"):
    read_stated(tmp_path)
  _folder(tmp_path, [*VOCABULARY, "more"], tokenizer_config={})
  with pytest.raises(UserError, match="model.vocab"):
    read_stated(tmp_path)


@pytest.mark.parametrize("number", ["0", None, [0], {}, -1, 0.5])
def test_tokens_have_whole_numbers(tmp_path, number):
  _folder(tmp_path, tokenizer=_fast(model__vocab={"[PAD]": number}))
  with pytest.raises(UserError, match="tokenizer.json: field 'model.vocab': expected the"):
    read_stated(tmp_path)


def test_no_vocabulary_says_nothing_but_makes_no_tokenizer(tmp_path):
  tokenizer = Tokenizer(VOCABULARY)
  check_tokenizer(_folder(tmp_path), tokenizer)
  check_tokenizer(tmp_path / "absent", tokenizer)
  with pytest.raises(UserError, match="vocab.txt: no such file"):
    read_tokenizer(tmp_path)


@pytest.mark.parametrize("vocabulary, settings, message", [
    ([*VOCABULARY[:-1], "Rome"], {}, f"token {len(VOCABULARY) - 1} is 'Rome', but 'Paris'"),
    (VOCABULARY[:-1], {}, f"{len(VOCABULARY) - 1} tokens"),
    ([*VOCABULARY, "Rome"], {}, f"{len(VOCABULARY) + 1} tokens"),
    (VOCABULARY, {"do_lower_case": False}, "field 'do_lower_case' is false")])
def test_a_second_tokenizer_is_noticed(tmp_path, vocabulary, settings, message):
  _folder(tmp_path, vocabulary, tokenizer_config=settings)
  with pytest.raises(UserError) as noticed:
    check_tokenizer(tmp_path, Tokenizer(VOCABULARY))
  assert message in str(noticed.value) and str(tmp_path) in str(noticed.value)


def test_a_copy_says_the_same(tmp_path):
  cased = _settings(do_lower_case=False)
  _folder(tmp_path / "a", VOCABULARY, tokenizer_config=cased, special_tokens_map=TOKENS)
  _folder(tmp_path / "b", tokenizer=_fast(normalizer__lowercase=False))
  for name in ("a", "b"):
    copy = _folder(tmp_path / f"copy-{name}")
    tokenizer_files.copy_tokenizer(
        tokenizer_files.vocabulary_file(tmp_path / name), copy)
    assert read_tokenizer(copy).hash == Tokenizer(VOCABULARY, lower_case=False).hash
    assert (copy / "vocab.txt").exists()
  written = _folder(tmp_path / "written", VOCABULARY)
  tokenizer_files.write_settings(Tokenizer(VOCABULARY, lower_case=False), written)
  assert read_stated(written).lower_case is False
  _folder(tmp_path / "a", tokenizer_config=_settings(never_split=["x"]))
  with pytest.raises(UserError, match="never_split"):
    tokenizer_files.copy_tokenizer(tmp_path / "a" / "vocab.txt", copy)
