"""A random encoder where the recipe's sentence encoder would be downloaded to."""

import pathlib

from realm_tf import assets, files
from tests import tiny


def put_encoder(cache: pathlib.Path) -> None:
  """Writes it, a few kilobytes, below what XDG_CACHE_HOME is to be, as if it was fetched."""
  asset = assets.ASSETS["minilm"]
  folder = tiny.write_bert(cache / "realm_tf" / asset.folder, positions=512)
  files.write_json(folder / "SOURCES.json", {
      "packages": assets._sources(asset), "parts": assets._wanted(asset),  # pylint: disable=protected-access
      "files": {path.name: files.sha256(path) for path in folder.iterdir()}})
