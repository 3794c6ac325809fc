"""Every hyper-parameter of a run, each written once.

A config is a tree of frozen dataclasses. `configs/*.py` hold `get_config()`,
which returns `as_config_dict(RealmConfig(...))` so that absl flags can override
single fields (`--config.pretrain.steps=200`); `from_dict` turns the result back
into a checked `RealmConfig`. Unknown keys and values out of range raise.
"""

import dataclasses
import typing
from typing import Any

import ml_collections

from realm_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class CorpusConfig:
  """The documents, and how they are cut into blocks."""
  source: str = ""  # JSONL, TSV, or the demo's Wikipedia leads
  max_block_tokens: int = 288  # word pieces, title and special tokens counted
  tagger: str = "rules"  # salient spans: "rules" or "spacy"


@dataclasses.dataclass(frozen=True)
class RetrieverConfig:
  """Two towers into one space of `projection_size` dimensions."""
  weights: str = ""  # folder with config.json and model.safetensors
  num_layers: int = 0  # keep only the first layers of the weights; 0 keeps all
  pooling: str = "pooler"  # "pooler" (published), "cls" or "mean"
  projection_size: int = 128
  shared_towers: bool = True
  precision: str = "float32"  # of products with weights: "float32" or "bfloat16"
  recompute: bool = False  # layers again for the gradient: less memory, more time
  query_length: int = 64  # word pieces, special tokens counted
  document_length: int = 288


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
  """The knowledge-augmented encoder, with its masked-LM and span heads."""
  weights: str = ""
  num_layers: int = 0
  precision: str = "float32"
  recompute: bool = False
  span_hidden_size: int = 256
  max_span_width: int = 10  # word pieces
  span_norm_eps: float = 1e-3  # of the span head's norm; BERT's norms have 1e-12


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
  """AdamW as in BERT: warm-up, linear decay, no decay on norms and biases."""
  steps: int = 1000
  batch_size: int = 16
  learning_rate: float = 1e-4
  warmup_steps: int = 100
  weight_decay: float = 0.01
  clip_norm: float = 1.0
  layer_decay: float = 1.0  # of the learning rate from each layer of a BERT to that below
  accumulate: int = 1  # parts of a batch that are computed one after the other


@dataclasses.dataclass(frozen=True)
class ICTConfig(OptimizerConfig):
  """Inverse Cloze Task: a sentence finds the block that it came from."""
  removal_rate: float = 0.9  # how often the sentence is taken out of its block


@dataclasses.dataclass(frozen=True)
class ReadingConfig(OptimizerConfig):
  """Warm start of the encoder, which a small BERT needs: see `training.reading`."""
  steps: int = 0  # the paper has none: BERT-base learns to read in pre-training
  candidates: int = 3  # the null document and the best blocks, besides the supporting one


@dataclasses.dataclass(frozen=True)
class IndexConfig:
  """How the corpus is searched; see docs/index.md."""
  kind: str = "exact"  # "exact", "scann" (approximate) or "sharded" (exact, many devices)
  devices: tuple[str, ...] = ()  # of "sharded", such as "GPU:0"; all by default
  # ScaNN. 0 takes a value from the number of blocks.
  leaves: int = 0  # partitions
  searched_leaves: int = 0
  rescored: int = 0  # candidates per query that are scored exactly
  min_recall: float = 0.0  # of a ScaNN index against the exact one; less is an error
  recall_at: int = 10
  recall_queries: int = 512


@dataclasses.dataclass(frozen=True)
class PretrainConfig(OptimizerConfig):
  """REALM pre-training on salient spans."""
  candidates: int = 8  # K, the null document counted
  query_length: int = 96
  encoder_length: int = 384  # question and block together
  max_masks: int = 10
  loss: str = "joint"  # "joint" (paper) or "per_mask" (published code)
  # "async" (a thread), "sync" (training waits), "job" (`realm refresh`, a process of its
  # own), "rerank" (no refresh; the fresh tower reranks more candidates), "frozen" (none).
  refresh: str = "async"
  # Retrieve for the next batch while one is learnt from, by weights one step older.
  prefetch_candidates: bool = False
  rerank_factor: int = 4  # "rerank": retrieved for each candidate that is read
  index_sample: int = 64  # queries by which an index is compared with the one before
  refresh_every: int = 500  # steps from one re-embedding of the corpus to the next
  refresh_share: float = 0.5  # "async": of the time that the thread works; 1 never rests
  # "async": this share of the rows, those retrieved most lately, is embedded and swapped in
  # before the whole corpus is.
  refresh_first: float = 0.0
  max_staleness: int = 1000  # steps; the law: step - index.step <= max_staleness
  on_stale: str = "block"  # "block" waits for the refresh, "warn" goes on
  retriever_rate: float = 1.0  # the retriever's learning rate, as a share of the encoder's
  retriever_warmup_steps: int = 0  # 0: the same as warmup_steps
  # Blocks so like a sentence's own (see `corpus.duplicates`) are banned with it; 0: none.
  ban_similarity: float = 0.5
  # Mask only spans that are salient in so many blocks, their own counted; 0: no limit.
  span_blocks: tuple[int, int] = (2, 0)


