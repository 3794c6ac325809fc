"""Twelve defects of the published code, and that ours has none of them.

Each test is named by what the published code does wrong; where other tests go deeper
into the same matter, they are named.
"""

import ast
import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf

import realm_tf
from realm_tf import folders
from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.readers import Document, read_documents
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.store_writer import write_store
from realm_tf.datasets.matching import find_occurrences
from realm_tf.datasets.questions import Question, read_questions
from realm_tf.errors import UserError
from realm_tf.evaluation import metrics
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.evaluation.evaluate import score_records
from realm_tf.exchange.exporting import checkpoint_contents
from realm_tf.exchange.importing import write_folder
from realm_tf.index import embed
from realm_tf.index.embed import CorpusEmbedder, collect_rows
from realm_tf.index.exact import ExactIndex
from realm_tf.models.tensors import read_tensor_folder
from realm_tf.refresh.refresher import Refresher
from realm_tf.run.folder import Run
from realm_tf.run.model import initial_model
from realm_tf.text.salient_spans import RuleTagger
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny
from tests.models import small


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  folder = tmp_path_factory.mktemp("defects")
  corpus = tiny.make_corpus(folder / "corpus")
  config = tiny.make_config(folder)
  model = initial_model(config, corpus.tokenizer)
  passages = Passages(corpus)
  embedder = CorpusEmbedder(passages, model.make_tower, 64, 512)
  embedder.snapshot(model.retriever.document_tower)
  index = ExactIndex()
  index.assign(collect_rows(embedder.batches(), embedder.num_rows), 0)
  return config, corpus, passages, model, index


# 1. With separate towers it exports the document tower as the query tower.
# See also tests/exchange/test_exchange.py.
def test_each_tower_is_exported_as_itself(tmp_path):
  model = small.realm(shared_towers=False, pooling="pooler")
  query, document = model.retriever.query_tower, model.retriever.document_tower
  query.norm.beta.assign(query.norm.beta + 1)
  for kind, tower in (("embedder", document), ("query_embedder", query)):
    write_folder(tmp_path / kind, *checkpoint_contents(model, kind), None)
    np.testing.assert_array_equal(read_tensor_folder(tmp_path / kind)["cls.LayerNorm.bias"],
                                  tower.norm.beta)
  write_folder(tmp_path / "scorer", *checkpoint_contents(model, "scorer"), None)
  scorer = read_tensor_folder(tmp_path / "scorer")
  np.testing.assert_array_equal(
      scorer["query_embedder.cls.LayerNorm.bias"],
      scorer["embedder.cls.LayerNorm.bias"] + np.float32(1))


# 2. The refresher polls the file system in a loop without sleeping, and never stops if
# no export comes. See also tests/refresh/test_refresher.py.
_WATCHED: list[list[str]] = []


def _watch(event, arguments):
  del arguments
  if _WATCHED and event in ("open", "os.listdir", "os.scandir"):
    _WATCHED[0].append(event)


def test_refresh_asks_no_file_system_and_stops_when_nothing_comes():
  never = finished = 0
  stopped = []

  def embed_forever(check):
    try:
      while True:
        check(1)  # raises once the refresher is closed
    finally:
      stopped.append(True)

  refresher = Refresher(None, lambda: None, embed_forever, index_step=0, refresh_every=5,
                        max_staleness=10, on_stale="warn")
  sys.addaudithook(_watch)
  calls: list[str] = []
  _WATCHED.append(calls)
  try:
    for step in range(100):
      finished += refresher.update(step)
  finally:
    _WATCHED.clear()
  assert finished == never and not calls
  refresher.close()  # joins: the worker has ended when it returns
  assert stopped == [True]


# 3. A crash while embedding strands the export (it was moved first); embedding cannot
# resume.
def test_after_a_crash_while_embedding_the_corpus_can_be_embedded(tmp_path, monkeypatch):
  config = tiny.make_config(tmp_path)
  run = Run(config, tmp_path / "run")
  tiny.make_corpus(tmp_path / "run" / "corpus")
  model = run.model("warm start")
  batches = CorpusEmbedder.batches

  def crash(self, *rows):
    yield next(batches(self, *rows))
    raise RuntimeError("power cut")

  monkeypatch.setattr(embed.CorpusEmbedder, "batches", crash)
  with pytest.raises(RuntimeError, match="power cut"):
    run.stored_index(model)
  assert not list((tmp_path / "run").glob("index/[!.]*"))  # nothing that looks whole
  monkeypatch.undo()
  table = run.stored_index(model).read()
  assert table.shape == (run.corpus.num_blocks, 16) and np.isfinite(table).all()
  embedder = run.embedder(model)
  np.testing.assert_array_equal(table, collect_rows(embedder.batches(), embedder.num_rows))


