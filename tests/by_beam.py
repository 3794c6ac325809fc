"""A stage by the command, with Apache Beam and without, for tests of what both keep."""

import contextlib
import json
import pathlib
from collections.abc import Iterator

import pytest

from realm_tf.config import RealmConfig, to_dict
from tests.command import realm

beam = pytest.importorskip("realm_tf.corpus.beam_share", reason="apache-beam is an extra",
                           exc_type=ImportError)

ALONE = "--runner=DirectRunner"
PROCESSES = f"{ALONE} --direct_num_workers=2 --direct_running_mode=multi_processing"
# A partition for each part: else one worker has them all.
DASK = "--runner=apache_beam.runners.dask.dask_runner.DaskRunner --dask_partition_size=1"


@contextlib.contextmanager
def cluster_for(options: str | None) -> Iterator[str | None]:
  """Options with a cluster of two processes where Dask is to run them."""
  if options != DASK:
    yield options
    return
  dask = pytest.importorskip("distributed", reason="dask comes with apache-beam[dask]")
  with dask.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as made:
    yield f"{options} --dask_client_address={made.scheduler_address}"


class Command:
  """Runs `corpus` and then a stage; counts the pipelines that are begun."""

  def __init__(self, folder: pathlib.Path, config: RealmConfig,
               monkeypatch: pytest.MonkeyPatch):
    self._folder, self._config = folder, folder / "config.json"
    self._config.write_text(json.dumps(to_dict(config)))
    self.pipelines, pipeline = 0, beam.beam.Pipeline

    def counted(**options):
      self.pipelines += 1
      return pipeline(**options)

    monkeypatch.setattr(beam.beam, "Pipeline", counted)

  def kept(self, stage: str, pattern: str, *flags: str) -> dict[pathlib.Path, bytes]:
    """The files of a run of its own that fit a pattern, once the stage is done."""
    root = self._folder / f"run{'-by-beam' * bool(flags)}"
    for command, more in {"corpus": (), stage: flags}.items():
      assert realm(command, f"--config={self._config}", f"--workdir={root}", *more) == 0
    return {path.relative_to(root): path.read_bytes() for path in root.glob(pattern)}
