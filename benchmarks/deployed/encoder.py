"""all-MiniLM-L6 as it is deployed elsewhere; run by `benchmarks/serving.py`, not by itself.

    python encoder.py SYSTEM WEIGHTS FOLDER CLIENTS SECONDS
"""

import sys

from engines import Pooled, encoder_load, engine
from transformers import BertModel


def main(system, weights, folder, clients, seconds):
  bert = BertModel.from_pretrained(weights, attn_implementation="eager")
  rows = encoder_load.rows_of(f"{folder}/passages.npz")
  embed = engine(system, Pooled(bert), folder, "model", rows)
  encoder_load.measure(embed, folder, system, [int(count) for count in clients.split(",")],
                       float(seconds))


if __name__ == "__main__":
  main(*sys.argv[1:])
