"""Exports the newest model of a run."""

import os
import pathlib

from realm_tf import folders
from realm_tf.index import top_k
from realm_tf.index.scann import ScannInGraph
from realm_tf.run import outputs
from realm_tf.run.folder import Run
from realm_tf.serving import export as serving

_SEARCH = {"portable": top_k.top_k_inner_product_portable,
           "native": top_k.top_k_inner_product,
           "scann": top_k.top_k_inner_product_portable}  # where ScaNN finds too few


def export_run(run: Run, flavour: str = "portable", output: str | None = None
               ) -> pathlib.Path:
  """Writes the SavedModel; returns its folder.

  It searches exactly, whatever `config.index.kind` is, but for the flavour "scann".
  """
  own = run.path / "export"
  folder = pathlib.Path(output or own)
  if os.path.realpath(folder) != os.path.realpath(own):
    outputs.check(folder)
  with folders.new_folder(folder, serving.EXPORT) as new:
    answerer = run.answerer(run.newest_stage(), _SEARCH[flavour], exact=True)
    if flavour == "scann":
      answerer.index = ScannInGraph(answerer.index, run.config.index, _SEARCH[flavour])
    serving.write(answerer, new, flavour)
  return folder