# 4. Directory names are rewritten by replace("tf_hub", "temp") on the whole path.
def test_names_of_folders_are_left_alone(tmp_path):
  for name in ("tf_hub", "tf_hub.tf_hub", "temp"):
    folder = tmp_path / "tf_hub" / name / "tf_hub_export"
    with folders.new_folder(folder) as temporary:
      assert temporary.parent == folder.parent
      (temporary / "tf_hub.txt").write_text(name)
    assert (folder / "tf_hub.txt").read_text() == name
  written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.txt")}
  assert written == {f"tf_hub/{name}/tf_hub_export/tf_hub.txt"
                     for name in ("tf_hub", "tf_hub.tf_hub", "temp")}
  assert sorted(path.name for path in tmp_path.iterdir()) == ["tf_hub"]


# 5. `has_answer` is a raw substring test: "art" is found in "party".
# See also tests/datasets/test_matching.py and tests/evaluation/test_metrics.py.
def test_an_answer_is_found_at_word_boundaries_only(tmp_path):
  texts = ["The party is great.", "The art is great."]
  tokenizer = Tokenizer(tiny.vocabulary())
  write_store(tmp_path / "c", split_blocks(
      [Document(str(i), "", text) for i, text in enumerate(texts)], tokenizer, 32,
      RuleTagger()), tokenizer=tokenizer, max_tokens=32, source="test")
  corpus = Corpus.open(tmp_path / "c")
  for text, stands in zip(texts, (False, True), strict=True):
    assert "art" in text and metrics.has_answer(text, ["art"]) == stands
  assert find_occurrences([["art"]], corpus, tokenizer).rows.tolist() == [1]
  assert find_occurrences([["a.t"]], corpus, tokenizer, [True]).rows.tolist() == [1]


# 6. Block ids differ from run to run (shuffled, unordered workers).
def test_block_ids_are_the_same_in_every_run(tmp_path):
  first, second = (tiny.make_corpus(tmp_path / name) for name in ("first", "second"))
  assert first.hash == second.hash and first.document_ids == second.document_ids
  assert [d.id for d in tiny.documents()] == list(dict.fromkeys(first.document_ids))
  for actual, expected in zip(sorted((tmp_path / "first").iterdir()),
                              sorted((tmp_path / "second").iterdir()), strict=True):
    assert actual.name == expected.name and actual.read_bytes() == expected.read_bytes()


# 7. The reader cannot be exported ("Can't use SavedModel here due to the py_func").
# See also tests/cli/test_whole_run.py, which asks an export.
def test_answering_is_in_the_graph(world):
  _, corpus, passages, model, index = world
  answerer = QuestionAnswerer(model, corpus, passages, index, 3)
  graph = tf.function(answerer.answer, input_signature=[
      tf.TensorSpec([None], tf.string)]).get_concrete_function().graph.as_graph_def()
  kinds = {node.op for node in graph.node} | {
      node.op for function in graph.library.function for node in function.node_def}
  assert "Realm>TopKInnerProduct" in kinds and len(kinds) > 20
  assert not {kind for kind in kinds if "PyFunc" in kind}


# 8. Fine-tuning takes batch 1 only, and tokenises 5000 blocks at every step.
# In tests/training/test_finetune.py: it is a training run.


# 9. CuratedTREC cannot be trained on (regular-expression answers), and its evaluation
# silently needs a flag. See also tests/evaluation/test_orqa.py.
def test_curated_trec_is_trained_on_and_scored(world, tmp_path):
  _, corpus, *_ = world
  path = tmp_path / "CuratedTrec.resplit.train.jsonl"
  path.write_text('{"question": "capital of france?", "answer": ["pari.|lutetia"]}\n')
  questions = read_questions(path)
  occurrences = find_occurrences([q.answers for q in questions], corpus, corpus.tokenizer,
                                 [q.regex for q in questions])
  assert len(occurrences.rows) >= 2
  assert all(b"Paris" in corpus.texts[row] for row in occurrences.rows)
  record = {"prediction": "Paris", "passages": [{"text": "It is Paris."}]}
  assert score_records(questions, [record], [1], 1)["exact_match"] == 1
  assert score_records(questions, [record], [1], 1)["recall@1"] == 1


