"""Documents to the bytes of their blocks: here, or by processes on all cores.

What comes out depends on the documents and their order alone, not on how many processes there
are. One is `python -m realm_tf.corpus.cutting`: it is told how to cut, and then documents, in
a line of JSON each; it answers with a line of JSON and the records.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import traceback
from typing import Any, Generator, Iterable, Iterator, NamedTuple, Sequence

from realm_tf import own_processes
from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.readers import Document
from realm_tf.corpus.records import record, serialized
from realm_tf.errors import UserError
from realm_tf.parallel import in_order
from realm_tf.text.salient_spans import tagger
from realm_tf.text.tokenizer import Tokenizer

# There are as many as cores, and no device is for them.
_ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "", "TF_NUM_INTRAOP_THREADS": "1",
                "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}


class Settings(NamedTuple):
  """How documents are cut, and what is noted of it."""
  vocabulary: Sequence[str]
  lower_case: bool
  max_tokens: int
  tagger: str
  tag_numbers: bool


class CutRecords(NamedTuple):
  """Blocks as TFRecords, end to end: files may be cut between any two, and joined."""
  sizes: Sequence[int]  # bytes of each
  data: bytes


class CutterEnded(UserError):
  """A process that cuts has ended before it said all: nothing is wrong with the documents."""


class Cutter:
  """Cuts documents in this process."""

  def __init__(self, settings: Settings):
    """Raises `UserError` where the tagger is not installed."""
    self.settings = settings
    self._tokenizer = Tokenizer(settings.vocabulary, settings.lower_case)
    self._max_tokens = settings.max_tokens
    self._tagger = tagger(settings.tagger, settings.tag_numbers)

  def __call__(self, documents: Sequence[Document]) -> CutRecords:
    """The blocks of the documents; errors as of `split_blocks`."""
    blocks = split_blocks(documents, self._tokenizer, self._max_tokens, self._tagger)
    records = [record(example) for example in serialized(blocks)]
    return CutRecords([len(data) for data in records], b"".join(records))


class _Process:
  """A cutter in a process of its own."""

  def __init__(self, settings: Settings):
    self._process = subprocess.Popen(
        own_processes.command("realm_tf.corpus.cutting"), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=own_processes.environment(**_ENVIRONMENT))
    assert self._process.stdin and self._process.stdout
    self._requests, self._answers = self._process.stdin, self._process.stdout
    self._settings: Settings | None = settings  # until it is told

  def __call__(self, documents: Sequence[Document]) -> CutRecords:
    """As of `Cutter`; raises `CutterEnded`, too."""
    try:
      if self._settings is not None:
        self._tell(self._settings._asdict())
        self._settings = None
      self._tell([[document.id, document.title, document.text] for document in documents])
      answer, data = self._answer()
    except (BrokenPipeError, EOFError):
      raise CutterEnded(
          f"a process that cuts documents has ended (exit code {self._process.wait()}; -9: "
          "there was no memory left); run the same command again, which goes on from there"
      ) from None
    if "refused" in answer:
      raise UserError(answer["refused"])
    if "failed" in answer:
      raise RuntimeError(answer["failed"])
    return CutRecords(answer["sizes"], data)

  def _answer(self) -> tuple[dict[str, Any], bytes]:
    """Raises `EOFError` where only a part of it comes, or none."""
    line = self._answers.readline()
    if not line.endswith(b"\n"):
      raise EOFError
    answer = json.loads(line)
    size = sum(answer.get("sizes", ()))
    data = self._answers.read(size)
    if len(data) != size:
      raise EOFError
    return answer, data

  def _tell(self, value: Any) -> None:
    self._requests.write(json.dumps(value).encode() + b"\n")
    self._requests.flush()

  def close(self) -> None:
    for pipe in (self._requests, self._answers):
      with contextlib.suppress(BrokenPipeError):
        pipe.close()
    self._process.wait()


def cut_in_order(batches: Iterable[Any], cutter: Cutter, processes: int
                 ) -> Generator[tuple[Any, CutRecords], None, None]:
  """Yields each batch with its blocks, in the order of the batches.

  Args:
    batches: with documents each, in `documents`; read a few ahead.
    cutter: the one of this process.
    processes: so many others cut; 0: this one does.
  """
  if not processes:
    yield from ((batch, cutter(batch.documents)) for batch in batches)
    return
  free: queue.SimpleQueue[_Process] = queue.SimpleQueue()
  workers = [_Process(cutter.settings) for _ in range(processes)]
  for worker in workers:
    free.put(worker)

  def cut(batch: Any) -> tuple[Any, CutRecords]:
    own = free.get()
    try:
      return batch, own(batch.documents)
    finally:
      free.put(own)

  try:
    with contextlib.closing(in_order(cut, batches, processes)) as results:
      yield from results
  finally:
    for worker in workers:
      worker.close()


def _answers_to(requests: Iterator[bytes]) -> Iterator[tuple[dict[str, Any], bytes]]:
  """What each request is answered with: a value, and bytes."""
  settings = next(requests, None)
  if settings is None:
    return
  cutter = Cutter(Settings(**json.loads(settings)))
  for request in requests:
    try:
      records = cutter([Document(*fields) for fields in json.loads(request)])
      yield {"sizes": records.sizes}, records.data
    except UserError as error:
      yield {"refused": str(error)}, b""
    except Exception:  # noqa: BLE001 - it is raised again where it is seen
      yield {"failed": traceback.format_exc()}, b""


def _serve() -> None:
  signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started this says when it ends
  answers = os.fdopen(os.dup(1), "wb")
  os.dup2(2, 1)  # for libraries that print
  with contextlib.suppress(BrokenPipeError):
    for value, data in _answers_to(iter(sys.stdin.buffer)):
      answers.write(json.dumps(value).encode() + b"\n")
      answers.write(data)
      answers.flush()


if __name__ == "__main__":
  _serve()
