"""The documents that a command reads into a run, and what the run says of those left out.

    documents/<command>.json            how many, skipped and left out by which reasons
    documents/<command>.skipped.jsonl   each that was left out, by name
"""

import contextlib
from typing import Generator, Iterator

from realm_tf import files
from realm_tf.corpus.readers import Document, Report, read_documents
from realm_tf.run.folder import Run

FOLDER = "documents"


@contextlib.contextmanager
def reading(run: Run, command: str, source: files.PathLike, strict: bool
            ) -> Iterator[Iterator[Document]]:
  """Documents as `read_documents` reads them; afterwards the run tells what was left out.

  Raises:
    UserError: as `read_documents`; nothing is told then.
  """
  made = 0

  def counted() -> Generator[Document, None, None]:
    nonlocal made
    for document in read_documents(source, strict, run.config.corpus.format, report):
      made += 1
      yield document

  folder = run.path / FOLDER
  with files.new_file(folder / f"{command}.skipped.jsonl", "w") as file:
    report = Report(file, numbers=command != "add")
    with contextlib.closing(counted()) as documents:
      yield documents
    files.write_json(folder / f"{command}.json", report.summary(made))
