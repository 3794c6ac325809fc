"""`realm mcp`: the tools of an assistant that starts this program itself."""

from typing import Sequence

from realm_tf.cli.opening import FLAGS, no_more
from realm_tf.cli.served_model import check_model, define_model, model_source
from realm_tf.extras import require

SUMMARY = "Answer an assistant by the Model Context Protocol, over stdin and stdout."
EXAMPLE = "realm mcp --model=runs/demo/export"
_LIBRARIES = ("mcp", "prometheus_client")


def define_flags() -> None:
  define_model()


def run(arguments: Sequence[str]) -> None:
  no_more(arguments)
  check_model()
  require(_LIBRARIES, "realm mcp", "mcp")
  from realm_tf.server.mcp_stdio import answer_stdio
  with model_source() as (source, where):
    answer_stdio(source, where, FLAGS.poll_seconds)
