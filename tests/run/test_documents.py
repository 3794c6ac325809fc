"""Documents that come and go in a trained run, and what verifies it."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from realm_tf import config as config_lib
from realm_tf.corpus.readers import Document, read_ids
from realm_tf.errors import UserError
from realm_tf.index import stored_index
from realm_tf.index.embed import CorpusEmbedder
from realm_tf.index.index_writer import save_table
from realm_tf.run import documents, refresh_job, stages, verify
from realm_tf.run.folder import Run
from tests import tiny
from tests.command import finished, realm


def _jsonl(path, records):
  path.write_text("".join(json.dumps(vars(record)) + "\n" for record in records))
  return path


def _run(folder, source, like=None):
  """A run over `source`: with a warm retriever, or with that of another run."""
  weights = like.config if like else tiny.make_config(folder, ict__steps=2)
  values = config_lib.to_dict(weights)
  values["corpus"]["source"] = str(source)
  run = Run(config_lib.from_dict(values), folder / "run")
  stages.corpus(run)
  if like:
    shutil.copytree(like.path / "ict", run.path / "ict")
  else:
    stages.ict(run)
  return run


@pytest.fixture(name="fresh", scope="module")
def _fresh(tmp_path_factory):
  folder = tmp_path_factory.mktemp("fresh")
  run = _run(folder, _jsonl(folder / "documents.jsonl", tiny.documents()))
  run.stored_index(run.model("ict"))
  return run


@pytest.fixture(name="run")
def _copy(fresh, tmp_path):
  shutil.copytree(fresh.path, tmp_path / "run")
  return Run.existing(tmp_path / "run")


@pytest.fixture(name="embedded")
def _embedded(monkeypatch):
  """Counts the blocks that are embedded."""
  counts, embed = [], CorpusEmbedder.embed

  def counting(self, rows):
    counts.append(len(rows))
    return embed(self, rows)

  monkeypatch.setattr(CorpusEmbedder, "embed", counting)
  return counts


def _document(name, text):
  return Document(name, name, text)


def _retrieved(run, question, k=4):
  passages = run.answerer("ict").retrieve(tf.constant([question]), k)
  return [(name.decode(), text.decode()) for name, text in
          zip(passages.passage_id.numpy()[0], passages.passage.numpy()[0])]


def test_an_added_document_is_found_at_once_and_a_deleted_one_never(run, tmp_path):
  new = _jsonl(tmp_path / "new.jsonl", [_document("ona", "Ona is old and great.")])
  completed = finished("add", f"--workdir={run.path}", f"--documents={new}")
  assert completed.returncode == 0, completed.stderr
  assert "1 document added, 0 replaced; 26 documents in 26 blocks now" in completed.stdout
  assert "embed (25 of 26 blocks are there): 1/1 block" in completed.stderr
  opened = Run.existing(run.path)
  everything = _retrieved(opened, "ona is old and great", 26)
  assert ("ona", "Ona is old and great.") in everything
  assert documents.delete(opened, ["ona", "odd"]).startswith("2 documents deleted; 24")
  remaining = _retrieved(opened, "ona is old and great", 24)
  assert sorted(remaining) == sorted(e for e in everything if e[0] not in ("ona", "odd"))


def test_only_new_blocks_are_embedded(run, tmp_path, embedded):
  new = _jsonl(tmp_path / "new.jsonl", [
      _document("city-Paris", "Paris lies by the river."),
      _document("b", "Many live there.")])
  assert "1 document added, 1 replaced" in documents.add(run, new)
  assert sum(embedded) == 2
  documents.delete(run, ["b"])
  documents.compact(run)
  _retrieved(run, "many live there")
  assert sum(embedded) == 2


def test_a_folder_is_added_again_and_only_what_changed_is_embedded(run, tmp_path, embedded):
  docs = tmp_path / "docs"
  (docs / "sub").mkdir(parents=True)
  (docs / "a.txt").write_text("Paris lies by the river.")
  (docs / "sub" / "b.html").write_text("<h1>Rome</h1><p>Rome is old.")
  (docs / "sub" / "c.md").write_bytes(b"\xff")
  assert "2 documents added, 0 replaced;" in documents.add(run, docs)
  assert json.loads((run.path / "documents" / "add.json").read_text())["skipped"] == {
      "not UTF-8": 1}
  skipped = (run.path / "documents" / "add.skipped.jsonl").read_text()
  assert json.loads(skipped)["name"] == "sub/c.md"
  (docs / "a.txt").write_text("Paris lies there.")
  assert "0 documents added, 1 replaced, 1 unchanged;" in documents.add(run, docs)
  assert sum(embedded) == 3
  with pytest.raises(UserError, match="c.md: not UTF-8"):
    documents.add(run, docs, strict=True)
  assert "Paris lies there." in [text for _, text in _retrieved(run, "paris", 20)]
  completed = finished("delete", f"--workdir={run.path}", f"--source={docs / 'sub'}")
  assert "1 document deleted; 26 documents" in completed.stdout, completed.stderr
  assert "a.txt" in Run.existing(run.path).corpus.document_ids
  assert "1 document deleted; 25" in documents.delete(run, [], str(docs))
  with pytest.raises(UserError, match="--source=.*docs: no document came from there"):
    documents.delete(run, [], str(docs))


def test_after_churn_a_run_answers_as_one_made_anew(run, fresh, tmp_path):
  rng = np.random.default_rng(0)
  living = {document.id: document for document in tiny.documents()}
  for turn in range(3):
    new = [_document(f"n{i}", f"{city} is the old capital, turn {turn}.")
           for i, city in enumerate(rng.choice(list(tiny.CITIES), 2))]
    documents.add(run, _jsonl(tmp_path / f"{turn}.jsonl", new))
    gone = [str(name) for name in rng.choice([n for n in living if n[0] != "n"], 2, False)]
    documents.delete(run, gone)
    for name in (*gone, *(document.id for document in new)):
      living.pop(name, None)
    living |= {document.id: document for document in new}
  source = _jsonl(tmp_path / "living.jsonl", living.values())
  (tmp_path / "anew").mkdir()
  anew = _run(tmp_path / "anew", source, like=fresh)
  question = "what is the capital of france?"
  expected = _retrieved(anew, question, len(living))
  assert _retrieved(run, question, len(living)) == expected
  documents.compact(run)
  assert _retrieved(run, question, len(living)) == expected
  assert run.corpus.num_stored_rows == run.corpus.num_blocks == len(living)
  assert run.corpus.hash == anew.corpus.hash
  assert len(stored_index.index_versions(run.index_root)) == 1
  np.testing.assert_allclose(run.stored_index(run.model("ict")).read(),
                             anew.stored_index(anew.model("ict")).read(), atol=1e-4)


def test_a_damaged_index_is_not_made_whole_by_compacting(run):
  documents.delete(run, ["odd"])
  (folder,) = stored_index.index_versions(run.index_root)
  shard, store = folder / "rows-00000.bin", run.path / "corpus" / "manifest.json"
  before, data = store.read_bytes(), bytearray(shard.read_bytes())
  data[5] ^= 1
  shard.write_bytes(data)
  with pytest.raises(UserError, match="rows-00000.bin: damaged: its SHA-256"):
    documents.compact(run)
  assert store.read_bytes() == before
  assert stored_index.index_versions(run.index_root) == [folder]


def test_what_a_killed_addition_left_undone_is_done_by_the_next_command(run, tmp_path):
  new = _jsonl(tmp_path / "new.jsonl", [_document("ona", "Ona is old.")])
  before = shutil.copytree(run.index_root, tmp_path / "index")
  documents.add(run, new)
  shutil.rmtree(run.index_root)
  shutil.copytree(before, run.index_root)  # as if killed between corpus and index
  (run.path / ".corpus.01234567.new").mkdir()
  opened = Run.existing(run.path)
  assert ("ona", "Ona is old.") in _retrieved(opened, "ona", 26)
  documents.delete(opened, ["ona"])
  assert not (run.path / ".corpus.01234567.new").exists()


def test_an_addition_that_cannot_be_embedded_says_what_is_done(run, tmp_path, capsys):
  new = _jsonl(tmp_path / "new.jsonl", [_document("ona", "Ona is old.")])
  (run.index_root).rename(tmp_path / "index")
  run.index_root.write_text("in the way")
  assert realm("add", f"--workdir={run.path}", f"--documents={new}") == 2
  assert capsys.readouterr().err.endswith(
      f"realm: {run.path}: 1 document added, 0 replaced, but not yet embedded "
      f"({run.index_root}: File exists): `realm index --workdir={run.path}`, or the next "
      "command that searches, does that, given room\n")
  run.index_root.unlink()
  assert ("ona", "Ona is old.") in _retrieved(Run.existing(run.path), "ona", 26)


def test_a_blank_document_is_passed_over_or_refused(run, tmp_path):
  """Passed over, it does not take the place of the one that is there."""
  new = _jsonl(tmp_path / "new.jsonl", [
      _document("odd", "\ufeff"), _document("ona", "Ona is old.")])
  with pytest.raises(UserError, match="new.jsonl:1: field 'text' is empty"):
    documents.add(run, new, strict=True)
  before = Run.existing(run.path).corpus
  assert "ona" not in before.document_ids
  completed = finished("add", f"--workdir={run.path}", f"--documents={new}")
  assert completed.returncode == 0, completed.stderr
  assert "new.jsonl: 1 of 2 documents passed over" in completed.stderr
  assert "'odd' (line 1)" in completed.stderr
  assert "1 document added, 0 replaced" in completed.stdout
  assert set(Run.existing(run.path).corpus.document_ids) == {
      *before.document_ids, "ona"}


def test_ids_to_delete_come_from_a_file_too(run, tmp_path):
  (tmp_path / "ids").write_bytes("\ufeffcity-Paris\r\n\n city-Rome \n".encode())
  completed = finished("delete", f"--workdir={run.path}", f"--ids={tmp_path / 'ids'}", "odd")
  assert completed.returncode == 0, completed.stderr
  assert not ({"city-Paris", "city-Rome", "odd"}
              & set(Run.existing(run.path).corpus.document_ids))
  (tmp_path / "ids").write_bytes(b"city-Oslo\n\xff\n")
  completed = finished("delete", f"--workdir={run.path}", f"--ids={tmp_path / 'ids'}")
  assert completed.returncode == 2 and "ids:2: not UTF-8" in completed.stderr


def test_an_id_that_begins_with_white_space_is_deleted(run, tmp_path):
  """One that is so in the file stands for it, and not for another without the space."""
  documents.add(run, _jsonl(tmp_path / "new.jsonl", [
      _document(" odd", "Ona is old."), _document("\todd \u2028", "Una is old.")]))
  (tmp_path / "ids").write_text(" odd\n\todd \u2028\n")
  documents.delete(run, read_ids(tmp_path / "ids"))
  left = set(Run.existing(run.path).corpus.document_ids)
  assert "odd" in left and not {" odd", "\todd \u2028"} & left
  (tmp_path / "ids").write_text(" odd\n")
  documents.delete(run, read_ids(tmp_path / "ids"))
  assert "odd" not in Run.existing(run.path).corpus.document_ids


def test_an_unknown_document_is_named_and_nothing_deleted(run):
  completed = finished("delete", f"--workdir={run.path}", "odd", "nobody")
  assert completed.returncode == 2 and "no document 'nobody'" in completed.stderr
  assert "odd" in Run.existing(run.path).corpus.document_ids


def test_a_stage_that_is_half_done_is_finished_first(run):
  (run.path / "pretrain" / "checkpoints").mkdir(parents=True)
  with pytest.raises(UserError, match="half done.*; `realm pretrain --workdir=.*` ends it"):
    documents.delete(run, ["odd"])


def test_an_evaluation_of_another_corpus_is_made_again(run, tmp_path):
  questions = tmp_path / "questions.jsonl"
  questions.write_text(
      json.dumps({"question": "where is Paris", "answer": ["France"]}) + "\n")
  run.config = dataclasses.replace(run.config, evaluate=dataclasses.replace(
      run.config.evaluate, questions=str(questions)))
  path = run.path / "evaluation" / "ict.json"
  path.write_text(json.dumps(stages.evaluate(run, "ict") | {"recall@1": 0.5}))
  assert stages.evaluate(run, "ict")["recall@1"] == 0.5
  documents.delete(run, ["odd"])
  assert stages.evaluate(run, "ict")["recall@1"] != 0.5


def test_verify_says_what_is_whole_and_what_is_not(run):
  lines = verify.verify(run, 5)
  assert [line.split(":")[0] for line in lines][:2] == ["corpus", "ict/model"]
  assert "5 rows embedded again: different by at most" in lines[2]
  shard = next(run.index_root.glob("*/rows-00000.bin"))
  content = bytearray(shard.read_bytes())
  content[9] ^= 1
  shard.write_bytes(content)
  with pytest.raises(UserError, match="rows-00000.bin: damaged"):
    verify.verify(run, 5)


def test_verify_embeds_again(run):
  folder = stored_index.index_versions(run.index_root)[0]
  stored = stored_index.StoredIndex.open(folder)
  table = stored.read()
  table[7, 3] += 0.5  # with right checksums: only the tower can tell
  save_table(run.index_root, folder.name, table, stored.origin)
  with pytest.raises(UserError, match="rows differ from what the document tower makes"):
    verify.verify(run, 25)


def test_what_a_scann_index_loses_is_measured_and_kept(run, tmp_path, monkeypatch):
  asked = {city: f"what is the capital of {country}"
           for city, country in tiny.CITIES.items()}
  questions = tmp_path / "questions.jsonl"
  questions.write_text("".join(json.dumps({"question": question, "answer": [city]}) + "\n"
                               for city, question in asked.items()))
  values = json.loads((run.path / "config.json").read_text())
  values["index"].update(kind="scann", rescored=3, recall_at=3, leaves=5, searched_leaves=1)
  values["evaluate"].update(questions=str(questions), recall_at=[1, 3])
  (run.path / "config.json").write_text(json.dumps(values))
  opened, answerers, answerer = Run.existing(run.path), {}, Run.answerer

  def once(self, stage, exact=False):  # two searchers of so few rows may differ
    if exact not in answerers:
      answerers[exact] = answerer(self, stage, exact=exact)
    return answerers[exact]

  monkeypatch.setattr(Run, "answerer", once)
  stages.index(opened)
  facts = json.loads((run.index_root / "scann.json").read_text())
  # In one batch, as there: one that finds too few for a question is searched exactly.
  retrieved = {
      exact: answerers[exact].retrieve(tf.constant(list(asked.values())), 3).passage.numpy()
      for exact in answerers}
  hits = {exact: np.mean([any(city in text.decode() for text in texts)
                          for city, texts in zip(asked, retrieved[exact], strict=True)])
          for exact in answerers}
  assert facts["recall@3_lost_by_index"] == pytest.approx(hits[True] - hits[False])
  assert facts["index_recall@3"] == pytest.approx(answerers[False].index.recall)
  assert answerers[True]
  assert {"recall@1_lost_by_index", "leaves", "stage"} <= facts.keys()
  assert Run.existing(run.path).stored_index(run.model("ict"))  # it is no version


def test_refresh_is_refused_where_no_trainer_looks(run):
  with pytest.raises(UserError, match="'async'; a trainer looks"):
    refresh_job.refresh(run, once=True, nice=0)


@pytest.mark.stress
def test_a_trainer_and_its_job_are_killed_and_nothing_is_lost(tmp_path):
  completed = subprocess.run(
      [sys.executable, "benchmarks/faults.py", "--kills=6", f"--json={tmp_path}/f.json"],
      cwd=os.getcwd(), capture_output=True, text=True, check=False)
  assert completed.returncode == 0, completed.stdout
  result = json.loads((tmp_path / "f.json").read_text())
  assert result["kills"] == 6 and result["reads"] > 0
  assert result["lost"] == result["torn_reads"] == result["failed_resumes"] == 0


@pytest.mark.slow
def test_sigterm_ends_a_refresh_job_with_a_line_and_its_code(fresh, tmp_path):
  shutil.copytree(fresh.path, tmp_path / "run")
  values = json.loads((tmp_path / "run" / "config.json").read_text())
  values["refresh"]["mode"] = "job"
  (tmp_path / "run" / "config.json").write_text(json.dumps(values))
  with subprocess.Popen(
      [sys.executable, "-m", "realm_tf.cli.main", "refresh", f"--workdir={tmp_path}/run"],
      stderr=subprocess.PIPE, text=True) as job:
    for line in job.stderr:
      if "following" in line:
        break
    job.send_signal(signal.SIGTERM)
    rest = job.stderr.read()
  assert job.returncode == 143 and "run the same command to go on" in rest


def test_a_part_of_a_folder_has_the_ids_that_it_has_there(fresh, tmp_path):
  source = tmp_path / "docs"
  (source / "sub").mkdir(parents=True)
  for name in ("a.txt", "sub/a.txt", "sub/b.txt"):
    (source / name).write_text(f"Paris is old. {name} is great.")
  run = _run(tmp_path, source, like=fresh)
  (source / "sub" / "a.txt").write_text("Oslo is old.")
  (source / "sub" / "new.txt").write_text("Rome is old.")
  for part, summary in (("sub/a.txt", "0 documents added, 1 replaced; 3"),
                        ("sub/", "1 document added, 0 replaced, 2 unchanged; 4"),
                        ("a.txt", "0 documents added, 0 replaced, 1 unchanged; 4")):
    assert documents.add(run, source / part).startswith(summary)
  assert sorted(run.corpus.document_ids) == ["a.txt", "sub/a.txt", "sub/b.txt", "sub/new.txt"]
  documents.delete(run, [], str(source / "sub"))
  assert run.corpus.document_ids == ["a.txt"]
  (source / "list.jsonl").write_text('{"id": "x", "text": "Rome is old."}\n')
  documents.add(run, source / "list.jsonl")  # no file that the folder's reader reads
  assert run.corpus.document_ids == ["a.txt", "x"]
  with pytest.raises(UserError, match="run: lies in the folder of documents"):
    documents.add(run, tmp_path)
  assert run.corpus.document_ids == ["a.txt", "x"]
