"""Embeds passages by all-MiniLM-L6: our corpus embedder and PyTorch, in one run.

    python benchmarks/encoding.py --json=encoding.json

The passages are Wikipedia leads in blocks of at most 128 word pieces, tokenised
beforehand. Ours embeds them as it embeds a corpus: sorted by length, without padding
between rows. PyTorch's is transformers 4.30.2 (hugging_face/requirements.txt, an
environment of its own in build/), sorted by length in batches of 32. Each measurement is
a process of its own; the rounds take turns. Also printed: what rounding to bfloat16 does
to the top 100 of the passages for some of them as queries, against float32.
"""

import json
import pathlib
import sys
import tempfile
import time

import numpy as np
import peers
from absl import app, flags
from machine import processor

from realm_tf.files import new_file

_PASSAGES = flags.DEFINE_integer("passages", 2000, "How many are embedded.", lower_bound=128)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "How often every system is measured.")
_JSON = flags.DEFINE_string("json", None, "Where to write the numbers.")
_OURS = flags.DEFINE_enum("ours", None, ["float32", "bfloat16"],
                          "Measure ours in this process; used by the script itself.")
_WORK = flags.DEFINE_string("work", None, "Folder for it; used by the script itself.")

_LENGTH = 128  # word pieces, special ones counted
_PRECISIONS = ("float32", "bfloat16")


def _write_passages(folder: pathlib.Path) -> dict[str, str]:
  """A corpus store, and the same token ids for PyTorch; the folders of weights."""
  from realm_tf import assets
  from realm_tf.corpus.blocks import split_blocks
  from realm_tf.corpus.readers import read_documents
  from realm_tf.corpus.store import Corpus
  from realm_tf.corpus.store_writer import write_store
  from realm_tf.text.tokenizer import Tokenizer
  places = assets.fetch(["minilm", "wiki-leads"], "data")
  tokenizer = Tokenizer.from_file(places["minilm"] / "vocab.txt")
  documents = list(read_documents(places["wiki-leads"] / "summaries.json"))
  chosen = np.random.default_rng(0).permutation(len(documents))[:_PASSAGES.value]
  blocks = list(split_blocks([documents[i] for i in chosen], tokenizer, _LENGTH))
  write_store(folder / "corpus", blocks[:_PASSAGES.value], tokenizer=tokenizer,
              max_tokens=_LENGTH, source="")
  corpus = Corpus.open(folder / "corpus")
  rows = [[tokenizer.cls_id, *corpus.title_ids.row(i), tokenizer.sep_id,
           *corpus.body_ids.row(i), tokenizer.sep_id] for i in range(corpus.num_blocks)]
  np.savez(folder / "ids.npz", values=np.concatenate(rows).astype(np.int64),
           lengths=[len(row) for row in rows],
           title_lengths=corpus.title_ids.lengths + 2)
  return str(places["minilm"])


def _measure_ours(precision: str, folder: pathlib.Path) -> None:
  from realm_tf.corpus.passages import Passages
  from realm_tf.corpus.store import Corpus
  from realm_tf.index.embed import CorpusEmbedder, collect_rows
  from realm_tf.models.retriever import Retriever
  minilm = (folder / "weights.txt").read_text()
  retriever = Retriever.from_pretrained(minilm, pooling="mean", projection_size=384,
                                        precision=precision, document_length=_LENGTH)
  passages = Passages(Corpus.open(folder / "corpus"))
  embedder = CorpusEmbedder(passages, lambda: retriever.make_tower("copy"), _LENGTH, 8192)
  retriever.document_tower.projection.kernel.assign(np.eye(384, dtype=np.float32))
  embedder.snapshot(retriever.document_tower)
  next(embedder.batches())  # warms up
  begun = time.perf_counter()
  table = collect_rows(embedder.batches(), embedder.num_rows)
  seconds = time.perf_counter() - begun
  np.save(folder / f"{precision}.npy", table)
  print(json.dumps({"rates": [len(table) / seconds]}))


def _overlap(folder: pathlib.Path) -> float:
  """The share of the top 100 by float32 that bfloat16 finds too."""
  exact, rounded = (np.load(folder / f"{p}.npy") for p in _PRECISIONS)
  queries = np.arange(0, len(exact), max(1, len(exact) // 100))

  def top(table):
    return np.argsort(-(table[queries] @ table.T), axis=1, kind="stable")[:, :100]

  return float((top(exact)[:, :, None] == top(rounded)[:, None]).any(2).mean())


def main(_) -> None:
  if _OURS.value:
    _measure_ours(_OURS.value, pathlib.Path(_WORK.value))
    return
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    minilm = _write_passages(folder)
    (folder / "weights.txt").write_text(minilm)
    hugging_face = [peers.hugging_face_python(), peers.peer_script("encode.py"), minilm,
                    str(folder / "ids.npz")]
    commands = {}
    for p in _PRECISIONS:
      commands[f"PyTorch, {p}"] = [*hugging_face, p]
      commands[f"ours, {p}"] = [sys.executable, __file__, f"--ours={p}", f"--work={name}"]
    rates = peers.take_turns(commands, _ROUNDS.value)
    lengths = np.load(folder / "ids.npz")["lengths"]
    overlap = _overlap(folder)
  print(f"{processor()}; {len(lengths)} passages of {lengths.mean():.0f} word pieces on "
        f"average\n")
  result = {"processor": processor(), "passages": len(lengths), "rounds": _ROUNDS.value,
            "mean_length": float(lengths.mean()), "systems": {},
            "bfloat16_overlap_at_100": overlap}
  for name, ones in rates.items():
    median, least, most, count = peers.pooled(ones, "rates")
    ratio = median / peers.pooled(rates["PyTorch, " + name.rsplit(", ", 1)[1]], "rates")[0]
    result["systems"][name] = {"passages_per_second": median, "least": least, "most": most,
                               "repeats": count, "ratio": ratio}
    print(f"{name:20s} {median:7.0f} passages/s ({least:.0f} - {most:.0f}, {count})  "
          f"{ratio:5.2f}x")
  print(f"\ntop 100 by bfloat16 against float32: {overlap:.1%} the same")
  for p in _PRECISIONS:
    result[f"encode_ratio_{p}"] = result["systems"][f"ours, {p}"]["ratio"]
  if _JSON.value:
    with new_file(_JSON.value, "w") as file:
      json.dump(result, file, indent=2)


if __name__ == "__main__":
  app.run(main)
