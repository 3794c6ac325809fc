"""Where the documents of a store came from: what they were read of, by ranges of rows.

The manifest names one `source`; where documents were added from others, its field `sources`
lists [path, rows] in the order of the stored rows.

Shape letters: P stored rows, deleted blocks counted.
"""

import itertools
import os
import pathlib
from typing import Any, Sequence

import numpy as np

from realm_tf.corpus.manifest import read_store_manifest
from realm_tf.corpus.store import Corpus
from realm_tf.errors import UserError
from realm_tf.files import PathLike

Sources = list[tuple[str, int]]


def sources_of(manifest: dict[str, Any]) -> Sources:
  """Path and number of rows of each, in the order of the rows; they sum up to P."""
  stored = sum(shard["blocks"] for shard in manifest["shards"])
  return [(path, rows) for path, rows in manifest.get("sources") or
          [(manifest.get("source", ""), stored)]]


def merged(sources: Sequence[tuple[str, int]]) -> Sources:
  """The same, without those of no rows, and each as long as it can be."""
  groups = itertools.groupby((source for source in sources if source[1]),
                             key=lambda source: source[0])
  return [(path, sum(rows for _, rows in group)) for path, group in groups]


def live_sources(sources: Sources, live: np.ndarray) -> Sources:
  """Those of the rows that `[P]` bool marks."""
  ends = np.cumsum([0] + [rows for _, rows in sources])
  return merged([(path, int(live[first:end].sum()))
                 for (path, _), first, end in zip(sources, ends[:-1], ends[1:])])


def _places(corpus: Corpus, manifest: dict[str, Any]) -> np.ndarray:
  """[N] int: of each block the place of its source among all."""
  ends = np.cumsum([rows for _, rows in sources_of(manifest)])
  return np.searchsorted(ends, corpus.stored_rows, side="right")


def documents_from(folder: PathLike, path: str) -> set[str]:
  """Ids of the documents that came from `path`: a source, or what lies in one.

  Args:
    folder: of the store.
    path: of a file or folder that was read, or of a file or folder within one: there the
      relative path is a document's id, or the beginning of it. It may be gone.

  Raises:
    UserError: none came from there.
  """
  corpus, manifest = Corpus.open(folder), read_store_manifest(pathlib.Path(folder))
  sources, places = sources_of(manifest), _places(corpus, manifest)
  inner = {sources[place][0]: _inside(path, sources[place][0]) for place in np.unique(places)}
  documents = {name for name, place in zip(corpus.document_ids, places)
               if (part := inner[sources[place][0]]) is not None
               and (not part or name == part or name.startswith(f"{part}/"))}
  if not documents:
    examples = ", ".join(sorted(filter(None, inner))[:5])
    raise UserError(f"--source={path}: no document came from there; those here came from "
                    f"{examples or 'no path'}; a document is deleted by its id, too")
  return documents


def folder_above(folder: PathLike, own: str, path: PathLike) -> str | None:
  """The nearest folder that documents were read from, and that `path` lies in.

  Args:
    folder: of the store.
    own: the source that the run names.
    path: of a file or folder.

  Returns:
    None where there is none, or where it is `path` itself.
  """
  known = {own, *(name for name, _ in sources_of(read_store_manifest(pathlib.Path(folder))))}
  inner = {name: part for name in known if os.path.isdir(name)
           and (part := _inside(str(path), name)) is not None}
  if not inner or "" in inner.values():
    return None
  return min(inner, key=lambda name: len(inner[name]))


def _inside(path: str, source: str) -> str | None:
  """Where a path is within a source: "" for the source itself, None for elsewhere."""
  if path == source:
    return ""
  whole, root = os.path.realpath(path), os.path.realpath(source)
  if not source or not pathlib.PurePath(whole).is_relative_to(root):
    return None
  inner = pathlib.PurePath(whole).relative_to(root).as_posix()
  return "" if inner == "." else inner
