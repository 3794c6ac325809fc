"""Whether a run's own export still answers as the run does."""

from realm_tf.evaluation.calibration import read_calibration
from realm_tf.run.commands_to_copy import command
from realm_tf.run.folder import Run
from realm_tf.serving import numbered, record


def old_export(run: Run) -> str:
  """What changed since the newest export of a run was made; "" where nothing did, or where
  there is none."""
  export = numbered.newest(run.path / "export")
  if export is None:
    return ""
  searched = record.read_record(export).get("corpus", {}).get("hash")
  if searched and searched != run.corpus.hash:
    return "of the corpus as it was before"
  fitted = export / "calibration.json"
  if fitted.exists() and read_calibration(fitted) != run.calibration(run.newest_stage()):
    return "calibrated as it was before"
  return ""


def advice(run: Run) -> str:
  """A line for the end of a command that changed what a run answers by, or ""."""
  changed = old_export(run)
  return changed and (f"the export is {changed}: {command('export', run.path)} makes a new "
                      "one")
