"""Processes that cut documents: what ends while it answers has not answered."""

import pytest

from realm_tf import own_processes
from realm_tf.corpus import cutting
from realm_tf.corpus.readers import Document

_SETTINGS = cutting.Settings([], True, 64, "rules", True)


@pytest.mark.parametrize("answer", [
    "", '{"siz', '{"sizes": [3, 4]}', '{"sizes": [3, 4]}\\n', '{"sizes": [3, 4]}\\nabcdef',
    '{"refused": "docum'], ids=str)
def test_half_an_answer_is_an_ended_process(monkeypatch, answer):
  script = f"read -r settings; read -r documents; printf '{answer}'; kill -9 $$"
  monkeypatch.setattr(own_processes, "command", lambda module: ["sh", "-c", script])
  process = cutting._Process(_SETTINGS)
  with pytest.raises(cutting.CutterEnded, match="exit code -9"):
    process([Document("a", "", "text")])
  process.close()


def test_what_comes_whole_is_the_answer(monkeypatch):
  script = "read -r settings; read -r documents; printf '{\"sizes\": [3, 4]}\\nabcdefg'"
  monkeypatch.setattr(own_processes, "command", lambda module: ["sh", "-c", script])
  process = cutting._Process(_SETTINGS)
  assert process([Document("a", "", "text")]) == ([3, 4], b"abcdefg")
  process.close()
