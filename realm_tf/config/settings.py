"""The settings of a run: each with its default, what it may be, and what it means.

`fields` checks a value when its section is made, `rules` what must hold between fields;
`stage_settings` has the settings of the stages that train.
"""

import dataclasses

from realm_tf.assets import ASSETS
from realm_tf.config import rules
from realm_tf.config.fields import (
  PATH,
  SHARE,
  TEXT,
  Range,
  Section,
  at_least,
  named_in,
  named_or_path,
  one_of,
  positive,
  setting,
)
from realm_tf.config.stage_settings import (
  CANDIDATES,
  LENGTH,
  SAMPLE,
  ClozeConfig,
  DPRConfig,
  FinetuneConfig,
  ICTConfig,
  PretrainConfig,
  ReadingConfig,
)
from realm_tf.registry import INDEXES, READERS, TAGGERS

_BLOCK_LENGTH = at_least(8, 100_000)  # a block has a title too
_WIDTH = at_least(1, 65_536)  # of a layer
_DROPOUT = Range(0.0, 0.9)
_DTYPE = one_of("float32", "bfloat16")
_PRECISION = one_of("float32", "bfloat16", "auto")
_PRECISION_MEANING = ("of products with weights; auto: bfloat16 in training on a processor "
                      "that has such products, else float32")


@dataclasses.dataclass(frozen=True)
class CorpusConfig(Section):
  """The documents, and how they are cut into blocks."""
  source: str = setting("", PATH, "a file or folder of documents: see docs/data.md")
  format: str = setting("auto", named_in(READERS), "of the documents; auto looks at them")
  max_block_tokens: int = setting(
      288, _BLOCK_LENGTH, "word pieces of a block, title and special tokens counted")
  tagger: str = setting("rules", named_or_path(TAGGERS), "what finds salient spans; a path: "
                        "of a folder that `realm tagger train` wrote")
  tag_numbers: bool = setting(
      True, None, "numbers with a unit or in the thousands are salient too, as dates are")


@dataclasses.dataclass(frozen=True)
class RetrieverConfig(Section):
  """Two towers into one space of `projection_size` and `lexical_size` dimensions."""
  weights: str = setting("", PATH, "folder with config.json and model.safetensors")
  num_layers: int = setting(
      0, at_least(0, 1000), "keep only so many first layers of the weights; 0 keeps all")
  pooling: str = setting("pooler", one_of("pooler", "cls", "mean"),
                         "from tokens to a vector; pooler is the published way")
  projection_size: int = setting(128, _WIDTH, "dimensions of the vectors that are learnt")
  lexical_size: int = setting(
      0, at_least(0, 65_536), "further ones for the words of a text; 0 as published")
  lexical_weight: float = setting(
      0.6, positive(1e6), "of BM25 in a score, where lexical_size is not 0")
  exact_words: int = setting(
      100, at_least(0, 10_000), "so many found blocks have their words compared exactly, "
      "where lexical_size is not 0")
  score_scale: float = setting(
      0.0, at_least(0, 1e6), "scores are so many cosines at the start, where the weights "
      "bring no projection; 0: projection_size, as published")
  shared_towers: bool = setting(True, None, "one tower for queries and documents")
  precision: str = setting("float32", _PRECISION, _PRECISION_MEANING)
  recompute: bool = setting(
      False, None, "layers again for the gradient: less memory, more time")
  dropout: float = setting(
      0.0, _DROPOUT, "in training, of embeddings and of what each layer adds; BERT has 0.1")
  query_length: int = setting(64, LENGTH, "word pieces, special tokens counted")
  document_length: int = setting(288, _BLOCK_LENGTH, "word pieces, special tokens counted")


