"""A tagger trained on a small made-up file, and what its folder is good for."""

import json
import random
import re

import numpy as np
import pytest

from realm_tf.config.stage_settings import TaggerConfig
from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.making import make_store
from realm_tf.corpus.readers import Document
from realm_tf.corpus.store import Corpus
from realm_tf.datasets.conll import read_conll
from realm_tf.errors import UserError
from realm_tf.models.tagger import BertTagger
from realm_tf.text.salient_spans import tagger, tagger_version
from realm_tf.text.sentences import split_sentences
from realm_tf.text.span_scores import span_scores
from realm_tf.text.tokenizer import Tokenizer
from realm_tf.training.loop import Loop
from realm_tf.training.stopping import Interrupted
from realm_tf.training.tagger import train_tagger
from tests import tiny
from tests.command import realm

_PLACES = [name.lower() for pair in tiny.CITIES.items() for name in pair]
_QUICK = TaggerConfig(passes=7.0, batch_size=16, learning_rate=3e-3, length=32)


def _write(path, seed, count):
  """Places stand after "in" or "by", some of them next to each other; in IOB."""
  rng = random.Random(seed)
  lines = []
  for _ in range(count):
    first, second, third = rng.sample(_PLACES, 3)
    lines += ["many O", "people O", "live O", "in O", f"{first} I-LOC", "by O", "the O",
              f"{second} I-LOC", *rng.choice([["river O"], [f"{third} B-LOC"], []]), ". O",
              ""]
  path.write_text("\n".join(lines))
  return path


@pytest.fixture(name="trained", scope="module")
def _trained(tmp_path_factory):
  folder = tmp_path_factory.mktemp("tagger")
  scores = train_tagger(
      folder / "tagger", _write(folder / "train", 1, 200), _write(folder / "held_out", 2, 60),
      tiny.write_bert(folder / "bert"), _QUICK)
  return folder, scores


def test_it_finds_what_it_has_learnt(trained):
  folder, scores = trained
  assert scores[""].f1 > 0.95 and scores["LOC"] == scores[""]
  manifest = json.loads((folder / "tagger" / "tagger.json").read_text())
  assert manifest["held_out"]["all"]["f1"] == scores[""].f1
  assert manifest["labels"] == ["O", "B-LOC", "I-LOC"]
  assert {path.name for path in folder.iterdir()} == {"tagger", "train", "held_out", "bert"}


def test_the_scores_are_those_of_the_saved_tagger(trained):
  folder, scores = trained
  sentences = read_conll(folder / "held_out")
  found = BertTagger.from_folder(folder / "tagger").entities(
      [sentence.words for sentence in sentences])
  assert span_scores([sentence.entities for sentence in sentences], found) == scores[""]


def test_spans_of_texts_are_in_characters_of_the_text(trained):
  finds = tagger(str(trained[0] / "tagger"))
  texts = ["Many people live in Päris by the Oslo river.", "",
           "\U0001f600 Many people live in Rome. Many people live in Cairo by the river "
           "since 1990."]
  spans = finds(texts, [split_sentences(text) for text in texts])
  words = [[text[start:end] for start, end in found] for text, found in zip(texts, spans)]
  assert words[:2] == [["Päris", "Oslo"], []]
  # What the model makes of a word that it has never seen nobody knows.
  dates, = tagger(str(trained[0] / "tagger"), numbers=False)(
      ["since 1990, for 3 days"], [[(0, 22)]])
  assert (6, 10) in dates and (16, 22) not in dates
  assert {"Rome", "Cairo", "1990"} <= set(words[2]) <= set(re.findall(r"\w+|\S", texts[2]))


def test_long_sentences_are_read_in_parts(trained):
  model = BertTagger.from_folder(trained[0] / "tagger")
  words = ("many people live in paris by the oslo river " * 20).split()
  found, = model.entities([words])
  assert [words[start] for start, _, _ in found].count("paris") > 17
  ids = model.tokenizer.tokenize([" ".join(words)])[0].numpy()
  windows = list(model.windows(ids))
  assert np.array_equal(np.concatenate([window.ids for window in windows]), ids)
  assert max(len(window.ids) for window in windows) <= 30 and len(windows) > 5
  long_word = model.tokenizer.tokenize(["q" * 90 + " oslo"])[0].numpy()
  first, second = model.windows(long_word)
  assert len(first.ids) == 30 and model.tokenizer.vocabulary[second.ids[0]] == "oslo"


