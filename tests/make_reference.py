# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""Makes a reference for `realm parity`: random REALM models in Hugging Face's code.

That code left Transformers after 4.40; it needs an environment of its own:

  pip install torch==2.13.0 transformers==4.30.2 safetensors numpy
  python tests/make_reference.py OUTPUT --seed=3 --hidden=24 --two_towers

`tests/reference` was made with the options in its `made_by.txt`.
"""

import argparse
import pathlib
import sys

import numpy as np
import torch
from transformers import (
  RealmConfig,
  RealmEmbedder,
  RealmKnowledgeAugEncoder,
  RealmReader,
  RealmScorer,
)


def _options():
  parser = argparse.ArgumentParser()
  parser.add_argument("output", type=pathlib.Path)
  for name, value in (("seed", 0), ("hidden", 32), ("layers", 2), ("heads", 4),
                      ("intermediate", 64), ("vocab", 211), ("positions", 64),
                      ("projection", 16), ("batch", 3), ("candidates", 4), ("length", 24),
                      ("masks", 3), ("beam", 4), ("searched", 8), ("span_hidden", 8),
                      ("span_width", 5), ("first_id", 5)):
    parser.add_argument(f"--{name}", type=int, default=value)
  parser.add_argument("--spread", type=float, default=0.2)
  parser.add_argument("--norm_eps", type=float, default=1e-12)
  parser.add_argument("--reader_norm_eps", type=float, default=1e-3)
  parser.add_argument("--act", default="gelu_new")
  parser.add_argument("--two_towers", action="store_true")
  parser.add_argument("--no_gold", action="store_true")
  return parser.parse_args()


class Maker:
  """Random inputs, random weights, and what Hugging Face's models make of them."""

  def __init__(self, options):
    self.options, self.io = options, {}
    self.random = np.random.default_rng(options.seed)
    torch.manual_seed(options.seed)
    self.config = RealmConfig(
        vocab_size=options.vocab, hidden_size=options.hidden,
        num_hidden_layers=options.layers, num_attention_heads=options.heads,
        intermediate_size=options.intermediate, max_position_embeddings=options.positions,
        retriever_proj_size=options.projection, num_candidates=options.candidates,
        span_hidden_size=options.span_hidden, max_span_width=options.span_width,
        reader_layer_norm_eps=options.reader_norm_eps, layer_norm_eps=options.norm_eps,
        reader_beam_size=options.beam, searcher_beam_size=options.searched,
        reader_seq_len=options.length, initializer_range=options.spread,
        hidden_act=options.act, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)

  def inputs(self, name, *shape):
    """Random ids, padded at the end, in two segments."""
    length = self.options.length
    ids = self.random.integers(self.options.first_id, self.options.vocab, [*shape, length])
    lengths = self.random.integers(length // 2, length + 1, [*shape, 1])
    mask = np.arange(length) < lengths
    starts = self.random.integers(2, length // 2, [*shape, 1])
    segments = (np.arange(length) >= starts) & mask
    for part, value in (("ids", np.where(mask, ids, 0)), ("mask", mask),
                        ("segments", segments)):
      self.io[f"{name}_{part}"] = value.astype(np.int64)
    return self.tensors(name), segments

  def tensors(self, name, rows=None):
    part = lambda key: torch.tensor(self.io[f"{name}_{key}"][:rows])
    return {"input_ids": part("ids"), "attention_mask": part("mask"),
            "token_type_ids": part("segments")}

  def save(self, model, name):
    # Random norms and biases too: a fresh model's are all ones and zeros.
    for value in model.parameters():
      if value.dim() == 1:
        value.data += 0.3 * torch.randn_like(value)
    folder = self.options.output / name
    model.eval().save_pretrained(folder, safe_serialization=True)
    return model

  def embedder(self):
    model = self.save(RealmEmbedder(self.config), "embedder")
    inputs, _ = self.inputs("embedder", self.options.batch)
    self.io["embedder_projected"] = model(**inputs).projected_score.detach().numpy()

  def scorer(self):
    query = RealmEmbedder(self.config) if self.options.two_towers else None
    model = self.save(RealmScorer(self.config, query), "scorer")
    queries, _ = self.inputs("scorer_query", self.options.batch)
    documents, _ = self.inputs("scorer_doc", self.options.batch, self.options.candidates)
    self.io["scorer_relevance"] = model(
        **queries, **{f"candidate_{key}": value for key, value in documents.items()}
    ).relevance_score.detach().numpy()

  def encoder(self):
    options = self.options
    model = self.save(RealmKnowledgeAugEncoder(self.config), "encoder")
    inputs, _ = self.inputs("encoder", options.batch, options.candidates)
    relevance = torch.tensor(
        self.random.normal(0, 1.5, [options.batch, options.candidates]),
        dtype=torch.float32, requires_grad=True)
    labels = self.random.integers(options.first_id, options.vocab,
                                  [options.batch, options.length])
    mask = np.zeros([options.batch, options.length], np.float32)
    for row in mask:
      row[self.random.choice(options.length // 2, options.masks, replace=False)] = 1
    out = model(**inputs, relevance_score=relevance, labels=torch.tensor(labels),
                mlm_mask=torch.tensor(mask))
    out.loss.backward()
    self.io |= {
        "encoder_relevance": relevance.detach().numpy(), "encoder_labels": labels,
        "encoder_mlm_mask": mask, "encoder_logits": out.logits.detach().numpy(),
        "encoder_loss_per_mask": out.loss.detach().numpy(),
        "encoder_grad_relevance": relevance.grad.numpy(),
        "encoder_grad_word_embeddings": model.get_input_embeddings().weight.grad.numpy()}

  def reader(self):
    options = self.options
    model = self.save(RealmReader(self.config), "reader")
    _, block = self.inputs("reader", options.searched)
    relevance = torch.tensor(self.random.normal(0, 1, [options.searched]),
                             dtype=torch.float32, requires_grad=True)
    starts = np.full([options.searched, 2], -1)
    ends = starts.copy()
    if not options.no_gold:
      for row in range(0, options.searched, 2):
        allowed = np.flatnonzero(block[row])
        starts[row, 0] = allowed[len(allowed) // 2]
        ends[row, 0] = min(starts[row, 0] + 2, allowed[-1])
    has_answer = starts[:, 0] >= 0
    out = model(**self.tensors("reader", options.beam), relevance_score=relevance,
                block_mask=torch.tensor(block), start_positions=torch.tensor(starts),
                end_positions=torch.tensor(ends), has_answers=torch.tensor(has_answer),
                return_dict=True)
    out.loss.backward()
    self.io |= {
        "reader_block_mask": block, "reader_relevance": relevance.detach().numpy(),
        "reader_gold_starts": starts, "reader_gold_ends": ends,
        "reader_has_answer": has_answer, "reader_loss": out.loss.detach().numpy(),
        "reader_retriever_loss": out.retriever_loss.detach().numpy(),
        "reader_reader_loss": out.reader_loss.detach().numpy(),
        "reader_grad_relevance": relevance.grad.numpy(),
        "reader_block_idx": out.block_idx.numpy(), "reader_candidate": out.candidate.numpy(),
        "reader_start": out.start_pos.numpy(), "reader_end": out.end_pos.numpy()}


def main():
  options = _options()
  maker = Maker(options)
  for part in (maker.embedder, maker.scorer, maker.encoder, maker.reader):
    part()
  np.savez_compressed(options.output / "io.npz", **maker.io)
  (options.output / "made_by.txt").write_text(
      " ".join(["python tests/make_reference.py OUTPUT", *sys.argv[2:]]) + "\n")


if __name__ == "__main__":
  main()
