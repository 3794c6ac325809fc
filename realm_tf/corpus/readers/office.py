"""What files of Word and Excel have in common: a ZIP archive, of a size that is checked."""

import io
import zipfile

from realm_tf.corpus.readers.unreadable import Unreadable

_MOST_BYTES = 1 << 28  # unpacked
_OLE = b"\xd0\xcf\x11\xe0"  # in which these programs wrap what they encrypt


def open_package(data: bytes, program: str) -> zipfile.ZipFile:
  """The archive of a file that `program` wrote.

  Raises:
    Unreadable: damaged, encrypted, or a bomb.
  """
  if data.startswith(_OLE):
    raise Unreadable("encrypted", f"or of an old {program}")
  try:
    archive = zipfile.ZipFile(io.BytesIO(data))
  except zipfile.BadZipFile as error:
    raise Unreadable("damaged", str(error)[:200]) from None
  if sum(member.file_size for member in archive.infolist()) > _MOST_BYTES:
    raise Unreadable(f"larger than {_MOST_BYTES >> 20} MiB unpacked")
  return archive
