"""One retriever by one set of levers, in PyTorch; run by `benchmarks/levers.py`.

Needs torch and transformers, and nothing of realm_tf. MiniLM in one tower, mean pooling,
scores of `scale` cosines, in-batch and mined negatives, AdamW. Prints recall on dev, by gold
passage, after each pass as JSON.
"""

import json
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
from transformers import BertModel

LEVERS = {"passes": 1.25, "batch": 32, "rate": 5e-5, "negatives": 1, "first": 0, "last": 5,
          "mine_again": 0, "dropout": 0.0, "neighbours": 0, "scale": 20.0, "average": 0.0,
          "distant": 0, "ict": 0.0, "bm25_negatives": 0, "seed": 0}
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
_NEVER = -1e4  # the score of what must not be found


class Texts:
  """Token ids of questions or sentences, and which blocks answer them."""

  def __init__(self, data, name):
    self.ids = torch.from_numpy(data[f"{name}_ids"].astype(np.int32))
    self.lengths = data[f"{name}_lengths"]
    if f"{name}_gold" in data:
      self.gold = np.split(data[f"{name}_gold"], np.cumsum(data[f"{name}_gold_counts"])[:-1])
      right = np.split(data[f"{name}_right"], np.cumsum(data[f"{name}_right_counts"])[:-1])
      self.right = [set(a.tolist()) | set(b.tolist()) for a, b in zip(right, self.gold)]
      self.bm25 = data[f"{name}_bm25"]

  def add(self, other):
    self.ids = torch.cat([self.ids, other.ids])
    self.lengths = np.concatenate([self.lengths, other.lengths])
    self.gold, self.right = self.gold + other.gold, self.right + other.right
    self.bm25 = np.concatenate([self.bm25, other.bm25])

  def __len__(self):
    return len(self.lengths)


class Tower:
  """MiniLM with the mean over tokens, of unit length."""

  def __init__(self, folder, dropout):
    self.model = BertModel.from_pretrained(
        folder, add_pooling_layer=False, hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout).to(DEVICE)

  def __call__(self, ids, lengths, starts=None):
    width = int(np.max(lengths))
    ids = torch.as_tensor(ids)[:, :width].to(DEVICE, torch.long)
    places = torch.arange(width, device=DEVICE)[None]
    mask = places < torch.as_tensor(lengths, device=DEVICE)[:, None]
    segments = torch.zeros_like(ids) if starts is None else (
        (places >= torch.as_tensor(starts, device=DEVICE)[:, None]) & mask).long()
    with torch.autocast(DEVICE, torch.bfloat16, enabled=DEVICE == "cuda"):
      hidden = self.model(input_ids=ids, attention_mask=mask.long(),
                          token_type_ids=segments)[0]
    weights = mask[:, :, None].float()
    return F.normalize((hidden.float() * weights).sum(1) / weights.sum(1), dim=-1)


