"""What is derived from a corpus, made on other machines before a stage looks it up."""

import contextlib
from typing import Iterator, Sequence

from realm_tf.config import RealmConfig
from realm_tf.corpus.derived import Share
from realm_tf.corpus.duplicates import stored_bans
from realm_tf.corpus.store import Corpus
from realm_tf.datasets.matching import Occurrences, find_occurrences, stored_occurrences
from realm_tf.datasets.questions import Question
from realm_tf.examples.related_blocks import related_sentences
from realm_tf.extras import require


def find_bans(config: RealmConfig, corpus: Corpus, beam: str | None) -> None:
  """Keeps the near duplicates of a corpus beside its store, if they are not there yet.

  Args:
    config: of the run.
    corpus: whose sentences must not be predicted from near duplicates.
    beam: options of the Apache Beam pipelines that find them; None: who needs them does.
  """
  if beam is not None:
    with _shared(corpus, beam) as share:
      stored_bans(corpus, config.pretrain.ban_similarity, share)


def find_related(config: RealmConfig, corpus: Corpus, beam: str | None) -> None:
  """Keeps the related blocks of what is masked, where some are needed; see `find_bans`."""
  pretrain = config.pretrain
  if beam is not None and pretrain.masker == "related":
    with _shared(corpus, beam) as share:
      related_sentences(corpus, pretrain.max_masks, pretrain.span_blocks, share)


def find_places(questions: Sequence[Question], corpus: Corpus, beam: str | None) -> None:
  """Keeps the places of the answers beside the store, if they are not there yet.

  Args:
    questions: those that a stage looks up together; of none nothing is kept.
    corpus: where to look.
    beam: options of the Apache Beam pipeline that finds them; None: who needs them does.
  """
  if beam is not None and questions:
    answer_places(questions, corpus, beam)


def answer_places(questions: Sequence[Question], corpus: Corpus, beam: str | None
                  ) -> Occurrences:
  """The places of answers for who needs them once; without `beam` nothing is kept."""
  search = ([question.answers for question in questions], corpus, corpus.tokenizer,
            [question.regex for question in questions])
  if beam is None:
    return find_occurrences(*search)
  with _shared(corpus, beam) as share:  # workers read the answers beside the store
    return stored_occurrences(*search, share)


@contextlib.contextmanager
def _shared(corpus: Corpus, options: str) -> Iterator[Share]:
  require(("apache_beam",), "--beam", "beam")
  from realm_tf.corpus.beam_share import shared_by_beam
  with shared_by_beam(corpus, options) as share:
    yield share
