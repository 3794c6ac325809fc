"""Questions answered by transformers and FAISS; run by `benchmarks/whole_answers.py`.

    python answer.py WEIGHTS FOLDER READ LENGTH CLIENTS SECONDS

What one writes first: the question is embedded (a mean over tokens), the index searched, and
each found text read with the question by a BERT whose two logits a token say where an answer
begins and ends. Reader and retriever have the same weights, of which the logits' are random;
vectors of texts are random, too, so what is read is any text.
"""

import json
import pathlib
import sys

import faiss
import numpy as np
import torch
from transformers import BertForQuestionAnswering, BertModel, BertTokenizerFast

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import encoder_load  # noqa: E402

_LONGEST_ANSWER = 10  # word pieces


class Pipeline:
  """Answers one question after another, from any thread."""

  def __init__(self, weights, texts, read, length):
    self._tokenizer = BertTokenizerFast(str(pathlib.Path(weights, "vocab.txt")))
    self._retriever = BertModel.from_pretrained(weights).eval()
    self._reader = BertForQuestionAnswering.from_pretrained(weights).eval()
    width = self._retriever.config.hidden_size
    self._index = faiss.IndexFlatIP(width)
    self._index.add(np.random.default_rng(0).normal(size=[len(texts), width])
                    .astype(np.float32))
    self._texts, self._read, self._length = texts, read, length

  @torch.inference_mode()
  def __call__(self, question):
    words = self._tokenizer(question, return_tensors="pt")
    vector = self._retriever(**words)[0].mean(1)
    _, rows = self._index.search(vector.numpy(), self._read)
    pairs = self._tokenizer(
        [question] * self._read, [self._texts[row] for row in rows[0]], padding=True,
        truncation="only_second", max_length=self._length, return_tensors="pt",
        return_offsets_mapping=True)
    places = pairs.pop("offset_mapping")
    logits = self._reader(**pairs)
    scores = logits.start_logits[:, :, None] + logits.end_logits[:, None]
    kept = (pairs["token_type_ids"] * pairs["attention_mask"]).bool()
    allowed = torch.ones(scores.shape[1:]).triu().tril(_LONGEST_ANSWER - 1).bool()
    scores = torch.where(kept[:, :, None] & kept[:, None] & allowed, scores, -torch.inf)
    which, first, last = np.unravel_index(int(scores.argmax()), scores.shape)
    text = self._texts[rows[0][which]]
    return text[places[which, first, 0]:places[which, last, 1]]


def main(weights, folder, read, length, clients, seconds):
  data = json.loads(pathlib.Path(folder, "asked.json").read_text(encoding="utf-8"))
  torch.manual_seed(0)
  answer = Pipeline(weights, data["texts"], int(read), int(length))
  print(json.dumps(encoder_load.ask(
      answer, [(question,) for question in data["questions"]],
      [int(count) for count in clients.split(",")], float(seconds))))


if __name__ == "__main__":
  main(*sys.argv[1:])