class Experiment:

  def __init__(self, folder, levers):
    self.levers = levers
    data = dict(np.load(folder / "data.npz"))
    self.ids = torch.from_numpy(data["ids"].astype(np.int32))
    self.lengths, self.starts = data["lengths"], data["starts"]
    self.train, self.held_out = Texts(data, "train"), Texts(data, "dev")
    self.sentences, self.sentence_rows = Texts(data, "sentence"), data["sentence_rows"]
    if levers["distant"]:
      self.train.add(Texts(data, "distant"))
    self.rng = np.random.default_rng(levers["seed"])
    torch.manual_seed(levers["seed"])
    self.tower = Tower(folder / "minilm", levers["dropout"])

  def embed(self, rows):
    return self.tower(self.ids[rows], self.lengths[rows], self.starts[rows])

  @torch.no_grad()
  def vectors(self, texts=None):
    """Of some texts, or of all blocks."""
    self.tower.model.eval()
    size = len(self.lengths) if texts is None else len(texts)
    order = np.argsort(-(self.lengths if texts is None else texts.lengths))
    table = torch.empty(size, 384, device=DEVICE)
    for first in range(0, size, 512):
      rows = order[first:first + 512]
      table[torch.as_tensor(rows, device=DEVICE)] = self.embed(rows) if texts is None else (
          self.tower(texts.ids[rows], texts.lengths[rows]))
    self.tower.model.train()
    return table

  def find(self, texts, count):
    table, queries = self.vectors(), self.vectors(texts)
    return torch.cat([(part @ table.T).topk(min(count, len(table))).indices
                      for part in queries.split(1024)]).cpu().numpy()

  def recall(self):
    ranks = []
    for found, gold in zip(self.find(self.held_out, 20).tolist(), self.held_out.gold):
      wanted = set(gold.tolist())
      ranks.append(next((rank for rank, row in enumerate(found) if row in wanted), 999))
    return {f"recall@{k}": float(np.mean(np.array(ranks) < k)) for k in (1, 5, 20)}

  def mined(self):
    levers = self.levers
    found = self.find(self.train, levers["last"]).tolist()
    return [[row for row in (*rows[levers["first"]:], *lexical[:levers["bm25_negatives"]])
             if row not in right] for rows, lexical, right in
            zip(found, self.train.bm25.tolist(), self.train.right)]

  def order(self):
    """A pass over the questions; of neighbours after each other, where that is a lever."""
    count, group = len(self.train), self.levers["neighbours"]
    if not group:
      return self.rng.permutation(count)
    vectors, used = self.vectors(self.train), torch.zeros(count, dtype=torch.bool,
                                                          device=DEVICE)
    groups = []
    for question in self.rng.permutation(count):
      if not used[question]:
        near = (vectors @ vectors[question]).masked_fill(used, -9)
        near = near.topk(min(group, int((~used).sum()))).indices
        used[near] = True
        groups.append(near.cpu().numpy())
    return np.concatenate([groups[i] for i in self.rng.permutation(len(groups))])

  def optimizer(self):
    named = list(self.tower.model.named_parameters())
    return torch.optim.AdamW([
        {"params": [p for _, p in named if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for _, p in named if p.ndim <= 1], "weight_decay": 0.0}])

  def apply(self, optimizer, loss, rate, step, steps):
    for group in optimizer.param_groups:
      group["lr"] = rate * min(1, (step + 1) / max(1, 0.05 * steps)) * (1 - step / steps)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(self.tower.model.parameters(), 1.0)
    optimizer.step()

  def loss(self, questions, tables):
    train, wanted = self.train, self.levers["negatives"]
    rows = [train.gold[i][0] for i in questions]
    for i in questions:
      chosen = list(self.rng.permutation(tables[i])[:wanted])
      rows += chosen + list(self.rng.integers(0, len(self.lengths), wanted - len(chosen)))
    also_right = np.array([[row in train.right[i] for row in rows] for i in questions])
    own = np.arange(len(questions))
    also_right[own, own] = False
    scores = self.levers["scale"] * self.tower(
        train.ids[questions], train.lengths[questions]) @ self.embed(np.array(rows)).T
    scores = scores.masked_fill(torch.from_numpy(also_right).to(DEVICE), _NEVER)
    return F.cross_entropy(scores, torch.from_numpy(own).to(DEVICE))

  def train_on_questions(self):
    levers, curve = self.levers, []
    batch = levers["batch"]
    per_pass = len(self.train) // batch
    steps, optimizer = int(levers["passes"] * per_pass), self.optimizer()
    mean, members, tables, order = None, 0, None, None
    for step in range(steps):
      if step % per_pass == 0:
        tables = self.mined() if levers["mine_again"] or tables is None else tables
        order = self.order()
      place = step % per_pass * batch
      self.apply(optimizer, self.loss(order[place:place + batch], tables), levers["rate"],
                 step, steps)
      if levers["average"] and step > steps * (1 - levers["average"]) and step % 5 == 0:
        members += 1
        state = self.tower.model.state_dict()
        mean = mean or {name: torch.zeros_like(value) for name, value in state.items()}
        for name, value in state.items():
          if value.is_floating_point():
            mean[name] += (value - mean[name]) / members
      if step % per_pass == per_pass - 1 or step == steps - 1:
        curve.append(self.recall())
    if mean:
      self.tower.model.load_state_dict(mean)
      curve.append(self.recall())
    return curve

  def train_on_sentences(self, batch=256, rate=3e-5):
    """The Inverse Cloze Task: a sentence finds its block, where it mostly is cut out."""
    count = len(self.sentences)
    steps, optimizer = int(self.levers["ict"] * count / batch), self.optimizer()
    order = np.concatenate([self.rng.permutation(count)
                            for _ in range(int(self.levers["ict"]) + 1)])
    for step in range(steps):
      chosen = order[step * batch:(step + 1) * batch]
      rows = self.sentence_rows[chosen]
      ids, lengths = self.ids[rows].clone(), self.lengths[rows].copy()
      for i, sentence in enumerate(chosen):
        if self.rng.random() < 0.9:
          lengths[i] -= self._cut(ids[i].numpy(), int(lengths[i]), int(self.starts[rows[i]]),
                                  self.sentences.ids[sentence].numpy()[
                                      1:int(self.sentences.lengths[sentence]) - 1])
      scores = self.levers["scale"] * self.tower(
          self.sentences.ids[chosen], self.sentences.lengths[chosen]
      ) @ self.tower(ids, lengths, self.starts[rows]).T
      same = rows[:, None] == rows[None]
      np.fill_diagonal(same, False)
      scores = scores.masked_fill(torch.from_numpy(same).to(DEVICE), _NEVER)
      self.apply(optimizer, F.cross_entropy(scores, torch.arange(batch, device=DEVICE)), rate,
                 step, steps)

  @staticmethod
  def _cut(block, length, start, sentence):
    for place in range(start, length - len(sentence)):
      if (block[place:place + len(sentence)] == sentence).all():
        block[place:len(block) - len(sentence)] = block[place + len(sentence):].copy()
        return len(sentence)
    return 0


def main(folder, changes):
  experiment = Experiment(pathlib.Path(folder), LEVERS | changes)
  result = {"before": experiment.recall()}
  if experiment.levers["ict"]:
    experiment.train_on_sentences()
    result["after_ict"] = experiment.recall()
  print(json.dumps(result | {"by_pass": experiment.train_on_questions()}))


if __name__ == "__main__":
  main(sys.argv[1], json.loads(sys.argv[2]))
