"""Which models of a run can read: what an untrained span head answers means nothing."""

import pathlib

from realm_tf import files
from realm_tf.errors import UserError
from realm_tf.models import weights
from realm_tf.run.folder import STAGES, WARM_START, WITHOUT_WORDS, Run


def has_reader(run: Run, stage: str = "") -> bool:
  """Whether the model of a stage can read, by default the newest: a stage up to it trained
  the span head, or the head came so.

  A stage whose model was carried here from another run says itself whether that one could.
  """
  last = stage or run.newest_stage()
  upto = [] if last == WARM_START else STAGES[:STAGES.index(last) + 1]
  facts_of = {name: files.read_object(run.path / name / "done.json")
              for name in filter(run.is_done, upto)}
  if any(facts.get("reads", name in WITHOUT_WORDS) for name, facts in facts_of.items()):
    return True
  published = pathlib.Path(run.config.encoder.weights)
  return published.is_dir() and weights.has_span_head(published)


def check_denoising(run: Run) -> None:
  """Raises `UserError` where `dpr` wants a reader, and none is trained before it."""
  denoise = run.config.dpr.denoise
  if denoise and not has_reader(run, run.stage_before("dpr")):
    raise UserError(
        f"config.dpr.denoise={denoise:g}: no reader is trained before dpr: cloze and "
        "finetune come after it; name encoder.weights with a span head (`realm "
        "export-weights --kind=reader`), begin from a run that has one (`realm init "
        "--model`), or set it to 0")
