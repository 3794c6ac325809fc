"""The documents that a command reads into a run, and what the run says of those left out.

    documents/<command>.json            how many, skipped and left out by which reasons
    documents/<command>.skipped.jsonl   each that was left out, by name
"""

import contextlib
import functools
import pathlib
from typing import Generator, Iterator

from realm_tf import files
from realm_tf.corpus.making import CutBatches, SourceChanged, make_store
from realm_tf.corpus.readers import Document, ReadingReport, read_documents
from realm_tf.distribute.processes import num_processes
from realm_tf.errors import UserError
from realm_tf.extras import require
from realm_tf.run.folder import Run
from realm_tf.run.sentence_corpus import has_sentences, sentences_path
from realm_tf.text.tokenizer import Tokenizer

DOCUMENTS_FOLDER = "documents"
_MASK_SPANS = ("salient", "related")  # maskers that know which blocks hold a span


def make_corpus(run: Run, tokenizer: Tokenizer, strict: bool, beam: str | None = None
                ) -> None:
  """Writes the store of the documents that the run's config names.

  Args:
    run: it has none yet.
    tokenizer: of its models.
    strict: see `read_documents`.
    beam: options of the Apache Beam pipeline that cuts; None: this machine does.
  """
  _make(run, run.path / "corpus", "corpus", run.config.corpus.source,
        run.config.corpus.format, tokenizer, strict, beam)


def make_sentences(run: Run, beam: str | None = None) -> None:
  """Writes the store of those whose sentences are masked, if they are others.

  They are cut as those of `make_corpus`.
  """
  source = run.config.pretrain.corpus
  if not source or has_sentences(run.path):
    return
  if run.config.reading.steps and run.config.pretrain.masker not in _MASK_SPANS:
    raise UserError("config.reading.steps: the reading warm-up needs a block that holds what "
                    "is masked; of another corpus's sentences (config.pretrain.corpus) "
                    f"only the maskers {' and '.join(_MASK_SPANS)} know; set it to 0")
  if num_processes(run.strategy) > 1:
    raise UserError(f"config.pretrain.corpus: {source} is not cut into blocks yet, which one "
                    "process must do: run `realm pretrain` without --strategy first, and end "
                    "it when it trains")
  _make(run, sentences_path(run.path), "pretrain", source, "auto", run.corpus.tokenizer,
        strict=False, beam=beam)


def _make(run: Run, folder: pathlib.Path, command: str, source: str, format: str,
          tokenizer: Tokenizer, strict: bool, beam: str | None = None) -> None:
  cut = None if beam is None else _by_beam(folder, beam)
  try:
    with reading_documents(run, command, source, strict, format) as documents:
      make_store(folder, documents, tokenizer=tokenizer,
                 max_tokens=run.config.corpus.max_block_tokens, source=source,
                 tagger=run.config.corpus.tagger,
                 tag_numbers=run.config.corpus.tag_numbers, cut=cut)
  except SourceChanged:  # since a process was killed that was making it: now from the first
    _make(run, folder, command, source, format, tokenizer, strict, beam)


def _by_beam(folder: pathlib.Path, options: str) -> CutBatches:
  require(("apache_beam",), "--beam", "beam")
  from realm_tf.corpus import beam  # pylint: disable=import-outside-toplevel
  return functools.partial(beam.cut_by_beam, store=folder, options=options)


@contextlib.contextmanager
def reading_documents(run: Run, command: str, source: files.PathLike, strict: bool,
                      format: str = "", within: str | None = None
                      ) -> Iterator[Iterator[Document]]:
  """Documents as `read_documents` reads them; then a report of what was left out.

  Raises:
    UserError: as `read_documents`; no report is written then.
  """
  count = 0

  def counted() -> Generator[Document, None, None]:
    nonlocal count
    for document in read_documents(source, strict, format or run.config.corpus.format,
                                   report, within, scratch=folder):
      count += 1
      yield document

  folder = run.path / DOCUMENTS_FOLDER
  with files.new_file(folder / f"{command}.skipped.jsonl", "w") as file:
    report = ReadingReport(file, numbers=command != "add")
    with contextlib.closing(counted()) as documents:
      yield documents
    files.write_json(folder / f"{command}.json", report.summary(count))
