"""`realm serve`: an export, or a run, as a server."""

from typing import Sequence

from absl import flags

from realm_tf.cli.opening import FLAGS, no_more
from realm_tf.cli.served_model import check_model, define_model, model_source
from realm_tf.errors import UserError
from realm_tf.extras import require

SUMMARY = "Serve an export or a run: a page, REST, TensorFlow Serving's and KServe's too."
EXAMPLE = "realm serve --model=runs/demo/export --port=8501"
_LIBRARIES = ("starlette", "uvicorn", "httptools", "prometheus_client")


def define_flags() -> None:
  define_model()
  flags.DEFINE_string("host", "127.0.0.1", "Address to listen at: this machine alone by "
                      "default.")
  flags.DEFINE_integer("port", 8501, "Port; 0 for any that is free.", lower_bound=0,
                       upper_bound=65535)
  flags.DEFINE_string("name", "realm", "The model's name in paths such as "
                      "/v1/models/NAME:predict.")
  flags.DEFINE_list("labels", [], "Version labels that mean the version that answers.")
  flags.DEFINE_string("api_keys", "", "File of API keys, one a line; without it none is "
                      "needed.")
  flags.DEFINE_list("allowed_hosts", [], "Names besides localhost by which a server on "
                    "loopback may be called, behind a proxy.")
  flags.DEFINE_integer("max_batch_size", 32, "Questions that are answered together.",
                       lower_bound=1)
  flags.DEFINE_integer("batch_timeout_micros", 0, "How long a batch waits for more.",
                       lower_bound=0, upper_bound=10_000_000)
  flags.DEFINE_integer("max_enqueued_batches", 16, "Batches that may wait; then 429.",
                       lower_bound=1)
  flags.DEFINE_integer("num_batch_threads", 1, "Batches that run at a time.", lower_bound=1,
                       upper_bound=256)
  flags.DEFINE_float("request_timeout", 30.0, "Seconds for a request; then 504.",
                     lower_bound=0.001)
  flags.DEFINE_integer("max_body_bytes", 1 << 20, "Of a request; then 413.", lower_bound=1)
  flags.DEFINE_integer("max_questions", 64, "Of a request.", lower_bound=1)
  flags.DEFINE_integer("max_question_bytes", 10_000, "Of a question, in UTF-8.",
                       lower_bound=1)
  flags.DEFINE_integer("max_passages", 10_000, "That a request may have found or read, over "
                       "all of its questions.", lower_bound=1)
  flags.DEFINE_integer("graceful_timeout", 30, "Seconds that accepted requests have when the "
                       "server is stopped.", lower_bound=0)


def run(arguments: Sequence[str]) -> None:
  no_more(arguments)
  check_model()
  if not FLAGS.name or set(FLAGS.name) & set("/:?#% "):
    raise UserError(f"--name={FLAGS.name}: expected a name without '/', ':', '?', '#', '%' "
                    "and spaces")
  require(_LIBRARIES, "realm serve", "serve")
  from realm_tf.server.address import Address, listening
  from realm_tf.server.server_settings import Batching, Limits
  place = Address(FLAGS.host, FLAGS.port, FLAGS.name, tuple(FLAGS.labels), FLAGS.api_keys,
                  tuple(FLAGS.allowed_hosts), FLAGS.poll_seconds, FLAGS.graceful_timeout)
  batching = Batching(FLAGS.max_batch_size, FLAGS.batch_timeout_micros,
                      FLAGS.max_enqueued_batches, FLAGS.num_batch_threads)
  limits = Limits(FLAGS.request_timeout, FLAGS.max_body_bytes, FLAGS.max_questions,
                  FLAGS.max_question_bytes, FLAGS.max_passages)
  with listening(place) as listener:
    from realm_tf.server.process import serve  # TensorFlow: once it is known where to listen
    with model_source() as (source, where):
      serve(source, where, place, batching, limits, listener)
