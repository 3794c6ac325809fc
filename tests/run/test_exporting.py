"""By what an export of a run searches."""

import dataclasses
import json

import pytest

from realm_tf.run import stages
from realm_tf.run.export import export_run
from realm_tf.run.folder import Run
from tests import tiny


@pytest.fixture(name="run", scope="module")
def _run(tmp_path_factory):
  folder = tmp_path_factory.mktemp("exporting")
  source = folder / "documents.jsonl"
  source.write_text("".join(json.dumps(vars(document)) + "\n"
                            for document in tiny.documents()))
  run = Run(tiny.make_config(folder, ict__steps=1, corpus__source=str(source)),
            folder / "run")
  stages.corpus(run)
  stages.ict(run)
  return run


@pytest.mark.slow
@pytest.mark.parametrize("flavour, kind, shadow, op", [
    ("native", "exact", True, b"Realm>ShadowedTopKInnerProduct"),
    ("native", "exact", False, b"Realm>TopKInnerProduct"),
    ("portable", "sharded", True, None)])
def test_a_native_export_searches_the_shadow_unless_the_config_says_no(
    run, tmp_path, caplog, flavour, kind, shadow, op):
  run.config = dataclasses.replace(
      run.config, index=dataclasses.replace(run.config.index, kind=kind, shadow=shadow))
  graph = (export_run(run, flavour, str(tmp_path / "export")) / "saved_model.pb").read_bytes()
  searches = [name for name in (b"Realm>ShadowedTopKInnerProduct", b"Realm>TopKInnerProduct")
              if name in graph]
  assert searches == ([op] if op else [])
  assert ("'sharded', but an export is not" in caplog.text) == (kind == "sharded")
