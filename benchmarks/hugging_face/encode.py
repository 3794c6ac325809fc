"""Embeds passages by PyTorch; run by `benchmarks/encoding.py`, not by itself.

Needs torch and transformers, and nothing of realm_tf. Prints passages per second as JSON.
"""

import json
import sys
import time

import numpy as np
import torch
from transformers import BertModel


def main(folder, ids_file, precision, batch_size=32):
  data = np.load(ids_file)
  ends = np.cumsum(data["lengths"])
  rows = [data["values"][end - n:end] for end, n in zip(ends, data["lengths"])]
  titles = data["title_lengths"]
  order = np.argsort(-data["lengths"], kind="stable")
  model = BertModel.from_pretrained(folder).eval()
  if precision == "bfloat16":
    model = model.to(torch.bfloat16)

  def embed(chosen):
    length = max(len(rows[i]) for i in chosen)
    ids = torch.zeros([len(chosen), length], dtype=torch.long)
    mask, segments = torch.zeros_like(ids), torch.zeros_like(ids)
    for place, i in enumerate(chosen):
      ids[place, :len(rows[i])] = torch.from_numpy(rows[i])
      mask[place, :len(rows[i])] = 1
      segments[place, titles[i]:len(rows[i])] = 1
    hidden = model(input_ids=ids, attention_mask=mask, token_type_ids=segments)[0]
    weights = mask[:, :, None].to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1)

  batches = [order[i:i + batch_size] for i in range(0, len(order), batch_size)]
  with torch.inference_mode():
    embed(batches[0])  # warms up
    begun = time.perf_counter()
    for batch in batches:
      embed(batch)
    seconds = time.perf_counter() - begun
  print(json.dumps({"rates": [len(rows) / seconds]}))


if __name__ == "__main__":
  main(*sys.argv[1:4])
