"""A refresh job by Apache Beam commits what one without it commits."""

import functools
import json

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.errors import UserError
from realm_tf.index import stored_index
from realm_tf.index.index_writer import IndexWriter, remove_version, write_lock, write_shard
from realm_tf.run import refresh_job, stages
from realm_tf.run.folder import Run
from realm_tf.training.checkpoints import Checkpoints
from tests import tiny
from tests.by_beam import ALONE, DASK, cluster_for

beam = pytest.importorskip("realm_tf.index.beam", reason="apache-beam is an extra",
                           exc_type=ImportError)


@pytest.fixture(name="run", scope="module")
def _run(tmp_path_factory):
  """A run with one checkpoint of pre-training, whose tower has moved since ICT."""
  folder = tmp_path_factory.mktemp("beam")
  documents = folder / "documents.jsonl"
  documents.write_text("".join(json.dumps(vars(d)) + "\n" for d in tiny.documents()))
  run = Run(tiny.make_config(folder, corpus__source=str(documents), ict__steps=2,
                             refresh__mode="job"), folder / "run")
  stages.corpus(run)
  stages.ict(run)
  model = run.model("ict")
  for variable in model.retriever.document_tower.trainable_variables:
    variable.assign(variable * 1.5)
  step = tf.Variable(7, dtype=tf.int64)
  folder = run.path / "pretrain" / "checkpoints"
  Checkpoints(folder, {"step": step, "model": model}).save(7, {})
  return run


@pytest.mark.parametrize("options", [ALONE, pytest.param(DASK, marks=pytest.mark.slow)])
def test_the_version_is_that_of_a_job_without_beam(run, monkeypatch, options):
  monkeypatch.setattr(beam, "_ROWS_PER_SHARD", 10)  # three shards
  results = []
  for by in (None, options):
    with cluster_for(by) as by:
      assert refresh_job.refresh(run, once=True, nice=0, beam=by) == 1
    version = stored_index.find_version(run.path / "pretrain" / "index",
                                        run.corpus.rows_by_hash)
    results.append((version.origin, version.read(), len(version.shards)))
    with write_lock(version.folder.parent):
      remove_version(version.folder)
  (origin, rows, first_shards), (same_origin, same_rows, beam_shards) = results
  assert origin == same_origin and origin.step == 7 and (first_shards, beam_shards) == (1, 3)
  np.testing.assert_allclose(same_rows, rows, atol=1e-5)


def test_threads_of_a_process_share_a_model(run, monkeypatch):
  opened, init = [], beam._Worker.__init__

  def counted(worker, open_worker):
    opened.append(open_worker)
    init(worker, open_worker)

  monkeypatch.setattr(beam._Worker, "__init__", counted)
  monkeypatch.setattr(beam, "_ROWS_PER_SHARD", 3)  # nine shards
  assert refresh_job.refresh(run, once=True, nice=0, beam="--runner=DirectRunner "
                             "--direct_num_workers=4 --direct_running_mode=multi_threading")
  assert len(opened) == 1
  version = stored_index.find_version(run.path / "pretrain" / "index",
                                      run.corpus.rows_by_hash)
  assert len(version.shards) == 9
  with write_lock(version.folder.parent):
    remove_version(version.folder)


def test_a_worker_that_fails_leaves_no_version(run, monkeypatch):
  def fails(*arguments):
    raise RuntimeError("this machine is broken")

  monkeypatch.setattr(refresh_job, "_open_worker", functools.partial(fails))
  with pytest.raises(Exception, match="this machine is broken"):
    refresh_job.refresh(run, once=True, nice=0, beam="--runner=DirectRunner")
  assert stored_index.index_versions(run.path / "pretrain" / "index") == []


def test_workers_that_write_elsewhere_are_noticed(tmp_path):
  origin = stored_index.Origin("c" * 64, "e" * 64, 7, "float32")
  with write_lock(tmp_path):
    writer = IndexWriter(tmp_path, "v1", origin, (4, 2))
    with pytest.raises(UserError, match="do all workers write to the folder"):
      writer.adopt(4)
    write_shard(writer.next_shard(), np.ones([4, 2]), "float32", 0)
    writer.adopt(4)
    np.testing.assert_array_equal(writer.commit().read(), np.ones([4, 2]))
