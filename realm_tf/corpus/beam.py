"""Cuts documents by Apache Beam, on whatever runs its pipelines.

    <parent>/.<store>.beam/000017-<digest>.documents   a batch, which workers read
    <parent>/.<store>.beam/000017-<digest>.records     its blocks, which they write

The process that starts the pipeline reads the documents and puts the blocks together, in the
order of the documents; so a store is the same, byte for byte, whoever cut it. Workers must
see the folder. What a killed job left there is not cut again.
"""

import hashlib
import json
import os
import pathlib
from typing import Any, Generator, Iterable, Iterator

import apache_beam as beam

from realm_tf import files
from realm_tf.corpus.beam_pipeline import make_pipeline
from realm_tf.corpus.blocks import CUT_VERSION
from realm_tf.corpus.cutting import CutRecords, Cutter, CutterEnded, Settings
from realm_tf.corpus.readers import Document
from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.text.salient_spans import tagger_version
from realm_tf.working import WorkingKind, check_working, remove_working

_DOCUMENTS, _RECORDS = ".documents", ".records"
_WORKING = WorkingKind("`--beam`",
                       r"\d{6,}-[0-9a-f]{16}\.(documents|records)")


class _Cut(beam.DoFn):
  """The name of a batch -> the number of its blocks, which are written beside it."""

  def __init__(self, settings: Settings):
    self._settings = settings

  def setup(self) -> None:
    self._cutter = Cutter(self._settings)

  def process(self, name: str) -> Iterator[int]:
    batch = json.loads(pathlib.Path(name + _DOCUMENTS).read_bytes())
    answer: dict[str, Any] = {}
    records = CutRecords([], b"")
    try:
      records = self._cutter([Document(*fields) for fields in batch])
      answer["sizes"] = list(records.sizes)
    except UserError as error:  # it is told by who started this, in the documents' order
      answer["refused"] = str(error)
    with files.new_file(name + _RECORDS) as file:
      file.write(json.dumps(answer).encode() + b"\n")
      file.write(records.data)
    yield len(records.sizes)


def cut_by_beam(batches: Iterable[Any], cutter: Cutter, store: PathLike, options: str
                ) -> Generator[tuple[Any, CutRecords], None, None]:
  """`cutting.cut_in_order` by a pipeline.

  Args:
    batches: with documents each; those that are yielded have none any more.
    cutter: whose settings are sent to the workers.
    store: the folder of the corpus, beside which batches lie meanwhile.
    options: of the pipeline, as on a command line: "--runner=FlinkRunner ...".

  Raises:
    UserError: a document is refused, or the folder of the batches is something else.
    CutterEnded: a worker's blocks are not there; those of others stay for the next job.
  """
  target = pathlib.Path(os.path.realpath(store))
  folder = target.with_name(f".{target.name}.beam")
  check_working(folder, _WORKING)
  folder.mkdir(parents=True, exist_ok=True)
  files.remove_leftovers(folder)
  tagger = tagger_version(cutter.settings.tagger)
  version = json.dumps([CUT_VERSION, *cutter.settings._replace(tagger=tagger)])
  named = [_written(folder, batch, version) for batch in batches]
  missing = [name for name, _ in named if not os.path.exists(name + _RECORDS)]
  if missing:
    with make_pipeline(options) as pipeline:
      _ = (pipeline | beam.Create(missing) | beam.Reshuffle()
           | beam.ParDo(_Cut(cutter.settings)))
  try:
    for name, batch in named:
      yield batch, _read(name)
  except CutterEnded:
    raise
  except UserError:
    remove_working(folder, _WORKING)
    raise
  remove_working(folder, _WORKING)


def _written(folder: pathlib.Path, batch: Any, version: str) -> tuple[str, Any]:
  """The name of a batch, which says what is in it and how it is cut; and it without that."""
  data = json.dumps([[document.id, document.title, document.text]
                     for document in batch.documents]).encode()
  digest = hashlib.sha256(version.encode() + data).hexdigest()[:16]
  name = str(folder / f"{batch.number:06d}-{digest}")
  if not os.path.exists(name + _RECORDS):
    with files.new_file(name + _DOCUMENTS) as file:
      file.write(data)
  return name, batch._replace(documents=[])


def _read(name: str) -> CutRecords:
  try:
    with open(name + _RECORDS, "rb") as file:
      answer = json.loads(file.readline())
      data = file.read()
  except FileNotFoundError:
    raise CutterEnded(
        f"--beam: {name}{_RECORDS} is missing: expected workers that write where this "
        "process reads, such as a folder that they share") from None
  if "refused" in answer:
    raise UserError(answer["refused"])
  return CutRecords(answer["sizes"], data)
