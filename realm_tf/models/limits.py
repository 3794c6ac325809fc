"""What the weights that a config names allow its other fields to be."""

from realm_tf.config import RealmConfig
from realm_tf.errors import UserError
from realm_tf.models.bert import BertConfig
from realm_tf.text.tokenizer_files import read_needed

# Lengths in word pieces, by the part of the model whose positions they take.
_LENGTHS = {
    "retriever": ("retriever.query_length", "retriever.document_length",
                  "corpus.max_block_tokens", "pretrain.query_length"),
    "encoder": ("pretrain.encoder_length", "cloze.reader_length", "finetune.reader_length")}


def check_weights(config: RealmConfig, vocab_size: int | None = None) -> None:
  """Holds a config against the `config.json` of the weights that it names.

  No weight is read, so that this costs nothing before hours of work.

  Args:
    config: of a run.
    vocab_size: of its corpus; by default that of the retriever's vocabulary, by which a
      corpus is made.

  Raises:
    UserError: weights are not named or not there, have no vocabulary or other word pieces,
      fewer layers than are asked for, or fewer positions than a length takes.
  """
  folder = named_weights(config, "retriever")
  if vocab_size is None:
    vocab_size = len(read_needed(folder).vocabulary)
  for part, lengths in _LENGTHS.items():
    bert = bert_config(config, part, vocab_size)
    for field in lengths:
      section, name = field.split(".")
      length = getattr(getattr(config, section), name)
      if length > bert.max_position_embeddings:
        raise UserError(f"config.{field}: expected at most {bert.max_position_embeddings}, "
                        f"the positions of {named_weights(config, part)}/config.json, got "
                        f"{length}")


def named_weights(config: RealmConfig, part: str) -> str:
  """The folder of a part's weights; part is "retriever" or "encoder"."""
  folder = getattr(config, part).weights
  if not folder:
    raise UserError(f"config.{part}.weights: name a folder with config.json and "
                    "model.safetensors of a BERT")
  return folder


def bert_config(config: RealmConfig, part: str, vocab_size: int) -> BertConfig:
  """The sizes of a part's BERT, less the layers that the config leaves out.

  Raises:
    UserError: see `check_weights`.
  """
  folder = named_weights(config, part)
  bert = BertConfig.from_folder(folder, getattr(config, part).num_layers)
  if bert.vocab_size != vocab_size:
    raise UserError(f"{folder}: weights for {bert.vocab_size} word pieces, but the "
                    f"vocabulary of the corpus has {vocab_size}; use the vocab.txt that "
                    "came with these weights")
  return bert
