"""The questions that `realm corpus` makes of trivia, here and by Apache Beam."""

import itertools
import json

from realm_tf.config import to_dict
from realm_tf.datasets.questions import read_questions
from realm_tf.datasets.trivia import read_trivia, split_trivia
from tests import tiny
from tests.command import realm

_BLOCKS = 300
_HOLDERS = (0, 1, 2, 3, 4, 100)  # blocks in which an answer stands; three are a hundredth


def _world(folder):
  """A config of trivia, the texts of its documents, and for each word those that hold it."""
  words = ["".join(parts) for parts in itertools.product("bdg", "aei", "klm", "ou")]
  holders = {word: {(7 * number + block) % _BLOCKS
                    for block in range(_HOLDERS[number % len(_HOLDERS)])}
             for number, word in enumerate(words)}
  (folder / "documents.jsonl").write_text("".join(
      json.dumps({"id": f"{row}", "title": "", "text": "The old river is by " + ", ".join(
          word for word in words if row in holders[word]) + "."}) + "\n"
      for row in range(_BLOCKS)))
  (folder / "lists").mkdir()
  for number, word in enumerate(words):
    (folder / "lists" / f"list{number:02}.yaml").write_text(
        f"Which place{number} lies by river{number}?: [{word.title()}, no{word}]\n")
  config = tiny.make_config(folder, corpus__source=str(folder / "documents.jsonl"),
                            corpus__max_block_tokens=128, trivia=str(folder / "lists"))
  return config, holders


def test_they_are_those_whose_answer_stands_in_a_hundredth_of_all_blocks_at_most(tmp_path):
  config, holders = _world(tmp_path)
  (tmp_path / "config.json").write_text(json.dumps(to_dict(config)))
  assert realm("corpus", f"--config={tmp_path}/config.json", f"--workdir={tmp_path}/run") == 0
  parts = [read_questions(tmp_path / "run" / "questions" / f"{name}.jsonl")
           for name in ("train", "held_out")]
  usable = [question for question in read_trivia(config.trivia)
            if len(holders[question.answers[0].lower()]) in (1, 2, 3)]
  assert len(usable) == len(holders) // 2 and all(parts)
  assert parts == [*split_trivia(usable, 0.2, config.seed)]


def test_by_beam_they_are_the_same_bytes(tmp_path, monkeypatch):
  from tests.by_beam import ALONE, Command  # skips the test where there is no Beam
  config, _ = _world(tmp_path)
  command, pattern = Command(tmp_path, config, monkeypatch), "questions/*.jsonl"
  kept = command.kept("corpus", pattern, f"--beam={ALONE}")
  assert command.pipelines == 2 and len(kept) == 2  # documents are cut, answers found
  assert command.kept("corpus", pattern) == kept
