"""Weights whose folder speaks of another tokenizer than the corpus has."""

import dataclasses
import json
import pathlib

import pytest

from realm_tf import config as config_lib
from realm_tf.errors import UserError
from realm_tf.exchange.importing import import_weights
from realm_tf.run import stages
from realm_tf.run.folder import WARM_START, Run
from realm_tf.text.tokenizer_files import read_tokenizer
from tests import tiny


def _config(tmp_path: pathlib.Path) -> config_lib.RealmConfig:
  """A config with a folder of weights for each part, and documents."""
  documents = tmp_path / "documents.jsonl"
  documents.write_text("".join(json.dumps(dataclasses.asdict(document)) + "\n"
                               for document in tiny.documents()))
  values = config_lib.to_dict(tiny.make_config(tmp_path))
  values["encoder"]["weights"] = str(tiny.write_bert(tmp_path / "encoder"))
  values["corpus"]["source"] = str(documents)
  return config_lib.from_dict(values)


def _exchange_two_words(folder: pathlib.Path) -> None:
  path, swapped = folder / "vocab.txt", {"paris": "london", "london": "paris"}
  tokens = path.read_text().splitlines()
  path.write_text("".join(f"{swapped.get(token, token)}\n" for token in tokens))


def test_the_encoders_own_vocabulary_is_compared(tmp_path):
  config = _config(tmp_path)
  _exchange_two_words(tmp_path / "encoder")
  run = Run(config, tmp_path / "run")
  with pytest.raises(UserError, match=r"encoder/vocab.txt: token \d+ is 'paris', but 'lond"):
    stages.corpus(run)
  assert not (run.path / "corpus").exists()


@pytest.mark.parametrize("part", ["bert", "encoder"])
def test_weights_that_changed_since_the_corpus_was_made_are_noticed(tmp_path, part):
  run = Run(_config(tmp_path), tmp_path / "run")
  stages.corpus(run)
  run.model(WARM_START)
  _exchange_two_words(tmp_path / part)
  with pytest.raises(UserError, match=f"{part}/vocab.txt: token"):
    run.model(WARM_START)


def test_a_cased_model_makes_a_cased_corpus(tmp_path):
  config = _config(tmp_path)
  for part in ("bert", "encoder"):
    (tmp_path / part / "tokenizer_config.json").write_text('{"do_lower_case": false}')
  run = Run(config, tmp_path / "run")
  stages.corpus(run)
  assert run.corpus.tokenizer.lower_case is False
  run.model(WARM_START)
  (tmp_path / "encoder" / "tokenizer_config.json").unlink()
  with pytest.raises(UserError, match="field 'do_lower_case' is true, but false"):
    run.model(WARM_START)


def test_an_import_keeps_what_is_said_of_the_tokenizer(tmp_path):
  folder = tiny.write_bert(tmp_path / "bert")
  (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}')
  import_weights([folder], tmp_path / "imported")
  assert read_tokenizer(tmp_path / "imported").hash == read_tokenizer(folder).hash
  (folder / "tokenizer_config.json").write_text('{"tokenize_chinese_chars": false}')
  with pytest.raises(UserError, match="bert/tokenizer_config.json: field 'tokenize_chinese_"):
    import_weights([folder], tmp_path / "refused")
  assert not (tmp_path / "refused").exists()
