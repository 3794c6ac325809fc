"""What pre-training with a retriever is worth: the paper's table, row by row.

    python benchmarks/ablations.py --rows=ict,realm --seeds=0,1 --data=FOLDER
    python benchmarks/ablations.py --append=other/ablations.json

FOLDER holds corpus.jsonl.gz, qa.train.jsonl.gz and qa.dev.jsonl.gz. The rows are in
`ablation_rows.py`, each a config that can be run by itself. Stages that rows share are made
once (`ablation_stages.py`), below --workdir, and the same command goes on where it was
stopped or killed. Results and reproduction log are written after each run, table and picture
at the end (`ablation_results.py`); --append adds those of another machine.
"""

import pathlib
import sys

from absl import app, flags

_ROWS = flags.DEFINE_list("rows", ["ict", "realm"], "Of ablation_rows.py; all: every one.")
_SEEDS = flags.DEFINE_list("seeds", ["0"], "Of each row.")
_LABELS = flags.DEFINE_list("labels", ["0", "128", "1024", "all"],
                            "How many questions are learnt from; 0: zero-shot.")
_SIZE = flags.DEFINE_string("size", "full", "Of ablation_rows.py; or smoke: a tiny world.")
_DATA = flags.DEFINE_string("data", "data/wiki26k", "The folder of documents and questions.")
_WORKDIR = flags.DEFINE_string("workdir", "runs/ablations", "For the runs.")
_RESULTS = flags.DEFINE_string(
    "results", None, "A JSON file, added to; by default benchmarks/results/ablations.json, "
    "of smoke one in the workdir.")
_APPEND = flags.DEFINE_string("append", None, "Results of another machine, to be added.")


def _base(folder: pathlib.Path):
  """The config that all rows share, and the steps of their warm-ups."""
  import ablation_rows  # pylint: disable=import-outside-toplevel

  from realm_tf import config as config_lib  # pylint: disable=import-outside-toplevel
  if _SIZE.value == "smoke":
    import ablation_smoke  # pylint: disable=import-outside-toplevel
    return ablation_smoke.base(folder), ablation_smoke.WARM_UP
  place = pathlib.Path(ablation_rows.__file__).parent
  config = config_lib.with_changes(ablation_rows.base(_SIZE.value), {
      "data": str(pathlib.Path(_DATA.value).resolve())})
  return config_lib.resolved(config, place), ablation_rows.SIZES[_SIZE.value].warm_up


def _measure(ablations, row: str, seed: int, labels: int | str):
  """An entry of the results, and which questions are right."""
  import ablation_results  # pylint: disable=import-outside-toplevel
  import ablation_stages  # pylint: disable=import-outside-toplevel

  from realm_tf.evaluation import predictions  # pylint: disable=import-outside-toplevel
  from realm_tf.run import evaluations  # pylint: disable=import-outside-toplevel
  run, stage = ablations.evaluated(row, seed, labels)
  records = predictions.read_predictions(evaluations.predictions_path(run.path, stage))
  columns = ablation_results.per_question(run.questions("held_out"), records)
  steps = ablation_stages.pretrained_steps(run)
  figures = {name: float(columns[name].mean()) if name in columns else None
             for name in ablation_results.FIGURES}
  entry = {
      "row": row, "seed": seed, "labels": labels, **figures,
      "sentences": steps * run.config.pretrain.batch_size,
      "hours": round(ablation_stages.minutes(run) / 60, 4),
      **ablation_stages.measured_by(run),
      "config": f"benchmarks/ablation_rows.py:{row},{_SIZE.value}"}
  return entry, ablation_results.hits_of(columns)


def _show(results, path: pathlib.Path) -> None:
  """Writes the table of each size that there is, prints it, and draws it."""
  import ablation_results  # pylint: disable=import-outside-toplevel

  from realm_tf.files import new_file  # pylint: disable=import-outside-toplevel
  sizes = sorted({entry["config"].partition(",")[2] for entry in results.entries.values()})
  changes = {size: ablation_results.changes(results, size) for size in sizes}
  tables = "\n".join(f"## {size}\n\n{ablation_results.as_table(table)}"
                     for size, table in changes.items())
  with new_file(path.with_suffix(".md"), "w") as file:
    file.write("# Ablations\n\nPer cent; in brackets points over `ict`, with the 95 % "
               "interval of a paired bootstrap over questions and seeds.\n\n" + tables)
  print(tables, flush=True)
  for size, table in changes.items():
    picture = path.with_name(f"{path.stem}.{size}.png")
    try:
      ablation_results.draw(table, picture, f"ablations, {size}")
    except Exception as error:  # whatever it is, what was measured has been written
      print(f"ablations: {picture}: not drawn: {type(error).__name__}: {error}",
            file=sys.stderr)


def main(_) -> None:
  from realm_tf.allocator import keep_freed_memory  # pylint: disable=import-outside-toplevel
  keep_freed_memory()
  import ablation_results  # pylint: disable=import-outside-toplevel
  import ablation_rows  # pylint: disable=import-outside-toplevel
  import ablation_stages  # pylint: disable=import-outside-toplevel

  from realm_tf.errors import UserError  # pylint: disable=import-outside-toplevel
  from realm_tf.training.stopping import Interrupted  # pylint: disable=import-outside-toplevel
  folder = pathlib.Path(_WORKDIR.value).resolve()
  path = pathlib.Path(_RESULTS.value or (
      folder / "ablations.json" if _SIZE.value == "smoke"
      else pathlib.Path(__file__).parent / "results" / "ablations.json"))
  try:
    results = ablation_results.Results(path)
    if _APPEND.value:
      print(f"{results.append(pathlib.Path(_APPEND.value))} entries")
      _show(results, path)
      return
    rows = list(ablation_rows.ROWS) if _ROWS.value == ["all"] else _ROWS.value
    _check(rows)
    ablations = ablation_stages.Ablations(folder, *_base(folder))
    for seed in map(int, _SEEDS.value):
      for row in rows:
        for labels in _LABELS.value:
          print(f"\n=== {row}, seed {seed}, labels {labels}", flush=True)
          results.add(*_measure(ablations, row, seed,
                                labels if labels == "all" else int(labels)))
    _show(results, path)
  except UserError as error:
    raise SystemExit(f"ablations: {error}") from error
  except Interrupted as stopped:
    print(f"ablations: {stopped}", file=sys.stderr)
    raise SystemExit(128 + stopped.number) from stopped


def _check(rows: list[str]) -> None:
  """Refuses what would fail after hours."""
  import ablation_rows  # pylint: disable=import-outside-toplevel

  from realm_tf.errors import UserError  # pylint: disable=import-outside-toplevel
  sizes = (*ablation_rows.SIZES, "smoke")
  for name, values, known in (("rows", rows, ablation_rows.ROWS),
                              ("size", [_SIZE.value], sizes)):
    for value in values:
      if value not in known:
        raise UserError(f"--{name}: '{value}': expected one of {', '.join(known)}")
  for name, values in (("seeds", _SEEDS.value),
                       ("labels", [value for value in _LABELS.value if value != "all"])):
    for value in values:
      if not value.isdecimal():
        raise UserError(f"--{name}: '{value}': expected a whole number"
                        f"{' or all' * (name == 'labels')}")


if __name__ == "__main__":
  app.run(main)
