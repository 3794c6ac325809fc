"""Near duplicates found on other machines, before a stage looks them up."""

from realm_tf.config import RealmConfig
from realm_tf.corpus.duplicates import stored_bans
from realm_tf.corpus.store import Corpus
from realm_tf.extras import require


def find_bans(config: RealmConfig, corpus: Corpus, beam: str | None) -> None:
  """Keeps the near duplicates of a corpus beside its store, if they are not there yet.

  Args:
    config: of the run.
    corpus: whose sentences must not be predicted from near duplicates.
    beam: options of the Apache Beam pipelines that find them; None: who needs them does.
  """
  if beam is None:
    return
  require(("apache_beam",), "--beam", "beam")
  from realm_tf.corpus.beam_share import shared_by_beam
  with shared_by_beam(corpus, beam) as share:
    stored_bans(corpus, config.pretrain.ban_similarity, share)