@dataclasses.dataclass(frozen=True)
class EncoderConfig(Section):
  """The knowledge-augmented encoder, with its masked-LM and span heads."""
  weights: str = setting("", PATH, "folder with config.json and model.safetensors")
  num_layers: int = setting(
      0, at_least(0, 1000), "keep only so many first layers of the weights; 0 keeps all")
  precision: str = setting("float32", _PRECISION, _PRECISION_MEANING)
  recompute: bool = setting(
      False, None, "layers again for the gradient: less memory, more time")
  dropout: float = setting(
      0.0, _DROPOUT, "in training, of embeddings and of what each layer adds; BERT has 0.1")
  span_hidden_size: int = setting(256, _WIDTH, "units of the span head")
  max_span_width: int = setting(10, at_least(1, 1000), "word pieces of an answer")
  span_norm_eps: float = setting(
      1e-3, positive(1.0), "of the span head's norm; BERT's norms have 1e-12")


@dataclasses.dataclass(frozen=True)
class IndexConfig(Section):
  """How the corpus is searched; see docs/index.md. ScaNN's 0 is chosen by the corpus."""
  kind: str = setting("exact", named_in(INDEXES),
                      "scann is approximate, sharded is exact and on many devices")
  devices: tuple[str, ...] = setting(
      (), TEXT, 'of "sharded", such as GPU:0; all by default')
  leaves: int = setting(0, at_least(0), "partitions of ScaNN")
  searched_leaves: int = setting(0, at_least(0), "partitions that a query looks into")
  rescored: int = setting(0, at_least(0), "candidates per query that are scored exactly")
  min_recall: float = setting(
      0.0, SHARE, "of a ScaNN index against the exact one; less is an error")
  recall_at: int = setting(10, SAMPLE, "the K of that recall")
  recall_queries: int = setting(512, SAMPLE, "by which it is measured")
  shadow: bool = setting(
      True, None, "native exports hold the table in eight bits too: single questions are "
      "answered sooner")


@dataclasses.dataclass(frozen=True)
class ExportConfig(Section):
  """How what is exported computes; see docs/serving.md."""
  precision: str = setting(
      "", one_of("", "float32", "int8"),
      'of the BERTs of a native export, "int8" is the faster; \'\': as they are')


@dataclasses.dataclass(frozen=True)
class RefreshConfig(Section):
  """How the index is kept fresh while pre-training goes on; see docs/index.md."""
  mode: str = setting(
      "async", one_of("async", "sync", "job", "rerank", "frozen"),
      "async: by a thread; sync: training waits; job: by `realm refresh`, a process of its "
      "own; rerank: none, the fresh tower reranks more candidates; frozen: none")
  every: int = setting(500, at_least(1), "steps from one re-embedding to the next")
  max_staleness: int = setting(1000, at_least(1), "the bound: step - index.step is no more")
  on_stale: str = setting(
      "block", one_of("block", "warn"), "waits for the refresh, or goes on with a warning")
  share: float = setting(
      0.5, at_least(0.001, 1), '"async": of the time that the thread works; 1 never rests')
  rerank_factor: int = setting(
      4, at_least(1, 1000), '"rerank": retrieved for each candidate that is read')
  sample: int = setting(
      64, SAMPLE, "queries by which an index is compared with the one before")


@dataclasses.dataclass(frozen=True)
class DiagnosisConfig(Section):
  """How good the truncated, stale gradient of pre-training is: see docs/diagnosis.md."""
  every: int = setting(
      0, at_least(0), "steps of pre-training from one diagnosis to the next; 0: none")
  sentences: int = setting(32, SAMPLE, "held out, always the same")
  blocks: int = setting(
      512, at_least(0), "that each sentence's sum is over, the best by fresh towers; 0: all")
  candidates: tuple[int, ...] = setting(
      (2, 4, 8, 16, 32), CANDIDATES, "each K that `realm diagnose` compares",
      items=at_least(1, 100))


@dataclasses.dataclass(frozen=True)
class DevConfig(Section):
  """Questions by which a stage is measured while it trains, and its best model is kept."""
  questions: str = setting(
      "", PATH, "JSONL: question, answer; '': a share of those of finetune.questions")
  share: float = setting(
      0.1, Range(0.0, 0.5), "of the training questions, which are not trained on; 0: none")
  most: int = setting(500, SAMPLE, "of such a share")
  every: int = setting(
      0, at_least(0), "steps from one measurement to the next; 0: a tenth of the stage, or "
      "more where they would take over a tenth of its time")
  patience: int = setting(
      0, at_least(0), "measurements without a gain after which a stage ends; 0: never")