def test_a_corpus_is_tagged_by_it(trained, tmp_path):
  name = str(trained[0] / "tagger")
  tokenizer = Tokenizer(tiny.vocabulary())
  documents = [Document(str(number), "", f"Many people live in {city} by the river.")
               for number, city in enumerate(tiny.CITIES)]
  make_store(tmp_path / "corpus", documents, tokenizer=tokenizer, max_tokens=64, source="",
             tagger=name)
  blocks = list(split_blocks(documents, tokenizer, 64, tagger(name)))
  corpus = Corpus.open(tmp_path / "corpus")
  assert sum(len(block.span_starts) for block in blocks) == len(tiny.CITIES)
  assert np.array_equal(corpus.span_starts.values,
                        np.concatenate([block.span_starts for block in blocks]))


def test_a_tagger_of_other_contents_is_another(trained, tmp_path):
  name = str(trained[0] / "tagger")
  assert tagger_version("rules") == "rules" and len(tagger_version(name)) == 64
  with pytest.raises(UserError, match="is not known; expected one of rules, spacy, or a"):
    tagger(str(tmp_path))


def test_what_is_damaged_is_named(trained, tmp_path):
  for file, message in (("model.safetensors", "damaged or missing"),
                        ("tagger.json", "damaged: its fields")):
    folder = tmp_path / file
    folder.mkdir()
    for path in (trained[0] / "tagger").iterdir():
      data = path.read_bytes()
      (folder / path.name).write_bytes(
          data[:-9] + b"\1" + data[-8:] if path.name == file == "model.safetensors" else
          data.replace(b'"length": 32', b'"length": 33') if path.name == file else data)
    with pytest.raises(UserError, match=f"{file}: {message}"):
      tagger(str(folder))


def test_by_the_command(trained, capsys):
  folder, _ = trained
  words = ["tagger", "train", f"--train={folder / 'train'}", f"--weights={folder / 'bert'}",
           f"--held_out={folder / 'held_out'}", "--passes=0.2", "--length=32"]
  assert realm(*words, f"--output={folder / 'by-command'}", "--json") == 0
  printed = json.loads(capsys.readouterr().out)
  assert set(printed) == {"all", "LOC"} and printed["all"]["right"] > 60
  (folder / "mine").mkdir()
  (folder / "mine" / "thesis.txt").touch()
  assert realm(*words, f"--output={folder / 'mine'}") == 2
  assert "'thesis.txt' in it" in capsys.readouterr().err
  assert realm("tagger", *words[2:]) == 2
  assert "expected `realm tagger train`" in capsys.readouterr().err
  assert realm(*words[:-1], f"--output={folder / 'new'}", "--length=999") == 2
  assert "999 tokens, but the BERT has 128 positions" in capsys.readouterr().err
  assert not (folder / "new").exists()


@pytest.mark.parametrize("name", ["thesis.txt", "checkpoints", "settings.json"])
def test_a_folder_of_the_user_is_not_taken_for_a_training_that_was_stopped(tmp_path, name):
  mine = tmp_path / ".tagger.training" / name
  mine.parent.mkdir()
  mine.write_text("years")
  with pytest.raises(UserError, match=rf"\.tagger\.training: .*'{name}' in it.*realm tagger"):
    train_tagger(tmp_path / "tagger", "train", "held_out", "bert", _QUICK)
  assert mine.read_text() == "years" and len(list(tmp_path.rglob("*"))) == 2


def test_a_stopped_training_goes_on_and_ends_as_one_that_was_not(trained, monkeypatch):
  folder, scores = trained
  run = Loop.run

  def stopped(loop, batches, step):
    def stop_at_40(number):
      if number == 40:
        loop._stop.append(15)
      return {}
    run(loop, batches, step, before_step=[stop_at_40])

  monkeypatch.setattr(Loop, "run", stopped)
  arguments = (folder / "again", folder / "train", folder / "held_out", folder / "bert",
               _QUICK)
  with pytest.raises(Interrupted, match="stopped at step 40"):
    train_tagger(*arguments)
  assert not (folder / "again").exists()
  monkeypatch.setattr(Loop, "run", run)
  assert train_tagger(*arguments) == scores
  assert not list(folder.glob(".again*"))
