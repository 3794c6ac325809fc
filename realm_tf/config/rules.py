"""What must hold between the fields of a config, each rule in words."""

from typing import Any, Callable, NamedTuple

from realm_tf.errors import UserError

# Tokens in `[CLS] question [SEP] passage [SEP]` with a piece of each. A longer question is
# cut so that passage is left; a sentence with masks is not (`text.inputs.pack_pair`).
LEAST_PAIR = 5


class Rule(NamedTuple):
  """A field, whether it fits the others, and what it should be where it does not.

  The words may name other fields in braces, for which their values are put in.
  """
  field: str
  holds: Callable[[Any], bool]
  expected: str


def _equal_parts(stage: str) -> Rule:
  def holds(config: Any) -> bool:
    settings = getattr(config, stage)
    return settings.batch_size % settings.accumulate == 0

  return Rule(f"{stage}.accumulate", holds, f"a divisor of {stage}.batch_size, "
              f"{{{stage}.batch_size}}: a batch is cut into equal parts")


def _least_first(section: str, name: str) -> Rule:
  def holds(config: Any) -> bool:
    least, most = getattr(getattr(config, section), name)
    return most == 0 or least <= most

  return Rule(f"{section}.{name}", holds, "the least before the most, or 0 for no most")


_RULES = (
    Rule("refresh.max_staleness",
         lambda config: config.refresh.max_staleness >= config.refresh.every,
         "at least refresh.every, {refresh.every}: a refresh starts only so often, so an "
         "index may not be held to less"),
    Rule("refresh.mode",
         lambda config: not (config.fixed_lengths and config.refresh.mode == "rerank"),
         "another than rerank with fixed_lengths: it embeds as many blocks as differ"),
    Rule("pretrain.max_masks",
         lambda config: config.pretrain.max_masks <= config.pretrain.query_length - 2,
         "at most pretrain.query_length - 2, with {pretrain.query_length}: a masked span "
         "must fit between [CLS] and [SEP]"),
    Rule("pretrain.encoder_length",
         lambda config: (config.pretrain.encoder_length
                         >= config.pretrain.query_length + 2),
         "at least pretrain.query_length + 2, with {pretrain.query_length}: a piece of a "
         "block must have room behind the sentence, and a [SEP]"),
    *(_least_first(section, "span_blocks") for section in ("ict", "pretrain", "cloze")),
    Rule("ict.query_window",
         lambda config: config.ict.query_window[0] <= config.ict.query_window[1],
         "the least before the most"),
    Rule("cloze.reader_length",
         lambda config: not 0 < config.cloze.reader_length < LEAST_PAIR,
         f"0 or at least {LEAST_PAIR}: a piece of question and block, and what is between "
         "them"),
    Rule("dpr.negative_ranks",
         lambda config: config.dpr.negative_ranks[0] < config.dpr.negative_ranks[1],
         "the first rank before the last"),
    Rule("finetune.distill",
         lambda config: (not config.finetune.distill or config.finetune.retriever_rate
                         or config.finetune.fresh_blocks),
         "0 with finetune.retriever_rate=0 and finetune.fresh_blocks=0: a retriever that "
         "stays as it is learns nothing"),
    Rule("finetune.soup",
         lambda config: config.finetune.soup == 1 or not config.best_metric,
         "1 with best_metric: a mean of weights is no checkpoint of a training"),
    Rule("index.searched_leaves",
         lambda config: (config.index.leaves == 0
                         or config.index.searched_leaves <= config.index.leaves),
         "at most index.leaves, {index.leaves}"),
    *map(_equal_parts, ("ict", "reading", "pretrain", "dpr", "cloze", "finetune")))


def check_rules(config: Any) -> None:
  """Raises `UserError` for the first rule that does not hold."""
  for rule in _RULES:
    if not rule.holds(config):
      section, name = rule.field.split(".")
      raise UserError(f"config.{rule.field}: expected "
                      f"{rule.expected.format(**vars(config))}, got "
                      f"{getattr(getattr(config, section), name)}")