# 10. The recall figures of the PyTorch port are those of a 5-block beam whatever k says.
def test_recall_at_k_looks_at_k_passages(world):
  _, corpus, passages, model, index = world
  answerer = QuestionAnswerer(model, corpus, passages, index, 3)
  question = tf.constant(["what is the capital of france"])
  _, retrieved = answerer.answer_and_retrieve(question, 12)
  rows = retrieved.row.numpy()[0].tolist()
  assert len(set(rows)) == 12
  queries = answerer.embed(question).numpy()
  table = index.gather(tf.range(corpus.num_blocks)).numpy()
  assert rows == np.argsort(-(queries @ table.T)[0], kind="stable")[:12].tolist()
  texts = ["nothing"] * 9 + ["the Answer"] + ["nothing"] * 2
  record = {"prediction": "no", "passages": [{"text": text} for text in texts]}
  scores = score_records([Question("1", "q", ("answer",))], [record], [5, 9, 10, 12], 3)
  assert [scores[f"recall@{k}"] for k in (5, 9, 10, 12)] == [0, 0, 1, 1]


# 11. HF's retriever loaded pickled arrays (`allow_pickle=True`): remote code execution.
# See also tests/exchange/test_exchange.py, on pytorch_model.bin.
def test_no_pickle_is_read(tmp_path):
  package = pathlib.Path(realm_tf.__file__).parent
  loads = []
  for path in package.rglob("*.py"):
    for node in ast.walk(ast.parse(path.read_text())):
      if isinstance(node, (ast.Import, ast.ImportFrom)):
        names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
        assert not names & {"pickle", "cPickle", "dill", "cloudpickle", "joblib"}, path
      if isinstance(node, ast.Call):
        arguments = {word.arg: ast.unparse(word.value) for word in node.keywords}
        assert arguments.get("allow_pickle", "False") == "False", path
        if ast.unparse(node.func) in ("torch.load", "np.load"):
          loads.append(ast.unparse(node.func))
          assert arguments.get("weights_only") == "True" or "allow_pickle" in arguments, path
  assert {"torch.load", "np.load"} <= set(loads)
  np.savez(tmp_path / "io.npz", embedder_ids=np.array([{}], object))
  from realm_tf.evaluation import reference_parity  # pylint: disable=import-outside-toplevel
  with pytest.raises(UserError, match="io.npz: not a whole npz"):
    list(reference_parity.compare_with_reference(tmp_path))


# 12. No tagger for salient spans was ever released, nor the pre-training corpus, nor a
# way to run on one's own documents. See also tests/text/test_salient_spans.py.
def test_own_documents_become_blocks_with_salient_spans(tmp_path):
  path = tmp_path / "mine.jsonl"
  path.write_text('{"id": "1", "title": "Tower", "text": "The tower was born in Paris. It '
                  'is great in 1889. They sat by the river with Ona Great."}\n')
  tokenizer = Tokenizer(tiny.vocabulary())
  block, = split_blocks(read_documents(path), tokenizer, 64, RuleTagger())
  text = block.text.encode("utf-8")
  spans = {text[block.body_starts[start]:block.body_ends[end - 1]].decode()
           for start, end in zip(block.span_starts, block.span_ends, strict=True)}
  assert {"Paris", "1889", "Ona Great"} <= spans and "tower" not in spans


# And two traps on the way to the same numbers.


def test_title_is_in_the_embedder_and_not_in_the_reader(world):
  _, corpus, passages, *_ = world
  row = 3
  title, body = corpus.title_ids.row(row).tolist(), corpus.body_ids.row(row).tolist()
  special = corpus.tokenizer
  assert title
  documents = passages.documents(tf.constant([row]), 64)
  ids = documents.ids.numpy()[0][documents.padding_mask.numpy()[0]].tolist()
  assert ids == [special.cls_id, *title, special.sep_id, *body, special.sep_id]
  question = tf.ragged.constant([[7, 8]], tf.int32)
  read = passages.after(question, tf.constant([[row]]), 64)
  ids = read.ids.numpy()[0][read.padding_mask.numpy()[0]].tolist()
  assert ids == [special.cls_id, 7, 8, special.sep_id, *body, special.sep_id]


def test_a_masked_span_never_wins_however_relevant_its_block(world):
  """With -10000 for minus infinity, a block far ahead answers from the question."""
  _, _, passages, model, _ = world
  packed = passages.after(tf.ragged.constant([[7, 8]], tf.int32), tf.constant([[3, 4]]), 64)
  logits = model.encoder.span_logits(packed).numpy()
  outside = ~np.isfinite(logits)
  assert outside.any() and (logits[outside] == -np.inf).all()
  # The question's own tokens and the padding, in a block that is 30,000 ahead.
  with_relevance = logits + np.array([0, 30000], np.float32)[:, None, None]
  row, start, width = np.unravel_index(with_relevance.argmax(), logits.shape)
  assert row == 1 and not outside[row, start, width]
  assert not (with_relevance[outside] > -1e30).any()
