"""What a server may be told, with its defaults."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Batching:
  """How requests that come together are run together; TensorFlow Serving's names.

  Attributes:
    max_batch_size: questions in a batch; a request that has more is a batch alone.
    batch_timeout_micros: how long a batch waits for more. Without it a batch is what came
      while the one before it ran.
    max_enqueued_batches: times `max_batch_size`: questions that may wait; what comes then
      is refused (429).
    num_batch_threads: batches that run at a time. TensorFlow uses all processors for one.
  """
  max_batch_size: int = 32
  batch_timeout_micros: int = 0
  max_enqueued_batches: int = 16
  num_batch_threads: int = 1


@dataclasses.dataclass(frozen=True)
class Limits:
  """What one request may ask for.

  Attributes:
    request_timeout: seconds from its first byte to the answer; then 504.
    max_body_bytes: of a request; more is 413.
    max_questions: of a request: rows of its tensors.
    max_question_bytes: of a question or any other text, in UTF-8.
    max_passages: that a request may have found or read, over all of its questions.
  """
  request_timeout: float = 30.0
  max_body_bytes: int = 1 << 20
  max_questions: int = 64
  max_question_bytes: int = 10_000
  max_passages: int = 10_000
