"""The sizes of a published model, as the `config.json` of Transformers gives them."""

import dataclasses
import pathlib
from typing import Any, Mapping

from realm_tf import files
from realm_tf.files import PathLike
from realm_tf.models.bert import BertConfig, check_field


@dataclasses.dataclass(frozen=True)
class Sizes:
  """Sizes of a published model; the defaults are those of Transformers."""
  bert: BertConfig
  retriever_proj_size: int = 128
  span_hidden_size: int = 256
  max_span_width: int = 10
  reader_layer_norm_eps: float = 1e-3

  @classmethod
  def from_values(cls, values: Mapping[str, Any], where: str) -> "Sizes":
    """The sizes among the fields of a `config.json`; `where` is named in errors."""
    heads = [field for field in dataclasses.fields(cls)[1:] if field.name in values]
    for field in heads:
      check_field(field, values, where)
    head_sizes = {field.name: values[field.name] for field in heads}
    return cls(BertConfig.from_values(dict(values), where), **head_sizes)

  @classmethod
  def from_folder(cls, folder: PathLike) -> "Sizes":
    path = pathlib.Path(folder) / "config.json"
    return cls.from_values(files.read_object(path), str(path))

  def of_reader(self) -> dict[str, Any]:
    """Arguments of `Reader`."""
    return {"span_hidden_size": self.span_hidden_size, "max_span_width": self.max_span_width,
            "span_norm_eps": self.reader_layer_norm_eps}