@dataclasses.dataclass(frozen=True)
class DiagnosisConfig:
  """How good the truncated, stale gradient of pre-training is: see docs/diagnosis.md."""
  every: int = 0  # steps of pre-training from one diagnosis to the next; 0: none
  sentences: int = 32  # held out, always the same
  blocks: int = 512  # that each sentence's sum is over, the best by fresh towers; 0: all
  candidates: tuple[int, ...] = (2, 4, 8, 16, 32)  # each K that `realm diagnose` compares


@dataclasses.dataclass(frozen=True)
class FinetuneConfig(OptimizerConfig):
  """Open-domain question answering, document tower and index frozen."""
  questions: str = ""  # JSONL: question, answer
  beam_size: int = 5000  # blocks in the retriever loss
  read_blocks: int = 5  # blocks that the reader reads
  reader_length: int = 320
  max_spans: int = 8  # correct spans used per block


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
  questions: str = ""
  batch_size: int = 32
  recall_at: tuple[int, ...] = (1, 5, 20, 100)
  read_blocks: int = 5
  masked_sentences: int = 0  # held-out sentences whose masked words are predicted


@dataclasses.dataclass(frozen=True)
class RealmConfig:
  """One run: corpus, models, stages."""
  name: str = "realm"
  seed: int = 0
  data: str = "data"  # where assets are fetched to
  assets: tuple[str, ...] = ()  # packages of `realm_tf.datasets.assets` that this run needs
  trivia: str = ""  # folder of trivia lists from which the questions are made
  embedding_dtype: str = "float32"  # of the index: "float32" or "bfloat16"
  # Of the tower that embeds the corpus, "float32" or "bfloat16"; "": retriever.precision.
  embed_precision: str = ""
  embed_batch_tokens: int = 8192  # word pieces per batch when the corpus is embedded
  checkpoint_every: int = 200  # steps
  keep_checkpoints: int = 2  # of the newest
  # A metric of the curves by which each stage keeps its best checkpoint too; the commands
  # that use a model take it by --checkpoint=best.
  best_metric: str = ""
  # Pad everything to the lengths given here, so that no shape of ICT, pre-training and
  # fine-tuning depends on the data: what XLA needs. On a TPU it is always so.
  fixed_lengths: bool = False
  deterministic: bool = False  # on one CPU a run repeats itself to the bit; slower
  corpus: CorpusConfig = CorpusConfig()
  retriever: RetrieverConfig = RetrieverConfig()
  encoder: EncoderConfig = EncoderConfig()
  ict: ICTConfig = ICTConfig()
  reading: ReadingConfig = ReadingConfig()
  pretrain: PretrainConfig = PretrainConfig()
  diagnosis: DiagnosisConfig = DiagnosisConfig()
  finetune: FinetuneConfig = FinetuneConfig()
  evaluate: EvaluateConfig = EvaluateConfig()
  index: IndexConfig = IndexConfig()
  demo_questions: tuple[str, ...] = ()  # asked of the export at the end of a run

  def __post_init__(self):
    _check(self)


_CHOICES = {
    "corpus.tagger": ("rules", "spacy"),
    "retriever.pooling": ("pooler", "cls", "mean"),
    "pretrain.loss": ("joint", "per_mask"),
    "pretrain.on_stale": ("block", "warn"),
    "pretrain.refresh": ("async", "sync", "job", "rerank", "frozen"),
    "index.kind": ("exact", "scann", "sharded"),
    "embedding_dtype": ("float32", "bfloat16"),
    "retriever.precision": ("float32", "bfloat16"),
    "embed_precision": ("", "float32", "bfloat16"),
    "encoder.precision": ("float32", "bfloat16"),
}


