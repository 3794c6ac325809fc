"""What is counted, for Prometheus."""

import prometheus_client as prometheus

CONTENT_TYPE = prometheus.CONTENT_TYPE_LATEST
_SECONDS = (.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Gauges:
  """Counters of one server, in a registry of their own."""

  def __init__(self) -> None:
    self._registry = own = prometheus.CollectorRegistry()
    self._seconds = prometheus.Histogram(
        "realm_request_seconds", "From a request's head to its answer.",
        ["endpoint", "status"], buckets=_SECONDS, registry=own)
    self._batches = prometheus.Histogram(
        "realm_batch_rows", "Rows of the batches that ran.", buckets=_ROWS, registry=own)
    self._queue = prometheus.Gauge("realm_queue_rows", "Rows that wait.", registry=own)
    self._version = prometheus.Gauge("realm_version", "The version that answers.",
                                     registry=own)
    self._swaps = prometheus.Counter("realm_swaps", "Versions that took over.", registry=own)
    self._refused = prometheus.Counter("realm_versions_refused", "Versions refused.",
                                       registry=own)
    prometheus.ProcessCollector(registry=own)

  def request(self, endpoint: str, status: int, seconds: float) -> None:
    self._seconds.labels(endpoint, str(status)).observe(seconds)

  def batch(self, rows: int) -> None:
    self._batches.observe(rows)

  def swap(self, number: int) -> None:
    self._swaps.inc()
    self._version.set(number)

  def refused(self, number: int) -> None:
    del number  # a label of each would grow without end
    self._refused.inc()

  def page(self, waiting: int) -> bytes:
    """The text that Prometheus reads."""
    self._queue.set(waiting)
    return prometheus.generate_latest(self._registry)
