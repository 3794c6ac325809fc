"""A pre-training step of Hugging Face's REALM; run by `benchmarks/training.py`, not by itself.

Needs torch and transformers 4.30.2 (the last that had REALM), and nothing of realm_tf.
Prints seconds per step and the peak memory in GB as JSON.
"""

import json
import resource
import sys
import time

import torch
from transformers import RealmConfig, RealmKnowledgeAugEncoder, RealmScorer


def main(sizes, precision, repeats):
  torch.manual_seed(0)
  config = RealmConfig(
      vocab_size=sizes["vocabulary"], hidden_size=sizes["hidden"],
      num_hidden_layers=sizes["layers"], num_attention_heads=sizes["heads"],
      intermediate_size=4 * sizes["hidden"], num_candidates=sizes["candidates"],
      retriever_proj_size=128, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
  scorer, encoder = RealmScorer(config), RealmKnowledgeAugEncoder(config)
  parameters = [*scorer.embedder.parameters(), *encoder.parameters()]
  scorer.query_embedder = scorer.embedder  # one tower, as published
  optimizer = torch.optim.AdamW(parameters, lr=3e-5, weight_decay=0.01)
  batch, candidates = sizes["batch"], sizes["candidates"]

  def ids(*shape):
    return torch.randint(1000, sizes["vocabulary"], shape)

  query, documents = ids(batch, sizes["query"]), ids(batch, candidates, sizes["document"])
  pairs = ids(batch, candidates, sizes["query"] + sizes["document"])
  labels, mask = ids(batch, pairs.shape[-1]), torch.zeros(batch, pairs.shape[-1])
  mask[:, 5:5 + sizes["masks"]] = 1
  seconds = []
  for _ in range(repeats + 1):
    begun = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
      scores = scorer(
          input_ids=query, attention_mask=torch.ones_like(query),
          candidate_input_ids=documents,
          candidate_attention_mask=torch.ones_like(documents)).relevance_score
      loss = encoder(input_ids=pairs, attention_mask=torch.ones_like(pairs),
                     relevance_score=scores, labels=labels, mlm_mask=mask).loss
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    seconds.append(time.perf_counter() - begun)
  print(json.dumps({
      "seconds": seconds[1:],
      "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}))


if __name__ == "__main__":
  main(json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
