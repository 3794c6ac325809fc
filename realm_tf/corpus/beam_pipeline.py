"""A pipeline of Apache Beam by the options of `--beam`."""

import contextlib
import io
import shlex

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from realm_tf.errors import UserError


def make_pipeline(options: str) -> beam.Pipeline:
  """A pipeline to be entered, which then runs.

  Args:
    options: as on a command line: "--runner=FlinkRunner ...".

  Raises:
    UserError: they are none of Beam's.
  """
  said = io.StringIO()
  try:
    with contextlib.redirect_stderr(said):
      parsed = PipelineOptions(shlex.split(options))
      parsed.get_all_options()  # else some are looked at when the pipeline runs
      return beam.Pipeline(options=parsed)
  except ValueError as error:  # of shlex, or of a runner that there is not
    reason = str(error)
  except SystemExit:  # of argparse, which prints its usage and then what is wrong
    reason = said.getvalue().rpartition("error: ")[2]
  raise UserError(f"--beam={options}: expected options of Apache Beam's pipelines "
                  f"({' '.join(reason.split())})")