@dataclasses.dataclass(frozen=True)
class EvaluateConfig(Section):
  """What is measured on held-out questions and sentences."""
  questions: str = setting(
      "", PATH, "JSONL: question, answer; '': a share of those of finetune.questions")
  share: float = setting(
      0.2, Range(0.0, 0.5), "of the training questions, which are not trained on, where "
      "`questions` names none; 0: none")
  batch_size: int = setting(32, SAMPLE, "questions at a time")
  recall_at: tuple[int, ...] = setting(
      (1, 5, 20, 100), SAMPLE, "each K of recall@K", items=at_least(1, 100))
  read_blocks: int = setting(5, at_least(1, 100_000), "blocks that the reader reads")
  unanswerable: int = setting(
      200, at_least(0, 1_000_000), "held-out questions that are asked again with the blocks "
      "that hold an answer passed over, to see whether none is given; 0: none")
  masked_sentences: int = setting(
      0, at_least(0, 1_000_000), "held-out sentences whose masked words are predicted")


@dataclasses.dataclass(frozen=True)
class RealmConfig(Section):
  """One run: corpus, models, stages."""
  name: str = setting("realm", TEXT, "of the run, in its report")
  seed: int = setting(0, at_least(0, 2**31 - 2), "of weights, order and draws")
  data: str = setting(
      "", PATH, "folder of what the config's paths call {data}/, and of assets; '': the "
      "user's cache, ~/.cache/realm_tf")
  assets_folder: str = setting("", PATH, "that assets are fetched to; '': data")
  assets: tuple[str, ...] = setting(
      (), one_of(*ASSETS), "packages of `realm_tf.assets` that this run needs")
  trivia: str = setting(
      "", PATH, "folder of trivia lists from which the questions are made")
  embedding_dtype: str = setting("float32", _DTYPE, "of the index")
  embed_precision: str = setting(
      "", one_of("", "float32", "bfloat16"),
      "of the tower that embeds the corpus; '': that of the retriever")
  embed_batch_tokens: int = setting(
      8192, at_least(1, 100_000_000), "word pieces per batch when the corpus is embedded")
  checkpoint_every: int = setting(200, at_least(0), "steps; 0: none but when stopped")
  keep_checkpoints: int = setting(2, at_least(1, 10_000), "of the newest")
  best_metric: str = setting(
      "", TEXT, "a metric of the curves by which each stage keeps its best checkpoint too; "
      "the commands that use a model take it by --checkpoint=best; '': where a stage has dev "
      "questions it ends with the best by those")
  fixed_lengths: bool = setting(
      False, None, "pad everything to the lengths given here, so that no shape depends on "
      "the data: what XLA needs; on a TPU it is always so")
  compile: str = setting(
      "auto", one_of("auto", "on", "off"),
      "transformer layers and updates by XLA (Keras's jit_compile); auto: where there is a "
      "GPU and the hidden size is 512 or more. Each shape is compiled once, seconds, so "
      "lengths are padded to multiples of 32")
  deterministic: bool = setting(
      False, None, "on one CPU a run repeats itself to the bit; slower")
  corpus: CorpusConfig = CorpusConfig()
  retriever: RetrieverConfig = RetrieverConfig()
  encoder: EncoderConfig = EncoderConfig()
  ict: ICTConfig = ICTConfig()
  reading: ReadingConfig = ReadingConfig()
  pretrain: PretrainConfig = PretrainConfig()
  refresh: RefreshConfig = RefreshConfig()
  diagnosis: DiagnosisConfig = DiagnosisConfig()
  dpr: DPRConfig = DPRConfig()
  cloze: ClozeConfig = ClozeConfig()
  finetune: FinetuneConfig = FinetuneConfig()
  dev: DevConfig = DevConfig()
  evaluate: EvaluateConfig = EvaluateConfig()
  index: IndexConfig = IndexConfig()
  export: ExportConfig = ExportConfig()
  demo_questions: tuple[str, ...] = setting(
      (), TEXT, "asked of the export at the end of a run")

  def __post_init__(self):
    super().__post_init__()
    rules.check_rules(self)