def _check(config: RealmConfig) -> None:
  flat = flatten(to_dict(config))
  for field, choices in _CHOICES.items():
    if flat[field] not in choices:
      raise UserError(f"config.{field}: expected one of {', '.join(choices)}, "
                      f"got '{flat[field]}'")
  may_be_zero = ("seed", "num_layers", "warmup_steps", "retriever_warmup_steps", "steps",
                 "weight_decay", "removal_rate", "checkpoint_every", "leaves",
                 "searched_leaves", "rescored", "min_recall", "masked_sentences",
                 "ban_similarity", "every", "blocks", "refresh_first")
  for field, value in flat.items():
    if isinstance(value, (int, float)) and not isinstance(value, bool):
      least = 0 if field.rsplit(".")[-1] in may_be_zero else 1e-12
      if value < least:
        raise UserError(f"config.{field}: expected a value above 0, got {value}")
  if not 0 <= config.ict.removal_rate <= 1:
    raise UserError("config.ict.removal_rate: expected a rate from 0 to 1, "
                    f"got {config.ict.removal_rate}")
  for field, value in flat.items():
    if field.endswith(("layer_decay", "ban_similarity", "refresh_share",
                       "refresh_first")) and value > 1:
      raise UserError(f"config.{field}: expected a share from 0 to 1, got {value}")
  if config.pretrain.candidates < 2:
    raise UserError("config.pretrain.candidates: the null document and at least one "
                    f"block are needed, so 2 or more; got {config.pretrain.candidates}")
  if min(config.diagnosis.candidates, default=2) < 2:
    raise UserError("config.diagnosis.candidates: the null document and at least one "
                    f"block are needed, so 2 or more; got {config.diagnosis.candidates}")
  if config.index.min_recall > 1:
    raise UserError("config.index.min_recall: expected a recall from 0 to 1, "
                    f"got {config.index.min_recall}")
  if config.pretrain.refresh_first and config.pretrain.refresh != "async":
    raise UserError("config.pretrain.refresh_first: only refresh='async' embeds some rows "
                    f"first; with '{config.pretrain.refresh}' give 0")
  if config.pretrain.max_staleness < config.pretrain.refresh_every:
    raise UserError(
        "config.pretrain.max_staleness: a refresh starts every "
        f"{config.pretrain.refresh_every} steps (refresh_every), so an index may not "
        f"be held to {config.pretrain.max_staleness}; give at least that many")


def to_dict(config: Any) -> dict[str, Any]:
  """A config as nested plain values, for JSON."""
  return dataclasses.asdict(config)


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
  """{'a': {'b': 1}} -> {'a.b': 1}."""
  flat = {}
  for key, value in tree.items():
    if isinstance(value, dict):
      flat.update(flatten(value, f"{prefix}{key}."))
    else:
      flat[f"{prefix}{key}"] = value
  return flat


def as_config_dict(config: RealmConfig) -> ml_collections.ConfigDict:
  """The config in the form that absl flags can override field by field."""
  return ml_collections.ConfigDict(to_dict(config))


def from_dict(tree: dict[str, Any], kind: type = RealmConfig, prefix: str = "config"):
  """The inverse of `to_dict`; an unknown key or a wrong type is a `UserError`."""
  fields = {field.name: field for field in dataclasses.fields(kind)}
  types = typing.get_type_hints(kind)
  values = {}
  for key, value in tree.items():
    if key not in fields:
      raise UserError(f"{prefix}.{key}: no such field; known: {', '.join(sorted(fields))}")
    values[key] = _convert(types[key], value, f"{prefix}.{key}")
  return kind(**values)


def _convert(expected: Any, value: Any, path: str) -> Any:
  if dataclasses.is_dataclass(expected):
    if not isinstance(value, dict):
      raise UserError(f"{path}: expected fields, got '{value}'")
    return from_dict(value, typing.cast(type, expected), path)
  if typing.get_origin(expected) is tuple:
    return tuple(value)
  if expected is float and isinstance(value, int) and not isinstance(value, bool):
    return float(value)
  if not isinstance(value, expected):
    raise UserError(f"{path}: expected {expected.__name__}, got '{value}'")
  return value
