"""The settings of a run: each with its default, what it may be, and what it means.

`fields` checks a value when its section is made, `rules` what must hold between fields.
"""

import dataclasses

from realm_tf.assets import ASSETS
from realm_tf.config import rules
from realm_tf.config.fields import (
  PATH,
  SHARE,
  TEXT,
  Section,
  at_least,
  named_in,
  one_of,
  positive,
  setting,
)
from realm_tf.registry import LOSSES, MASKERS, READERS, WARM_STARTS

_LENGTH = at_least(3, 100_000)  # word pieces, [CLS] and [SEP] counted
_BLOCK_LENGTH = at_least(8, 100_000)  # a block has a title too
_PAIR_LENGTH = at_least(rules.LEAST_PAIR, 100_000)
_WIDTH = at_least(1, 65_536)  # of a layer
_SAMPLE = at_least(1, 1_000_000)  # of sentences or queries, all of which are in memory
_CANDIDATES = at_least(2, 100_000)  # the null document and at least one block
_PRECISION = one_of("float32", "bfloat16")


@dataclasses.dataclass(frozen=True)
class CorpusConfig(Section):
  """The documents, and how they are cut into blocks."""
  source: str = setting("", PATH, "JSONL, TSV, or the demo's Wikipedia leads")
  format: str = setting("auto", named_in(READERS), "of the documents; auto looks at them")
  max_block_tokens: int = setting(
      288, _BLOCK_LENGTH, "word pieces of a block, title and special tokens counted")
  tagger: str = setting("rules", one_of("rules", "spacy"), "what finds salient spans")


@dataclasses.dataclass(frozen=True)
class RetrieverConfig(Section):
  """Two towers into one space of `projection_size` dimensions."""
  weights: str = setting("", PATH, "folder with config.json and model.safetensors")
  num_layers: int = setting(
      0, at_least(0, 1000), "keep only so many first layers of the weights; 0 keeps all")
  pooling: str = setting("pooler", one_of("pooler", "cls", "mean"),
                         "from tokens to a vector; pooler is the published way")
  projection_size: int = setting(128, _WIDTH, "dimensions of the vectors")
  shared_towers: bool = setting(True, None, "one tower for queries and documents")
  precision: str = setting("float32", _PRECISION, "of products with weights")
  recompute: bool = setting(
      False, None, "layers again for the gradient: less memory, more time")
  query_length: int = setting(64, _LENGTH, "word pieces, special tokens counted")
  document_length: int = setting(288, _BLOCK_LENGTH, "word pieces, special tokens counted")


@dataclasses.dataclass(frozen=True)
class EncoderConfig(Section):
  """The knowledge-augmented encoder, with its masked-LM and span heads."""
  weights: str = setting("", PATH, "folder with config.json and model.safetensors")
  num_layers: int = setting(
      0, at_least(0, 1000), "keep only so many first layers of the weights; 0 keeps all")
  precision: str = setting("float32", _PRECISION, "of products with weights")
  recompute: bool = setting(
      False, None, "layers again for the gradient: less memory, more time")
  span_hidden_size: int = setting(256, _WIDTH, "units of the span head")
  max_span_width: int = setting(10, at_least(1, 1000), "word pieces of an answer")
  span_norm_eps: float = setting(
      1e-3, positive(1.0), "of the span head's norm; BERT's norms have 1e-12")


@dataclasses.dataclass(frozen=True)
class OptimizerConfig(Section):
  """AdamW as in BERT: warm-up, linear decay, no decay on norms and biases."""
  steps: int = setting(1000, at_least(0), "of training; 0 leaves the stage out")
  batch_size: int = setting(16, _SAMPLE, "examples in a step")
  learning_rate: float = setting(1e-4, positive(10.0), "at its peak, after the warm-up")
  warmup_steps: int = setting(100, at_least(0), "in which the learning rate rises")
  weight_decay: float = setting(0.01, at_least(0, 10), "decoupled, as a share of the rate")
  clip_norm: float = setting(1.0, positive(1e12), "of the gradient, which is cut to it")
  layer_decay: float = setting(
      1.0, positive(1.0), "of the learning rate from each layer of a BERT to that below")
  accumulate: int = setting(
      1, _SAMPLE, "parts of a batch that are computed one after the other")


@dataclasses.dataclass(frozen=True)
class ICTConfig(OptimizerConfig):
  """Warm start of the retriever: by ICT a sentence finds the block that it came from."""
  objective: str = setting(
      "ict", named_in(WARM_STARTS), "ict: the Inverse Cloze Task")
  removal_rate: float = setting(
      0.9, SHARE, "how often the sentence is taken out of its block")


@dataclasses.dataclass(frozen=True)
class ReadingConfig(OptimizerConfig):
  """Warm start of the encoder, which a small BERT needs: see `training.reading`."""
  steps: int = setting(  # the paper has none: BERT-base learns to read in pre-training
      0, at_least(0), "of training before pre-training; 0 leaves it out")
  candidates: int = setting(
      3, at_least(1, 100_000),
      "the null document and the best blocks, besides the supporting one")


@dataclasses.dataclass(frozen=True)
class IndexConfig(Section):
  """How the corpus is searched; see docs/index.md. ScaNN's 0 is chosen by the corpus."""
  kind: str = setting("exact", one_of("exact", "scann", "sharded"),
                      "scann is approximate, sharded is exact and on many devices")
  devices: tuple[str, ...] = setting(
      (), TEXT, 'of "sharded", such as GPU:0; all by default')
  leaves: int = setting(0, at_least(0), "partitions of ScaNN")
  searched_leaves: int = setting(0, at_least(0), "partitions that a query looks into")
  rescored: int = setting(0, at_least(0), "candidates per query that are scored exactly")
  min_recall: float = setting(
      0.0, SHARE, "of a ScaNN index against the exact one; less is an error")
  recall_at: int = setting(10, _SAMPLE, "the K of that recall")
  recall_queries: int = setting(512, _SAMPLE, "by which it is measured")


