"""The rows of `benchmarks/ablations.py`, each a config that can be run by itself.

    realm run --config=benchmarks/ablation_rows.py:realm --workdir=runs/realm
    realm config --config=benchmarks/ablation_rows.py:extractive,short pretrain

Both models start from BERT-tiny, which was not trained to retrieve; documents and questions
are wiki26k, in FOLDER (--config.data), as in configs/wiki26k.py. A row changes what is named
in `ROWS` and nothing else, and all are fine-tuned alike, without dev questions. `full` sees
512,000 masked sentences per run; `short` sees 32,000, to find out whether a row is worth it,
`glance` a few thousand, to see that it runs. `gpu` sees as many as `full` in fewer and larger
steps, as a GPU wants them, `gpu_half` and `gpu_quarter` a half and a quarter of that.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from realm_tf import config as config_lib


@dataclasses.dataclass(frozen=True)
class Row:
  """What a row changes in the base, and what it tells.

  `parts` are rows whose models are put together instead: the retriever of the first with the
  encoder of the second.
  """
  meaning: str
  changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  parts: tuple[str, str] | None = None


class Size(NamedTuple):
  """How much a run does."""
  ict: int  # steps of 64 sentences
  warm_up: int  # steps, in the rows that have one
  pretrain: int  # steps
  refresh: int  # steps from one embedding of the corpus to the next
  finetune: int  # steps of 16 questions, at most
  batch: int = 32  # sentences in a step of warm-up and pre-training


SIZES = {"full": Size(2000, 600, 16_000, 500, 2000),
         "short": Size(400, 200, 1000, 100, 400), "glance": Size(60, 30, 80, 40, 60),
         "gpu": Size(2000, 300, 4000, 200, 2000, 128),
         "gpu_half": Size(2000, 300, 2000, 200, 2000, 128),
         "gpu_quarter": Size(2000, 300, 1000, 100, 2000, 128)}
# Values that follow the size of the run.
_WARM_UP = "warm-up steps"
_THIRD = "a third of the steps"
_RARELY = "30 times as rarely"
_MORE = "4 times as many"
_ANSWERED = {"pretrain.query": "read_question", "pretrain.objective": "extractive",
             "pretrain.null_share": 0.125}
_OWN = {**_ANSWERED, "pretrain.ban": False, "pretrain.retriever_rate": 0.1}


def _own_but(field: str) -> dict[str, Any]:
  """`_OWN` with one field as all rows have it."""
  return {name: value for name, value in _OWN.items() if name != field}


ROWS: dict[str, Row] = {
    "ict": Row("no pre-training: ORQA (Lee et al. 2019)", {"pretrain.steps": 0}),
    "realm": Row("pre-training as recommended"),
    # The paper's table 2.
    "random_span": Row("random spans are masked", {"pretrain.masker": "random_span"}),
    "random_token": Row("random tokens are masked", {"pretrain.masker": "random_token"}),
    "stale": Row("the index is refreshed 30 times rarer", {
        "refresh.every": _RARELY, "refresh.max_staleness": _RARELY}),
    "no_null": Row("no null document", {"pretrain.null_document": False}),
    "no_ban": Row("a sentence may retrieve its own block", {"pretrain.ban": False}),
    "related": Row("masked is what a related block holds", {"pretrain.masker": "related"}),
    "asked": Row("blocks are retrieved for questions made of the sentences, which a related "
                 "block answers", {
        "pretrain.masker": "related", "pretrain.query": "question"}),
    "asked_reader": Row("such questions are read too, and answered by spans", {
        "pretrain.masker": "related", **_ANSWERED}),
    "asked_own": Row("questions are read and answered by spans, a sentence's own block too; "
                     "the retriever at a tenth of the rate", _OWN),
    # The paper's table 2, of that row.
    "own_random_span": Row("asked_own, random spans are asked for", {
        **_OWN, "pretrain.masker": "random_span"}),
    "own_random_token": Row("asked_own, random tokens are asked for", {
        **_OWN, "pretrain.masker": "random_token"}),
    "own_stale": Row("asked_own, the index is refreshed 30 times rarer", {
        **_OWN, "refresh.every": _RARELY, "refresh.max_staleness": _RARELY}),
    "own_no_null": Row("asked_own, no null document", {
        **_own_but("pretrain.null_share"), "pretrain.null_document": False}),
    "own_ban": Row("asked_own, a sentence may not retrieve its own block",
                   _own_but("pretrain.ban")),
    "own_per_mask": Row("asked_own, the loss of the published code", {
        **_OWN, "pretrain.loss": "per_mask"}),
    "own_full_rate": Row("asked_own, the retriever at the encoder's rate",
                         _own_but("pretrain.retriever_rate")),
    "own_retriever": Row("the retriever of asked_own, the baseline's encoder",
                         parts=("asked_own", "ict")),
    "own_encoder": Row("the baseline's retriever, the encoder of asked_own",
                       parts=("ict", "asked_own")),
    "per_mask": Row("the loss of the published code", {"pretrain.loss": "per_mask"}),
    "realm_retriever": Row("REALM's retriever, the baseline's encoder",
                           parts=("realm", "ict")),
    "realm_encoder": Row("the baseline's retriever, REALM's encoder",
                         parts=("ict", "realm")),
    # What keeps the encoder from being misled, each by itself: docs/diagnosis.md.
    "reading": Row("the encoder reads supporting blocks first", {"reading.steps": _WARM_UP}),
    "masked_lm": Row("a masked language model first", {
        "reading.masked_lm_steps": _WARM_UP}),
    "frozen": Row("the encoder learns alone for a third of the steps",
                  {"pretrain.freeze_retriever_steps": _THIRD}),
    "slow_retriever": Row("the retriever at a tenth of the rate (Atlas)",
                          {"pretrain.retriever_rate": 0.1}),
    "null_share": Row("p(z|x) of the null document is 1/8", {"pretrain.null_share": 0.125}),
    "extractive": Row("masked spans as extractive answers",
                      {"pretrain.objective": "extractive"}),
    "windows": Row("4 times as many candidates, read in windows of 32 pieces", {
        "pretrain.candidates": _MORE, "pretrain.window": 32, "pretrain.accumulate": 2}),
    "rerank": Row("retrieved 4 times as wide, reranked fresh, never refreshed",
                  {"refresh.mode": "rerank"}),
    "unscaled": Row("scores are D cosines, as published", {"retriever.score_scale": 0.0}),
    "together": Row("what related blocks hold, read from them first, as extractive answers; "
                    "a share for the null document; a slower retriever", {
        "pretrain.masker": "related", "reading.steps": _WARM_UP,
        "pretrain.objective": "extractive", "pretrain.null_share": 0.125,
        "pretrain.retriever_rate": 0.3})}


def base(size: str) -> config_lib.RealmConfig:
  """What all rows share."""
  if size not in SIZES:
    raise ValueError(f"'{size}': expected one of {', '.join(SIZES)}")
  ict, _, steps, every, finetune, batch = SIZES[size]
  accelerated = size.startswith("gpu")
  return config_lib.RealmConfig(
      name=f"ablation {size}", data="../data/wiki26k", assets=("bert-tiny",),
      assets_folder="../data", checkpoint_every=500 if accelerated else 200,
      embed_batch_tokens=2**16 if accelerated else 2**13,
      # The shapes are few and the steps many, so that compiling pays.
      compile="on" if accelerated else "auto",
      # On a GPU it is searched there; without one it is the exact index.
      index=config_lib.IndexConfig(kind="sharded" if accelerated else "exact"),
      corpus=config_lib.CorpusConfig(source="{data}/corpus.jsonl.gz", max_block_tokens=128),
      retriever=config_lib.RetrieverConfig(
          weights="../data/weights/bert-tiny", pooling="mean", score_scale=20.0,
          query_length=48, document_length=128),
      encoder=config_lib.EncoderConfig(weights="../data/weights/bert-tiny",
                                       span_hidden_size=64),
      ict=config_lib.ICTConfig(steps=ict, batch_size=64,
                               learning_rate=5e-4, warmup_steps=40),
      reading=config_lib.ReadingConfig(steps=0, batch_size=batch, learning_rate=1e-3,
                                       warmup_steps=20, candidates=1),
      pretrain=config_lib.PretrainConfig(
          steps=steps, batch_size=batch, candidates=8,
          learning_rate=3e-4, warmup_steps=steps // 20,
          query_length=32 if accelerated else 48,
          encoder_length=128 if accelerated else 160,
          span_blocks=(2, 60)),
      refresh=config_lib.RefreshConfig(mode="sync", every=every, max_staleness=every),
      finetune=config_lib.FinetuneConfig(
          questions="{data}/qa.train.jsonl.gz", steps=finetune,
          passes=10.0, batch_size=16, beam_size=500, read_blocks=5, reader_length=160,
          learning_rate=5e-4, warmup_steps=50,
          # At the reader's rate the query tower loses what pre-training brought it.
          retriever_rate=0.1),
      dev=config_lib.DevConfig(share=0.0),
      evaluate=config_lib.EvaluateConfig(questions="{data}/qa.dev.jsonl.gz",
                                         unanswerable=0))


def config_of(row: str, config: config_lib.RealmConfig, warm_up: int
              ) -> config_lib.RealmConfig:
  """The base with what a row changes; `warm_up` is that of its size."""
  if row not in ROWS:
    raise ValueError(f"'{row}': expected one of {', '.join(ROWS)}")
  sized_values = {_WARM_UP: warm_up, _THIRD: config.pretrain.steps // 3,
                  _RARELY: 30 * config.refresh.every, _MORE: 4 * config.pretrain.candidates}
  return config_lib.with_changes(config, {
      field: sized_values.get(value, value) if isinstance(value, str) else value
      for field, value in ROWS[row].changes.items()})


def get_config(row_and_size: str = "realm"):
  row, _, size = row_and_size.partition(",")
  size = size or "full"
  return config_lib.as_config_dict(config_of(row, base(size), SIZES[size].warm_up))
