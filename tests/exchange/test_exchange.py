"""Import from and export to published folders: bit by bit, and no tensor unaccounted."""

import json
import pathlib
import pickle
import shutil

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file

from realm_tf import config as config_lib
from realm_tf import files
from realm_tf.errors import UserError
from realm_tf.exchange import exporting, importing
from realm_tf.models.reader import Reader
from realm_tf.models.retriever import Retriever
from realm_tf.models.sizes import Sizes
from realm_tf.run.model import initial_model
from realm_tf.text.inputs import Packed
from realm_tf.text.tokenizer import SPECIAL_TOKENS, Tokenizer
from tests.command import realm
from tests.tf1 import google_variables, write_checkpoint

SMALL = pathlib.Path(__file__).parents[1] / "reference"
_WORDS = 41
_TOKENIZER = Tokenizer([*SPECIAL_TOKENS, *(f"w{i}" for i in range(_WORDS - 5))])
_VOCABULARY = "".join(f"{word}\n" for word in _TOKENIZER.vocabulary)
_SIZES = SMALL / "embedder" / "config.json"
_GOOGLE = {  # a bert_config.json
    "vocab_size": 41, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 12, "max_position_embeddings": 16, "type_vocab_size": 2,
    "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "initializer_range": 0.02}
# Prefixes in Hugging Face's names, and the scopes that Google has for them.
_EMBEDDER = {"realm.": "module/module/module/bert/",
             "cls.predictions.": "module/module/module/cls/predictions/",
             "cls.dense.": "module/module/dense/",
             "cls.LayerNorm.": "module/module/LayerNorm/"}
_TUNED_EMBEDDER = {prefix: f"module/{scope}" for prefix, scope in _EMBEDDER.items()}
_READER = {"realm.": "reader/module/bert/",
           "cls.predictions.": "reader/module/cls/predictions/",
           "qa_outputs.dense_intermediate.": "reader/dense/",
           "qa_outputs.dense_output.": "reader/dense_1/",
           "qa_outputs.layer_normalization.": "reader/layer_normalization/"}
_ENCODER = {"realm.": "bert/", "cls.predictions.": "cls/predictions/"}


def _tensors(folder):
  return load_file(pathlib.Path(folder) / "model.safetensors")


def _same(tensors, expected):
  return tensors.keys() == expected.keys() and all(
      tensors[name].dtype == expected[name].dtype
      and np.array_equal(tensors[name], expected[name]) for name in tensors)


def _without(tensors, *endings):
  return {name: value for name, value in tensors.items() if not name.endswith(endings)}


# Hugging Face's folders.


@pytest.mark.parametrize("kind", ["embedder", "scorer", "encoder", "reader"])
def test_import_keeps_every_bit(tmp_path, kind):
  report = importing.import_weights([SMALL / kind], tmp_path / "out")
  source = _tensors(SMALL / kind)
  assert report.kind == kind and not report.skipped
  assert report.used.keys() | report.kept.keys() == source.keys()
  assert not report.used.keys() & report.kept.keys()
  assert _same(_tensors(tmp_path / "out"), source)
  assert files.read_json(tmp_path / "out" / "config.json") == files.read_json(
      SMALL / kind / "config.json")
  # And again, from what was written.
  importing.import_weights([tmp_path / "out"], tmp_path / "again")
  assert _same(_tensors(tmp_path / "again"), source)


def _open_qa(tmp_path):
  blocks = np.random.default_rng(0).normal(size=[7, 6]).astype(np.float32)
  write_checkpoint(tmp_path / "blocks" / "encoded.ckpt", {"block_emb": blocks})
  importing.import_weights(
      [SMALL / "embedder", SMALL / "reader", tmp_path / "blocks"], tmp_path / "openqa")
  return tmp_path / "openqa", blocks


def test_open_qa_is_put_together_and_taken_apart(tmp_path):
  folder, blocks = _open_qa(tmp_path)
  tensors = _tensors(folder)
  np.testing.assert_array_equal(tensors.pop("block_emb"), blocks)
  assert files.read_json(folder / "config.json")["num_block_records"] == 7
  assert files.read_json(folder / "config.json")["architectures"] == ["RealmForOpenQA"]
  for kind in ("embedder", "reader"):
    report = importing.import_weights([folder], tmp_path / kind, kind=kind)
    assert _same(_tensors(tmp_path / kind), _tensors(SMALL / kind))
    assert "block_emb" in report.skipped
  assert len(tensors) == len(_tensors(SMALL / "embedder")) + len(_tensors(SMALL / "reader"))


def test_block_embeddings_alone(tmp_path):
  folder, blocks = _open_qa(tmp_path)
  for source, kind in ((tmp_path / "blocks", None), (folder, "block_emb")):
    out = tmp_path / f"out {kind}"
    report = importing.import_weights([source], out, kind=kind)
    assert report.kind == "block_emb" and list(report.used) == ["block_emb"]
    assert _same(_tensors(out), {"block_emb": blocks})
    assert files.read_json(out / "config.json")["num_block_records"] == 7


def test_two_embedders_make_a_scorer(tmp_path):
  folder, _ = _open_qa(tmp_path)
  shutil.copytree(SMALL / "embedder", tmp_path / "other")
  tensors = _tensors(SMALL / "embedder")
  tensors["cls.dense.bias"] += 1
  save_file(tensors, tmp_path / "other" / "model.safetensors")
  importing.import_weights([tmp_path / "other", folder], tmp_path / "scorer", kind="scorer")
  scorer = _tensors(tmp_path / "scorer")
  np.testing.assert_array_equal(scorer["embedder.cls.dense.bias"], tensors["cls.dense.bias"])
  np.testing.assert_array_equal(scorer["query_embedder.cls.dense.bias"],
                                _tensors(SMALL / "embedder")["cls.dense.bias"])


def test_one_tower_stored_twice_is_one_tower(tmp_path):
  shutil.copytree(SMALL / "embedder", tmp_path / "source")
  tensors = _tensors(SMALL / "embedder")
  save_file({f"{tower}{name}": value for name, value in tensors.items()
             for tower in ("embedder.", "query_embedder.")},
            tmp_path / "source" / "model.safetensors")
  report = importing.import_weights([tmp_path / "source"], tmp_path / "out")
  assert len(report.skipped) == len(tensors)
  assert _same(_tensors(tmp_path / "out"),
               {f"embedder.{name}": value for name, value in tensors.items()})


def _broken(tmp_path, kind, change):
  shutil.copytree(SMALL / kind, tmp_path / "source")
  tensors = _tensors(SMALL / kind)
  change(tensors)
  save_file(tensors, tmp_path / "source" / "model.safetensors")
  return tmp_path / "source"


@pytest.mark.parametrize("kind, change, message", [
    ("embedder", lambda t: t.pop("realm.encoder.layer.0.output.dense.bias"),
     "'realm.encoder.layer.0.output.dense.bias' is missing"),
    ("reader", lambda t: t.pop("qa_outputs.dense_output.weight"),
     "'qa_outputs.dense_output.weight' is missing"),
    ("reader", lambda t: t.pop("cls.predictions.transform.dense.bias"),
     "'cls.predictions.transform.dense.bias' is missing"),
    ("scorer", lambda t: t.pop("query_embedder.realm.pooler.dense.bias"),
     "'query_embedder.realm.pooler.dense.bias' is missing"),
    ("encoder", lambda t: t.update({"realm.adapter.weight": np.zeros(3, np.float32)}),
     "'realm.adapter.weight' is unknown"),
    ("encoder", lambda t: t.update({"cls.predictions.bias": np.zeros(40, np.float32)}),
     r"'cls.predictions.bias' has shape \[40\], expected \[41\]"),
    ("embedder", lambda t: t.update({"cls.predictions.bias": np.zeros(40, np.float32)}),
     r"'cls.predictions.bias' has shape \[40\], expected \[41\]"),
])
def test_bad_tensor_is_named_and_nothing_is_written(tmp_path, kind, change, message):
  with pytest.raises(UserError, match=message):
    importing.import_weights([_broken(tmp_path, kind, change)], tmp_path / "out")
  assert not (tmp_path / "out").exists()


def test_what_our_bert_is_not_is_refused(tmp_path):
  source = _broken(tmp_path, "encoder", lambda tensors: None)
  for field, value in (("position_embedding_type", "relative_key"),
                       ("tie_word_embeddings", False), ("hidden_act", "swish")):
    config = files.read_json(SMALL / "encoder" / "config.json") | {field: value}
    files.write_json(source / "config.json", config)
    with pytest.raises(UserError, match=field):
      importing.import_weights([source], tmp_path / "out")


def test_old_spellings_and_half_precision(tmp_path):
  def change(tensors):
    for name in [name for name in tensors if "LayerNorm" in name]:
      value = tensors.pop(name)
      tensors[name.replace("LayerNorm.weight", "LayerNorm.gamma")
              .replace("LayerNorm.bias", "LayerNorm.beta")] = value
    name = "cls.dense.weight"
    tensors[name] = tensors[name].astype(np.float16)

  source = _broken(tmp_path, "embedder", change)
  importing.import_weights([source], tmp_path / "out")
  assert _tensors(tmp_path / "out").keys() == _tensors(SMALL / "embedder").keys()
  tower = Retriever.from_pretrained(tmp_path / "out").document_tower
  np.testing.assert_array_equal(
      tower.projection.kernel.numpy().T,
      _tensors(SMALL / "embedder")["cls.dense.weight"].astype(np.float16))


def test_a_pickle_is_never_run(tmp_path):
  class Attack:
    def __reduce__(self):
      return (pathlib.Path.touch, (tmp_path / "ran",))

  shutil.copytree(SMALL / "embedder", tmp_path / "source")
  (tmp_path / "source" / "model.safetensors").unlink()
  path = tmp_path / "source" / "pytorch_model.bin"
  path.write_bytes(pickle.dumps({"cls.dense.weight": Attack()}))
  with pytest.raises(UserError, match="pytorch_model.bin: .*(PyTorch|tensors only)"):
    importing.import_weights([tmp_path / "source"], tmp_path / "out")
  assert not (tmp_path / "ran").exists()
  pickle.loads(path.read_bytes())  # it would have run
  assert (tmp_path / "ran").exists()


def test_pytorch_file(tmp_path):
  torch = pytest.importorskip("torch", reason="PyTorch is an optional extra")
  shutil.copytree(SMALL / "scorer", tmp_path / "source")
  tensors = _tensors(SMALL / "scorer")
  torch.save({name: torch.tensor(value) for name, value in tensors.items()},
             tmp_path / "source" / "pytorch_model.bin")
  (tmp_path / "source" / "model.safetensors").unlink()
  importing.import_weights([tmp_path / "source"], tmp_path / "out")
  assert _same(_tensors(tmp_path / "out"), tensors)


def test_a_folder_that_is_there_is_not_overwritten(tmp_path):
  (tmp_path / "out").mkdir()
  (tmp_path / "out" / "notes").touch()
  with pytest.raises(UserError, match="is there already, and has 'notes' in it"):
    importing.import_weights([SMALL / "embedder"], tmp_path / "out")


# Google's checkpoints of TensorFlow 1.


def _slots(variables):
  name, value = next(iter(variables.items()))
  return variables | {f"{name}/adam_m": value, f"{name}/adam_v": value,
                      "AdamWeightDecayOptimizer_1/beta": value,
                      "global_step": np.array(7, np.int64)}


@pytest.mark.parametrize("kind, scopes", [
    ("embedder", _EMBEDDER), ("embedder", _TUNED_EMBEDDER), ("encoder", _ENCODER)],
    ids=["embedder", "fine-tuned embedder", "encoder"])
def test_checkpoint_is_what_hugging_face_made_of_it(tmp_path, kind, scopes):
  source = _tensors(SMALL / kind)
  variables = google_variables(source, scopes)
  write_checkpoint(tmp_path / "model.ckpt-7", _slots(variables))
  report = importing.import_weights([tmp_path / "model.ckpt-7"], tmp_path / "out",
                                    sizes=_SIZES)
  assert report.kind == kind
  assert _same(_tensors(tmp_path / "out"), _without(source, "position_ids", "decoder.weight"))
  assert sorted(report.skipped) == sorted(_slots(variables).keys() - variables.keys())
  assert set(report.used.values()) | set(report.kept.values()) == variables.keys()


def test_hub_module_with_its_vocabulary(tmp_path):
  variables = google_variables(_tensors(SMALL / "embedder"), _EMBEDDER)
  write_checkpoint(tmp_path / "hub" / "variables" / "variables", variables)
  (tmp_path / "hub" / "assets").mkdir()
  (tmp_path / "hub" / "assets" / "vocab.txt").write_text(_VOCABULARY)
  importing.import_weights([tmp_path / "hub"], tmp_path / "out", sizes=_SIZES)
  assert (tmp_path / "out" / "vocab.txt").read_text() == _VOCABULARY
  packed = _packed()
  np.testing.assert_array_equal(_embed(tmp_path / "out", packed),
                                _embed(SMALL / "embedder", packed))


def test_fine_tuned_reader_with_its_embedder(tmp_path):
  embedder = google_variables(_tensors(SMALL / "embedder"), _TUNED_EMBEDDER)
  reader = google_variables(_tensors(SMALL / "reader"), _READER)
  assert "reader/layer_normalization/gamma" in reader and "reader/dense_1/kernel" in reader
  write_checkpoint(tmp_path / "export.ckpt", _slots(reader | embedder))
  report = importing.import_weights([tmp_path / "export.ckpt"], tmp_path / "openqa",
                                    sizes=SMALL / "reader" / "config.json")
  assert report.kind == "openqa"
  for kind in ("embedder", "reader"):
    expected = _without(_tensors(SMALL / kind), "position_ids", "decoder.weight")
    importing.import_weights([tmp_path / "export.ckpt"], tmp_path / kind, kind=kind,
                             sizes=SMALL / "reader" / "config.json")
    assert _same(_tensors(tmp_path / kind), expected)
    inside = {name.removeprefix(f"{kind}."): value
              for name, value in _tensors(tmp_path / "openqa").items()
              if name.startswith(f"{kind}.")}
    assert _same(inside, expected)


def test_plain_bert_of_google(tmp_path):
  variables = google_variables(_tensors(SMALL / "encoder"), _ENCODER) | {
      "cls/seq_relationship/output_weights": np.ones([2, 8], np.float32),
      "cls/seq_relationship/output_bias": np.zeros(2, np.float32)}
  write_checkpoint(tmp_path / "uncased" / "bert_model.ckpt", variables)
  files.write_json(tmp_path / "uncased" / "bert_config.json", _GOOGLE)
  (tmp_path / "uncased" / "vocab.txt").write_text(_VOCABULARY)
  report = importing.import_weights([tmp_path / "uncased"], tmp_path / "bert")
  assert report.kind == "bert" and (tmp_path / "bert" / "vocab.txt").exists()
  assert "cls.seq_relationship.weight" in report.kept
  # Google's gelu is the tanh form; Hugging Face calls that one gelu_new.
  assert files.read_json(tmp_path / "bert" / "config.json")["hidden_act"] == "gelu_new"
  packed = _packed()
  actual, expected = (Reader.from_pretrained(folder).bert(
      packed.ids, packed.padding_mask, packed.segments) for folder in (
          tmp_path / "bert", SMALL / "encoder"))
  np.testing.assert_array_equal(actual, expected)


def test_sizes_are_told_from_shapes(tmp_path):
  rng = np.random.default_rng(0)
  folder = tmp_path / "wide"
  sizes = Sizes.from_values(_GOOGLE | {
      "hidden_size": 128, "num_hidden_layers": 2, "retriever_proj_size": 5}, "")
  layout = importing.layouts.layout("embedder", sizes, ())
  tensors = {name: rng.normal(size=shape).astype(np.float32)
             for name, shape in layout.used.items()}
  write_checkpoint(folder / "model.ckpt", google_variables(tensors, _EMBEDDER))
  importing.import_weights([folder], tmp_path / "out")
  read_sizes = Sizes.from_folder(tmp_path / "out")
  assert read_sizes == Sizes.from_values(
      _GOOGLE | {"hidden_size": 128, "num_hidden_layers": 2, "retriever_proj_size": 5,
                 "hidden_act": "gelu_new"}, "")
  assert _same(_tensors(tmp_path / "out"), tensors)


def test_variable_of_no_model_is_named(tmp_path):
  write_checkpoint(tmp_path / "model.ckpt", {"tower/kernel": np.zeros([2, 2], np.float32)})
  with pytest.raises(UserError, match="variable 'tower/kernel' is unknown"):
    importing.import_weights([tmp_path / "model.ckpt"], tmp_path / "out")


def test_cut_checkpoint_is_named(tmp_path):
  write_checkpoint(tmp_path / "model.ckpt", google_variables(_tensors(SMALL / "encoder"),
                                                             _ENCODER))
  path = tmp_path / "model.ckpt.index"
  path.write_bytes(path.read_bytes()[:40])
  with pytest.raises(UserError, match="model.ckpt: not a whole TensorFlow checkpoint"):
    importing.import_weights([tmp_path / "model.ckpt"], tmp_path / "out")


# What is imported starts a run, and what a run has made goes back.


def _embed(folder, packed):
  return Retriever.from_pretrained(folder).embed_documents(packed)


def _packed():
  ids = tf.constant(np.random.default_rng(1).integers(5, _WORDS, [2, 9]), tf.int32)
  return Packed(ids, tf.ones([2, 9], tf.bool), tf.zeros([2, 9], tf.int32),
                tf.constant([4, 4]))


def _config(retriever, encoder, shared=True, **changes):
  values = Sizes.from_folder(SMALL / "reader")
  return config_lib.RealmConfig(
      retriever=config_lib.RetrieverConfig(
          weights=str(retriever), projection_size=values.retriever_proj_size,
          shared_towers=shared, **changes),
      encoder=config_lib.EncoderConfig(
          weights=str(encoder), span_hidden_size=values.span_hidden_size,
          max_span_width=values.max_span_width,
          span_norm_eps=values.reader_layer_norm_eps))


def _export(model, kind, folder):
  importing.write_folder(folder, *exporting.checkpoint_contents(model, kind), None)


def test_model_from_published_folders_goes_back_bit_by_bit(tmp_path):
  model = initial_model(_config(SMALL / "scorer", SMALL / "reader", shared=False),
                        _TOKENIZER)
  for kind in exporting.kinds_of(model):
    _export(model, kind, tmp_path / kind)
    importing.import_weights([tmp_path / kind], tmp_path / f"{kind} again")  # it is complete
  scorer, reader = _tensors(SMALL / "scorer"), _tensors(SMALL / "reader")
  exported = _tensors(tmp_path / "scorer")
  assert exported and all(np.array_equal(exported[name], scorer[name]) for name in exported)
  exported = _tensors(tmp_path / "reader")
  assert _same(exported, _without(reader, "decoder.weight", "pooler.dense.weight",
                                  "pooler.dense.bias"))
  # The published code exported the tower of documents as that of queries.
  for kind, tower in (("embedder", "embedder."), ("query_embedder", "query_embedder.")):
    for name, value in _tensors(tmp_path / kind).items():
      np.testing.assert_array_equal(value, scorer[tower + name], err_msg=name)
  for name, value in _tensors(tmp_path / "openqa").items():
    part, _, rest = name.partition(".")
    expected = reader[rest] if part == "reader" else scorer[f"query_embedder.{rest}"]
    np.testing.assert_array_equal(value, expected, err_msg=name)


def test_exported_folders_have_the_same_numbers(tmp_path):
  """config.json says what the tensors do not: activation, epsilons, span width."""
  model = initial_model(_config(SMALL / "embedder", SMALL / "reader"), _TOKENIZER)
  for kind in ("embedder", "reader", "encoder"):
    _export(model, kind, tmp_path / kind)
  packed = _packed()
  np.testing.assert_array_equal(_embed(tmp_path / "embedder", packed),
                                _embed(SMALL / "embedder", packed))
  actual, expected = (Reader.from_pretrained(folder / "reader").span_logits(packed)
                      for folder in (tmp_path, SMALL))
  assert np.isfinite(expected).any()
  np.testing.assert_array_equal(actual, expected)
  wanted = Sizes.from_folder(SMALL / "reader")
  assert Sizes.from_folder(tmp_path / "reader") == wanted


def test_open_qa_folder_starts_both_models(tmp_path):
  folder, _ = _open_qa(tmp_path)
  model = initial_model(_config(folder, folder), _TOKENIZER)
  packed = _packed()
  np.testing.assert_array_equal(model.retriever.embed_queries(packed),
                                _embed(SMALL / "embedder", packed))
  np.testing.assert_array_equal(
      model.encoder.span_logits(packed),
      Reader.from_pretrained(SMALL / "reader").span_logits(packed))


def test_config_that_does_not_fit_the_folder_is_told():
  with pytest.raises(UserError, match="shared_towers=False"):
    initial_model(_config(SMALL / "scorer", SMALL / "reader"), _TOKENIZER)
  with pytest.raises(UserError, match="pooling=pooler"):
    initial_model(_config(SMALL / "embedder", SMALL / "reader", pooling="mean"),
                  _TOKENIZER)


def test_what_transformers_cannot_hold_is_not_exported(tmp_path):
  config = _config(SMALL / "encoder", SMALL / "encoder", pooling="mean")
  model = initial_model(config, _TOKENIZER)
  with pytest.raises(UserError, match="embedder: cannot be exported: .*pooling is mean"):
    _export(model, "embedder", tmp_path / "embedder")
  _export(model, "reader", tmp_path / "reader")


# The command line.


def test_commands(tmp_path, capsys):
  assert realm("import", f"--source={SMALL / 'reader'}", f"--output={tmp_path / 'one'}") == 0
  output = capsys.readouterr().out
  for name in _tensors(SMALL / "reader"):
    assert f"  {name}\n" in output
  assert "reader: 32 tensors used, 4 kept, 0 skipped" in output
  assert realm("import", f"--source={tmp_path / 'one'}", "--json",
               f"--output={tmp_path / 'two'}") == 0
  report = json.loads(capsys.readouterr().out)
  assert report["kind"] == "reader" and not report["skipped"]
  assert realm("export-weights", f"--weights={tmp_path / 'two'}",
               f"--output={tmp_path / 'three'}") == 0
  assert _same(_tensors(tmp_path / "three"), _tensors(SMALL / "reader"))
  capsys.readouterr()
  assert realm("import", f"--source={tmp_path / 'no'}", f"--output={tmp_path / 'x'}") == 2
  assert "no such folder" in capsys.readouterr().err
  assert realm("import", f"--source={SMALL / 'reader'}", "--kind=index",
               f"--output={tmp_path / 'x'}") == 2
  assert "--kind: expected one of" in capsys.readouterr().err