@dataclasses.dataclass(frozen=True)
class PretrainConfig(OptimizerConfig):
  """REALM pre-training on salient spans."""
  candidates: int = setting(8, _CANDIDATES, "K, the null document counted")
  query_length: int = setting(96, _LENGTH, "word pieces of the masked sentence")
  encoder_length: int = setting(
      384, _PAIR_LENGTH, "word pieces of sentence and block together")
  max_masks: int = setting(10, at_least(1, 1000), "word pieces of a masked span")
  masker: str = setting("salient", named_in(MASKERS), "what is masked in a sentence")
  loss: str = setting(
      "joint", named_in(LOSSES), "joint: of the paper; per_mask: of the published code")
  retriever_rate: float = setting(
      1.0, positive(1000.0), "the retriever's learning rate, as a share of the encoder's")
  retriever_warmup_steps: int = setting(0, at_least(0), "0: the same as warmup_steps")
  ban_similarity: float = setting(
      0.5, SHARE, "blocks so like a sentence's own (see `corpus.duplicates`) are banned "
      "with it; 0: none")
  span_blocks: tuple[int, int] = setting(
      (2, 0), at_least(0), "mask only spans that are salient in so many blocks, from least "
      "to most, their own counted; 0: no limit")


@dataclasses.dataclass(frozen=True)
class RefreshConfig(Section):
  """How the index is kept fresh while pre-training goes on; see docs/index.md."""
  mode: str = setting(
      "async", one_of("async", "sync", "job", "rerank", "frozen"),
      "async: by a thread; sync: training waits; job: by `realm refresh`, a process of its "
      "own; rerank: none, the fresh tower reranks more candidates; frozen: none")
  every: int = setting(500, at_least(1), "steps from one re-embedding to the next")
  max_staleness: int = setting(1000, at_least(1), "the law: step - index.step is no more")
  on_stale: str = setting(
      "block", one_of("block", "warn"), "waits for the refresh, or goes on with a warning")
  share: float = setting(
      0.5, at_least(0.001, 1), '"async": of the time that the thread works; 1 never rests')
  rerank_factor: int = setting(
      4, at_least(1, 1000), '"rerank": retrieved for each candidate that is read')
  sample: int = setting(
      64, _SAMPLE, "queries by which an index is compared with the one before")


@dataclasses.dataclass(frozen=True)
class DiagnosisConfig(Section):
  """How good the truncated, stale gradient of pre-training is: see docs/diagnosis.md."""
  every: int = setting(
      0, at_least(0), "steps of pre-training from one diagnosis to the next; 0: none")
  sentences: int = setting(32, _SAMPLE, "held out, always the same")
  blocks: int = setting(
      512, at_least(0), "that each sentence's sum is over, the best by fresh towers; 0: all")
  candidates: tuple[int, ...] = setting(
      (2, 4, 8, 16, 32), _CANDIDATES, "each K that `realm diagnose` compares",
      items=at_least(1, 100))


@dataclasses.dataclass(frozen=True)
class FinetuneConfig(OptimizerConfig):
  """Open-domain question answering, document tower and index frozen."""
  questions: str = setting("", PATH, "JSONL: question, answer")
  beam_size: int = setting(5000, at_least(1), "blocks in the retriever loss")
  read_blocks: int = setting(5, at_least(1, 100_000), "blocks that the reader reads")
  reader_length: int = setting(
      320, _PAIR_LENGTH, "word pieces of question and block together")
  max_spans: int = setting(8, at_least(1, 100_000), "correct spans used per block")


@dataclasses.dataclass(frozen=True)
class EvaluateConfig(Section):
  """What is measured on held-out questions and sentences."""
  questions: str = setting("", PATH, "JSONL: question, answer")
  batch_size: int = setting(32, _SAMPLE, "questions at a time")
  recall_at: tuple[int, ...] = setting(
      (1, 5, 20, 100), _SAMPLE, "each K of recall@K", items=at_least(1, 100))
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
  data: str = setting("data", PATH, "folder that assets are fetched to")
  assets: tuple[str, ...] = setting(
      (), one_of(*ASSETS), "packages of `realm_tf.assets` that this run needs")
  trivia: str = setting(
      "", PATH, "folder of trivia lists from which the questions are made")
  embedding_dtype: str = setting("float32", _PRECISION, "of the index")
  embed_precision: str = setting(
      "", one_of("", "float32", "bfloat16"),
      "of the tower that embeds the corpus; '': that of the retriever")
  embed_batch_tokens: int = setting(
      8192, at_least(1, 100_000_000), "word pieces per batch when the corpus is embedded")
  checkpoint_every: int = setting(200, at_least(0), "steps; 0: none but when stopped")
  keep_checkpoints: int = setting(2, at_least(1, 10_000), "of the newest")
  best_metric: str = setting(
      "", TEXT, "a metric of the curves by which each stage keeps its best checkpoint too; "
      "the commands that use a model take it by --checkpoint=best")
  fixed_lengths: bool = setting(
      False, None, "pad everything to the lengths given here, so that no shape depends on "
      "the data: what XLA needs; on a TPU it is always so")
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
  finetune: FinetuneConfig = FinetuneConfig()
  evaluate: EvaluateConfig = EvaluateConfig()
  index: IndexConfig = IndexConfig()
  demo_questions: tuple[str, ...] = setting(
      (), TEXT, "asked of the export at the end of a run")

  def __post_init__(self):
    super().__post_init__()
    rules.check(self)
