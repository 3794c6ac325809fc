"""What teaches the retriever: does p(y|z,x) tell a block with the answer from others?

    realm run --config=configs/pretraining.py --workdir=runs/pretraining
    python benchmarks/retrieval_signal.py --workdir=runs/pretraining --stage=pretrain

For masked sentences of the corpus: how many of the retrieved blocks hold the masked
span, and the mean retrieval utility (nats) of those that do and those that do not.
"""

import numpy as np
from absl import app, flags

from realm_tf.examples.pretraining import pretraining_batches
from realm_tf.models import losses
from realm_tf.models.scores import mask_log_probs, top_candidates
from realm_tf.run.folder import Run

_WORKDIR = flags.DEFINE_string("workdir", None, "A finished run.", required=True)
_STAGE = flags.DEFINE_string("stage", "pretrain", "Whose model: ict or pretrain.")
_BATCHES = flags.DEFINE_integer("batches", 25, "Batches of 16 sentences.")


def _holds(body: np.ndarray, span: np.ndarray) -> bool:
  windows = np.lib.stride_tricks.sliding_window_view(body, len(span)) if (
      len(body) >= len(span)) else np.empty([0, len(span)])
  return bool((windows == span).all(1).any())


def main(_) -> None:
  run = Run.existing(_WORKDIR.value)
  model, settings = run.model(_STAGE.value), run.config.pretrain
  index = run.index(model)
  with_answer, without, has_answer = [], [], []
  for batch in pretraining_batches(
      run.corpus, run.banned, batch_size=16, query_length=settings.query_length,
      max_masks=settings.max_masks, support=settings.span_blocks,
      seed=run.config.seed + 2, first_step=0, last_step=_BATCHES.value):
    queries = model.retriever.embed_queries(batch.query)
    rows = top_candidates(index, run.passages, queries, batch.banned, settings.candidates)
    log_probs = mask_log_probs(model.encoder, run.passages, batch, rows,
                               settings.encoder_length)
    utility = losses.retrieval_utility(log_probs, batch.weights).numpy()
    for i, span in enumerate(batch.labels.numpy()):
      span = span[batch.weights[i].numpy() > 0]
      holds = [_holds(run.corpus.body_ids.row(row), span) for row in rows[i, 1:].numpy()]
      has_answer.append(any(holds))
      for value, hit in zip(utility[i], holds, strict=True):
        (with_answer if hit else without).append(value)
  total = len(with_answer) + len(without)
  print(f"{len(has_answer)} sentences, {settings.candidates - 1} blocks each, "
        f"after {_STAGE.value}\n"
        f"sentences with the answer among them   {np.mean(has_answer):.1%}\n"
        f"blocks that hold the answer            {len(with_answer) / total:.1%}\n"
        f"retrieval utility where they do        {np.mean(with_answer):+.2f}\n"
        f"retrieval utility where they do not    {np.mean(without):+.2f} "
        f"(standard deviation {np.std(without):.2f})")


if __name__ == "__main__":
  app.run(main)
