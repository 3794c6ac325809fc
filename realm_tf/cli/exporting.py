"""Exports the newest model of a run."""

import pathlib

from realm_tf.cli.run_folder import RunFolder
from realm_tf.index import top_k
from realm_tf.serving import export as serving

_SEARCH = {"portable": top_k.top_k_inner_product_portable,
           "native": top_k.top_k_inner_product}


def export_run(run: RunFolder, flavour: str = "portable", output: str | None = None
               ) -> pathlib.Path:
  """Writes the SavedModel; returns its folder.

  It searches exactly, whatever `config.index.kind` is: ScaNN lives outside the graph.
  """
  folder = pathlib.Path(output or run.path / "export")
  serving.export(run.answerer(run.newest_stage(), _SEARCH[flavour], exact=True), folder)
  return folder
