"""A REALM step and encoding on a GPU in PyTorch; run by `benchmarks/gpu.py`.

Needs torch and transformers (whose later versions have no REALM, so that its step is written
here on their BERT, with scaled dot product attention and fused AdamW). Prints JSON.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F
from transformers import BertConfig, BertModel


def timed(run, repeats):
  seconds = []
  for _ in range(repeats + 3):
    torch.cuda.synchronize()
    begun = time.perf_counter()
    run()
    torch.cuda.synchronize()
    seconds.append(time.perf_counter() - begun)
  ordered = sorted(seconds[3:])
  return {"seconds": ordered[len(ordered) // 2], "least": ordered[0], "most": ordered[-1],
          "repeats": repeats, "first": seconds[0], "torch": torch.__version__}


def main(sizes, what, precision, repeats):
  torch.manual_seed(0)
  config = BertConfig(
      vocab_size=sizes["vocabulary"], hidden_size=sizes["hidden"],
      num_hidden_layers=sizes["layers"], num_attention_heads=sizes["heads"],
      intermediate_size=4 * sizes["hidden"], hidden_dropout_prob=0.0,
      attention_probs_dropout_prob=0.0, attn_implementation="sdpa")
  tower, encoder = (BertModel(config, add_pooling_layer=False).cuda() for _ in range(2))
  project = torch.nn.Linear(sizes["hidden"], 128).cuda()
  transform = torch.nn.Linear(sizes["hidden"], sizes["hidden"]).cuda()
  batch, candidates = sizes["batch"], sizes["candidates"]

  def ids(*shape):
    return torch.randint(1000, sizes["vocabulary"], shape, device="cuda")

  def embed(tokens):
    hidden = tower(input_ids=tokens, attention_mask=torch.ones_like(tokens))[0]
    return F.layer_norm(project(hidden[:, 0]).float(), [128])

  mixed = torch.autocast("cuda", torch.bfloat16, enabled=precision == "bfloat16")
  if what == "encode":
    passages = ids(512, sizes["document"])
    if precision == "bfloat16":
      tower.bfloat16()
      project.bfloat16()
    with torch.inference_mode():
      print(json.dumps(timed(lambda: embed(passages), repeats) | {"passages": 512}))
    return
  parameters = [*tower.parameters(), *encoder.parameters(), *project.parameters(),
                *transform.parameters()]
  optimizer = torch.optim.AdamW(parameters, lr=3e-5, weight_decay=0.01, fused=True)
  query, documents = ids(batch, sizes["query"]), ids(batch * candidates, sizes["document"])
  pairs = ids(batch * candidates, sizes["query"] + sizes["document"])
  places = slice(3, 3 + sizes["masks"])
  labels = pairs[:, places]

  def step():
    with mixed:
      scores = torch.einsum("bd,bkd->bk", embed(query),
                            embed(documents).view(batch, candidates, -1))
      hidden = encoder(input_ids=pairs, attention_mask=torch.ones_like(pairs))[0][:, places]
      logits = F.gelu(transform(hidden)) @ encoder.embeddings.word_embeddings.weight.T
    words = torch.log_softmax(logits.float(), -1).gather(-1, labels[:, :, None])[:, :, 0]
    words = words.view(batch, candidates, -1)
    prior = torch.log_softmax(scores.float(), 1)[:, :, None]
    loss = -torch.logsumexp(prior + words, 1).mean()
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()

  print(json.dumps(timed(step, repeats)))


if __name__ == "__main__":
  main(json.loads(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
