"""A config is held against the weights that it names, before anything is made of them."""

import json
import shutil

import pytest

from realm_tf import config as config_lib
from realm_tf.errors import UserError
from realm_tf.models.bert import BertConfig
from realm_tf.models.limits import check_weights
from tests import tiny

_POSITIONS = 128


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory):
  """Weights with 128 positions in `bert`, with 64 in `short`; both without a tensor."""
  folder = tmp_path_factory.mktemp("limits")
  tiny.write_bert(folder / "bert")
  (folder / "bert" / "model.safetensors").unlink()
  shutil.copytree(folder / "bert", folder / "short")
  _change(folder / "short", max_position_embeddings=64)
  return folder


def _change(folder, **values):
  path = folder / "config.json"
  path.write_text(json.dumps(json.loads(path.read_text()) | values))


def _config(folder, **changes):
  return tiny.make_config(folder, write=False, **changes)


@pytest.mark.parametrize("field", [
    "retriever.query_length", "retriever.document_length", "corpus.max_block_tokens",
    "pretrain.encoder_length", "finetune.reader_length"])
def test_lengths_stay_within_the_positions(folder, field):
  check_weights(_config(folder, **{field.replace(".", "__"): _POSITIONS}))
  with pytest.raises(UserError, match=f"^config.{field}: expected at most 128, .* got 129$"):
    check_weights(_config(folder, **{field.replace(".", "__"): _POSITIONS + 1}))


@pytest.mark.parametrize("part, fits, too_long", [
    ("retriever", {"pretrain__encoder_length": 128, "finetune__reader_length": 128},
     {"pretrain__query_length": 65}),
    ("encoder", {"retriever__document_length": 128, "corpus__max_block_tokens": 128},
     {"pretrain__encoder_length": 65})])
def test_each_length_is_of_one_model(folder, part, fits, too_long):
  short = {"pretrain__encoder_length": 64, "finetune__reader_length": 64,
           f"{part}__weights": str(folder / "short")}
  check_weights(_config(folder, **(short | fits)))
  if part == "retriever":
    short["pretrain__encoder_length"] = 128
  (field,) = too_long
  with pytest.raises(UserError, match=f"^config.{field.replace('__', '.')}: .* most 64, the "
                                      "positions of .*/short/config.json, got 65"):
    check_weights(_config(folder, **(short | too_long)))


def test_what_else_depends_on_the_weights(folder, tmp_path):
  for part in ("retriever", "encoder"):
    with pytest.raises(UserError, match=f"^config.{part}.weights: name a folder"):
      check_weights(_config(folder, **{f"{part}__weights": ""}))
    with pytest.raises(UserError, match="^/nowhere/"):
      check_weights(_config(folder, **{f"{part}__weights": "/nowhere"}))
    with pytest.raises(UserError, match=r"config.json: 3 layers asked for \(num_layers\)"):
      check_weights(_config(folder, **{f"{part}__num_layers": 3}))
  config, size = _config(folder), len(tiny.vocabulary())
  check_weights(config, size)
  with pytest.raises(UserError, match=f"weights for {size} word pieces, .* has {size + 1}"):
    check_weights(config, size + 1)  # of the corpus
  shutil.copytree(folder / "bert", tmp_path / "bert")
  with open(tmp_path / "bert" / "vocab.txt", "a", encoding="utf-8") as file:
    file.write("onemore\n")
  with pytest.raises(UserError, match=f"vocabulary .* has {size + 1}"):
    check_weights(config_lib.from_dict(config_lib.to_dict(config) | {
        "retriever": {"weights": str(tmp_path / "bert"), "query_length": 32,
                      "document_length": 64}}))


def test_a_vocabulary_may_stand_in_tokenizer_json(folder, tmp_path):
  shutil.copytree(folder / "bert", tmp_path / "bert")
  (tmp_path / "bert" / "vocab.txt").unlink()
  with pytest.raises(UserError, match="^.*/bert/vocab.txt: no such file; expected"):
    check_weights(_config(tmp_path))
  for more in ([], ["onemore"]):
    tiny.write_fast_vocabulary(tmp_path / "bert", [*tiny.vocabulary(), *more])
    if not more:
      check_weights(_config(tmp_path))
  with pytest.raises(UserError, match="^.*/bert: weights for .* vocabulary .* has "):
    check_weights(_config(tmp_path))


@pytest.mark.parametrize("field, value", [
    ("vocab_size", "30522"), ("hidden_size", 0), ("num_attention_heads", True),
    ("max_position_embeddings", None), ("layer_norm_eps", float("nan")), ("hidden_act", 5),
    ("intermediate_size", -1), ("num_hidden_layers", 2.0)])
def test_sizes_of_a_bert_are_numbers_above_zero(folder, tmp_path, field, value):
  shutil.copytree(folder / "bert", tmp_path / "bert")
  _change(tmp_path / "bert", **{field: value})
  with pytest.raises(UserError, match=f"bert/config.json: field '{field}': expected "):
    BertConfig.from_folder(tmp_path / "bert")
  (tmp_path / "bert" / "config.json").write_text("5")
  with pytest.raises(UserError, match="bert/config.json: expected a JSON object"):
    BertConfig.from_folder(tmp_path / "bert")
