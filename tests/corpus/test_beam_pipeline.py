"""Options of `--beam` that are none."""

import pytest

from realm_tf.errors import UserError

beam = pytest.importorskip("realm_tf.corpus.beam_pipeline", reason="apache-beam is an extra",
                           exc_type=ImportError)


@pytest.mark.parametrize("options, reason", [
    ("--runner='x", "No closing quotation"), ("--runner=NoSuch", "NoSuch"),
    ("--direct_num_workers=x", "argument --direct_num_workers: invalid int value: 'x'"),
    ("--streaming=x", "argument --streaming"), ("--runner", "argument --runner")])
def test_options_that_are_none(capfd, options, reason):
  with pytest.raises(UserError, match="^--beam=.*: expected options of Apache Beam") as error:
    beam.make_pipeline(options)
  assert reason in str(error.value) and "\n" not in str(error.value)
  assert "usage:" not in capfd.readouterr().err


def test_a_pipeline_by_its_options():
  pipeline = beam.make_pipeline("--runner=DirectRunner --job_name='two words'")
  assert pipeline.options.get_all_options()["job_name"] == "two words"
