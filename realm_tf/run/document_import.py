"""The documents that a command reads into a run, and what the run says of those left out.

    documents/<command>.json            how many, skipped and left out by which reasons
    documents/<command>.skipped.jsonl   each that was left out, by name
"""

import contextlib
from typing import Generator, Iterator

from realm_tf import files
from realm_tf.corpus.readers import Document, ReadingReport, read_documents
from realm_tf.run.folder import Run

FOLDER = "documents"


@contextlib.contextmanager
def reading_documents(run: Run, command: str, source: files.PathLike, strict: bool
                      ) -> Iterator[Iterator[Document]]:
  """Documents as `read_documents` reads them; then a report of what was left out.

  Raises:
    UserError: as `read_documents`; no report is written then.
  """
  count = 0

  def counted() -> Generator[Document, None, None]:
    nonlocal count
    for document in read_documents(source, strict, run.config.corpus.format, report):
      count += 1
      yield document

  folder = run.path / FOLDER
  with files.new_file(folder / f"{command}.skipped.jsonl", "w") as file:
    report = ReadingReport(file, numbers=command != "add")
    with contextlib.closing(counted()) as documents:
      yield documents
    files.write_json(folder / f"{command}.json", report.summary(count))
