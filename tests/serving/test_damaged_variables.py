"""A version whose files are damaged is none, even where all it holds is in memory already."""

import shutil

import pytest

from realm_tf.errors import UserError
from realm_tf.serving import numbered
from realm_tf.serving.loaded import ExportedModel


@pytest.mark.parametrize("name", ["variables.index", "variables.data-00000-of-00001"])
@pytest.mark.parametrize("damage", ["empty", "gone", "noise"])
def test_damaged_beside_a_whole_one(world, tmp_path, name, damage):
  if (name, damage) == ("variables.data-00000-of-00001", "noise"):
    pytest.skip("what is shared is not read, and its checksums are of no file")
  whole = ExportedModel(world.exported("portable"))
  copy = shutil.copytree(numbered.find(world.exported("portable")), tmp_path / "1")
  ExportedModel(copy, whole)
  path = copy / "variables" / name
  if damage == "gone":
    path.unlink()
  else:
    path.write_bytes(b"" if damage == "empty" else b"noise" * 100)
  with pytest.raises(UserError, match="damaged"):
    ExportedModel(copy, whole)
