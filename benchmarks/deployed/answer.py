"""Questions answered by a pipeline of others' parts; run by `benchmarks/whole_answers.py`.

    python answer.py SYSTEM WEIGHTS FOLDER READ LENGTH CLIENTS SECONDS

What one writes first: the question is embedded (a mean over tokens), FAISS's exact index
searched, and each found text read with the question by a BERT whose two logits a token say
where an answer begins and ends. Both BERTs run by the system that is named (`engines.py`).
Reader and retriever have the same weights, of which the logits' are random; vectors of texts
are random, too, so what is read is any text.
"""

import json
import pathlib
import sys

import faiss
import numpy as np
import torch
from engines import Pooled, encoder_load, engine
from transformers import BertForQuestionAnswering, BertModel, BertTokenizerFast

_LONGEST_ANSWER = 10  # word pieces
_AT_ONCE = 50_000  # vectors that are drawn
_CALIBRATION = 300  # pairs


class Logits(torch.nn.Module):
  """[B, T, 2]: of a beginning and an end at each token."""

  def __init__(self, weights):
    super().__init__()
    self.reader = BertForQuestionAnswering.from_pretrained(
        weights, attn_implementation="eager").eval()

  def forward(self, ids, mask, segments):
    logits = self.reader(input_ids=ids, attention_mask=mask, token_type_ids=segments)
    return torch.stack([logits.start_logits, logits.end_logits], -1)


class Pipeline:
  """Answers one question after another, from any thread."""

  def __init__(self, system, weights, folder, data, read, length, clients):
    self._tokenizer = BertTokenizerFast(str(pathlib.Path(weights, "vocab.txt")))
    self._texts, self._read, self._length = data["texts"], read, length
    bert = BertModel.from_pretrained(weights, attn_implementation="eager")
    self._index = faiss.IndexFlatIP(bert.config.hidden_size)
    draws = np.random.default_rng(0)
    for first in range(0, data["blocks"], _AT_ONCE):
      size = min(_AT_ONCE, data["blocks"] - first), bert.config.hidden_size
      self._index.add(draws.standard_normal(size, np.float32))
    questions = data["questions"]
    self._embed = engine(system, Pooled(bert), folder, "embed",
                         [_row(*self._tokens(question)) for question in questions], clients)
    self._logits = engine(
        system, Logits(weights), folder, "read",
        [_row(*(part[:1] for part in self._pairs(questions[i % len(questions)], [i])[0]))
         for i in range(_CALIBRATION)], clients)

  def _tokens(self, question):
    words = self._tokenizer(question, return_tensors="np")
    return words["input_ids"], words["attention_mask"], words["token_type_ids"]

  def _pairs(self, question, rows):
    texts = [self._texts[row % len(self._texts)] for row in rows]
    pairs = self._tokenizer(
        [question] * len(texts), texts, padding=True, truncation="only_second",
        max_length=self._length, return_tensors="np", return_offsets_mapping=True)
    inputs = pairs["input_ids"], pairs["attention_mask"], pairs["token_type_ids"]
    return inputs, pairs["offset_mapping"], texts

  def __call__(self, question):
    vector = self._embed(*self._tokens(question))
    _, rows = self._index.search(np.ascontiguousarray(vector, np.float32), self._read)
    inputs, places, texts = self._pairs(question, rows[0])
    logits = self._logits(*inputs)
    kept = (inputs[1] * inputs[2]).astype(bool)
    length = kept.shape[1]
    begun, ended = (np.tri(length, k=k, dtype=bool) for k in (-1, _LONGEST_ANSWER - 1))
    scores = np.where(kept[:, :, None] & kept[:, None] & ~begun & ended,
                      logits[:, :, None, 0] + logits[:, None, :, 1], -np.inf)
    which, first, last = np.unravel_index(int(scores.argmax()), scores.shape)
    return texts[which][places[which, first, 0]:places[which, last, 1]]


def _row(ids, mask, segments):
  """As `encoder_load.padded` takes it: ids, and where the second segment begins."""
  count = int(mask[0].sum())
  return ids[0, :count], int(count - segments[0, :count].sum())


def main(system, weights, folder, read, length, clients, seconds):
  data = json.loads(pathlib.Path(folder, "asked.json").read_text(encoding="utf-8"))
  measured = {}
  for count in map(int, clients.split(",")):
    torch.manual_seed(0)  # of the logits' weights
    answer = Pipeline(system, weights, folder, data, int(read), int(length), count)
    measured |= encoder_load.ask(answer, [(question,) for question in data["questions"]],
                                 [count], float(seconds))
  print(json.dumps(measured))


if __name__ == "__main__":
  main(*sys.argv[1:])
