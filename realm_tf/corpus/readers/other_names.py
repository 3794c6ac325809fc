"""JSON lines and tables whose fields have other tools' names, or that have no `id`.

What a file is is told by its first line; a later one that is otherwise is an error.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from absl import logging

from realm_tf.corpus.readers.maker import Maker
from realm_tf.errors import UserError

_IDS = ("id", "_id", "docid", "doc_id", "document_id", "passage_id")  # BEIR, MS MARCO
OPTIONAL = "id and title may be missing"
_TEXTS = ("text", "content", "contents", "context")  # Haystack, Pyserini, SQuAD


class FieldNames(NamedTuple):
  """What a file calls `id` and `text`; "": it has none, and the number of the line is it."""
  id: str
  text: str

  @classmethod
  def told_by(cls, fields: Mapping[str, Any]) -> "FieldNames":
    # An ID that is not taken for one would give way to the number of its line.
    return cls(next((field for name in _IDS for field in (name, *fields)
                     if field in fields and field.casefold() == name), ""),
               next((name for name in _TEXTS if name in fields), "text"))

  def accept(self, where: str, maker: Maker, spelled: Mapping[str, str] | None = None
             ) -> None:
    """Logs what is not as it is expected; `spelled`: how fields stand in the file.

    Raises:
      UserError: there are no ids, and numbers would not do.
    """
    path = maker.path
    if not self.id:
      if not maker.report.numbers:
        raise UserError(f"{where}: field 'id' is missing; documents that are added need one, "
                        "or would take the place of those of the same number")
      logging.info("%s: no field 'id': the number of its line is the id of a document", path)
    for ours, name in zip(self._fields, self):
      if name not in (ours, ""):
        logging.info("%s: field '%s' is read as '%s'", path, (spelled or {}).get(name, name),
                     ours)

  def as_ours(self, number: int, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a line by our names."""
    renamed = dict(fields)
    if not self.id:
      renamed.setdefault("id", number)
    for own_name, name in zip(self._fields, self):
      if name in fields:
        renamed[own_name] = fields[name]
    meta = fields.get("meta")  # Haystack's
    if "title" not in fields and isinstance(meta, dict):
      renamed["title"] = meta.get("title", meta.get("name"))
    return renamed
