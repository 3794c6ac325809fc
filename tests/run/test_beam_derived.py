"""What is derived by Apache Beam, where it is not installed."""

import sys

import pytest

from realm_tf.errors import UserError
from realm_tf.run import document_import, refresh_job
from realm_tf.run.beam_derived import find_bans, find_places
from tests import tiny


def test_without_apache_beam_one_line_says_what_to_install(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "apache_beam", None)
  corpus = tiny.make_corpus(tmp_path / "store")
  config = tiny.make_config(tmp_path, write=False)
  find_bans(config, corpus, None)  # who needs them makes them
  with pytest.raises(UserError, match=r"--beam: needs apache_beam.*'realm_tf\[beam\]'"):
    find_bans(config, corpus, "--runner=DirectRunner")
  find_places([], corpus, "--runner=DirectRunner")
  find_places(tiny.questions(), corpus, None)
  with pytest.raises(UserError, match=r"--beam: needs apache_beam.*'realm_tf\[beam\]'"):
    find_places(tiny.questions(), corpus, "--runner=DirectRunner")


@pytest.mark.parametrize("make", [
    lambda folder: document_import._by_beam(folder, "--runner=DirectRunner"),
    lambda folder: refresh_job._by_beam(None, None, "--runner=DirectRunner")])
def test_so_it_is_said_where_a_corpus_is_cut_or_embedded(tmp_path, monkeypatch, make):
  monkeypatch.setitem(sys.modules, "apache_beam", None)
  with pytest.raises(UserError, match=r"--beam: needs apache_beam.*'realm_tf\[beam\]'"):
    make(tmp_path)
