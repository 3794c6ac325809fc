"""The settings of the stages that train, each with its default, range and meaning.

As in `settings`, of which this is a part.
"""

import dataclasses

from realm_tf.config import rules
from realm_tf.config.fields import (
  PATH,
  SHARE,
  Range,
  Section,
  at_least,
  named_in,
  one_of,
  positive,
  setting,
)
from realm_tf.registry import LOSSES, MASKERS, WARM_STARTS

LENGTH = at_least(3, 100_000)  # word pieces, [CLS] and [SEP] counted
_PAIR_LENGTH = at_least(rules.LEAST_PAIR, 100_000)
CANDIDATES = at_least(2, 100_000)  # the null document and at least one block
SAMPLE = at_least(1, 1_000_000)  # of sentences or queries, all of which are in memory


@dataclasses.dataclass(frozen=True)
class OptimizerConfig(Section):
  """AdamW as in BERT: warm-up, linear decay, no decay on norms and biases."""
  steps: int = setting(1000, at_least(0), "of training, at most; 0 leaves the stage out")
  passes: float = setting(
      0.0, at_least(0, 1e6), "over the examples, at most; 0: no limit but `steps`")
  batch_size: int = setting(16, SAMPLE, "examples in a step")
  learning_rate: float = setting(1e-4, positive(10.0), "at its peak, after the warm-up")
  warmup_steps: int = setting(100, at_least(0), "in which the learning rate rises")
  weight_decay: float = setting(0.01, at_least(0, 10), "decoupled, as a share of the rate")
  clip_norm: float = setting(1.0, positive(1e12), "of the gradient, which is cut to it")
  layer_decay: float = setting(
      1.0, positive(1.0), "of the learning rate from each layer of a BERT to that below")
  accumulate: int = setting(
      1, SAMPLE, "parts of a batch that are computed one after the other")


@dataclasses.dataclass(frozen=True)
class ICTConfig(OptimizerConfig):
  """Warm start of the retriever: by ICT a sentence finds the block that it came from."""
  objective: str = setting(
      "ict", named_in(WARM_STARTS), "ict: the Inverse Cloze Task; recurring_spans: Spider, "
      "text around a span finds another block that holds it")
  removal_rate: float = setting(
      0.9, SHARE, '"ict": how often the sentence is taken out of its block')
  span_removal_rate: float = setting(
      0.5, SHARE, '"recurring_spans": how often the span is taken out of the query')
  span_blocks: tuple[int, int] = setting(
      (2, 20), at_least(0), '"recurring_spans": only spans that are salient in so many '
      "blocks of an article, or of the corpus, from least to most; 0: no limit")
  query_window: tuple[int, int] = setting(
      (10, 30), at_least(1, 100_000), '"recurring_spans": word pieces of a query, from least '
      "to most")
  hard_negatives: bool = setting(
      True, None, '"recurring_spans": with each query a block of its article that does not '
      "hold the span, where articles have several blocks")


@dataclasses.dataclass(frozen=True)
class ReadingConfig(OptimizerConfig):
  """Warm start of the encoder, which a small BERT needs: see `training.reading`."""
  steps: int = setting(  # the paper has none: BERT-base learns to read in pre-training
      0, at_least(0), "of training before pre-training; 0 leaves it out")
  candidates: int = setting(
      3, at_least(1, 100_000),
      "the null document and the best blocks, besides the supporting one")
  masked_lm_steps: int = setting(
      0, at_least(0), "before that, of a masked language model: random words of sentences "
      "without any block, for a word head that was never trained; 0: none")


@dataclasses.dataclass(frozen=True)
class PretrainConfig(OptimizerConfig):
  """REALM pre-training on salient spans."""
  candidates: int = setting(8, CANDIDATES, "K, the null document counted")
  corpus: str = setting(
      "", PATH, "documents whose sentences are masked, where they are others than those that "
      "are retrieved: a file or folder as corpus.source")
  query_length: int = setting(96, LENGTH, "word pieces of the masked sentence")
  encoder_length: int = setting(
      384, _PAIR_LENGTH, "word pieces of sentence and block together")
  max_masks: int = setting(10, at_least(1, 1000), "word pieces of a masked span")
  masker: str = setting("salient", named_in(MASKERS), "what is masked in a sentence")
  query: str = setting(
      "sentence", one_of("sentence", "question", "read_question"), "what blocks are "
      "retrieved for: the masked sentence, as in the paper, or a question made of its words; "
      "the encoder reads the sentence, with read_question the question behind its masks")
  loss: str = setting(
      "joint", named_in(LOSSES), "joint: of the paper; per_mask: of the published code")
  retriever_rate: float = setting(
      1.0, positive(1000.0), "the retriever's learning rate, as a share of the encoder's")
  retriever_warmup_steps: int = setting(0, at_least(0), "0: the same as warmup_steps")
  freeze_retriever_steps: int = setting(
      0, at_least(0), "at the start, in which the encoder alone learns; the retriever's "
      "schedule begins after them")
  objective: str = setting(
      "masked_words", one_of("masked_words", "extractive"), "what p(y|z,x) is. masked_words: "
      "of the paper; extractive: mixed with what the span head gives to the masked span "
      "where it stands in the block")
  span_share: float = setting(
      0.5, Range(0.01, 0.99), '"extractive": of the span head in the mixture')
  null_share: float = setting(
      0.0, Range(0.0, 0.9), "p(z|x) of the null document, whatever its score; 0: by its "
      "score, as in the paper")
  null_document: bool = setting(
      True, None, "without it p(z|x) is over what is retrieved alone: a row of the paper's "
      "table 2")
  ban: bool = setting(
      True, None, "a sentence's own block, in which it stands unmasked, is never a "
      "candidate; without it: a row of the paper's table 2")
  window: int = setting(
      0, at_least(0, 100_000), "word pieces of a block that are read, where it matches the "
      "sentence best; 0: its beginning, as many as encoder_length has room for")
  ban_similarity: float = setting(
      0.5, SHARE, "blocks so like a sentence's own (see `corpus.duplicates`) are banned "
      "with it; 0: none")
  span_blocks: tuple[int, int] = setting(
      (2, 0), at_least(0), "mask only spans that are salient in so many blocks, from least "
      "to most, their own counted; 0: no limit")


@dataclasses.dataclass(frozen=True)
class DPRConfig(OptimizerConfig):
  """Supervised training of both towers on the questions of fine-tuning, before it."""
  steps: int = setting(0, at_least(0), "of training; 0 leaves the stage out")
  batch_size: int = setting(32, SAMPLE, "questions, each with its block")
  learning_rate: float = setting(2e-5, positive(10.0), "at its peak, after the warm-up")
  hard_negatives: int = setting(1, at_least(0, 1000), "blocks for each question besides")
  negative_ranks: tuple[int, int] = setting(
      (0, 30), at_least(0), "first and last (exclusive) of what the index returns that "
      "hard negatives are drawn from; those in which an answer stands are none")
  mine_every: int = setting(
      0, at_least(0), "steps after which the index is made anew, and asked again; 0: never")
  denoise: float = setting(
      0.0, SHARE, "a mined block is no negative where the reader's posterior of its best "
      "span, among the mined blocks and the positive, is above this; needs a reader that is "
      "trained before this stage; 0: off")
  least_questions: int = setting(
      0, at_least(0), "to train on; with fewer, `realm run` leaves the stage out")


@dataclasses.dataclass(frozen=True)
class ClozeConfig(OptimizerConfig):
  """The span head learns from the documents alone: see `training.cloze`."""
  steps: int = setting(0, at_least(0), "of training; 0 leaves the stage out")
  form: str = setting(
      "sentence", one_of("sentence", "question"), "of what is asked. sentence: with a mask, "
      "for what another block holds; question: its words behind a question word, about the "
      "block that it is from")
  span_blocks: tuple[int, int] = setting(
      (2, 20), at_least(0), "ask only for spans that are salient in so many blocks of an "
      "article, or of the corpus, from least to most; 0: no limit; not in the form of a "
      "question")
  max_words: int = setting(6, at_least(1, 1000), "of a span that is asked for")
  question_length: int = setting(
      32, at_least(3, 100_000), "word pieces of a question, about; longer sentences are cut "
      "to a window around the span")
  beam_size: int = setting(
      50, at_least(1, 100_000), "blocks that the retriever finds, of which the first that "
      "holds the span is read")
  read_blocks: int = setting(
      3, at_least(1, 100_000), "blocks that are read with a question: one that holds the "
      "span, and the best others")
  reader_length: int = setting(
      0, at_least(0, 100_000), "word pieces of question and block together; 0: as many as in "
      "fine-tuning")
  max_spans: int = setting(8, at_least(1, 100_000), "correct spans used per block")
  table_share: float = setting(
      1 / 3, SHARE, "of the questions, at most, for cells of tables and values of fields; "
      "0: none; in the form of a question only")


@dataclasses.dataclass(frozen=True)
class FinetuneConfig(OptimizerConfig):
  """Open-domain question answering, the index frozen."""
  questions: str = setting("", PATH, "JSONL: question, answer")
  distant_questions: str = setting(
      "", PATH, "JSONL: further questions, whose answers a search found: learnt from, but "
      "not measured by")
  beam_size: int = setting(5000, at_least(1), "blocks in the retriever loss")
  read_blocks: int = setting(5, at_least(1, 100_000), "blocks that the reader reads")
  reader_length: int = setting(
      320, _PAIR_LENGTH, "word pieces of question and block together")
  max_spans: int = setting(8, at_least(1, 100_000), "correct spans used per block")
  read_answer: bool = setting(
      False, None, "read the gold passage, or else the best block of the beam that holds an "
      "answer, in place of the last of read_blocks where none of these is it; as in DPR")
  soup: int = setting(
      1, at_least(1, 100), "trainings, each with the questions in another order, of which "
      "the model is the mean of the weights (model soups, Wortsman et al. 2022)")
  distill: float = setting(
      0.0, at_least(0, 1e6), "weight of the loss by which the retriever learns the reader's "
      "posterior over the read blocks, as in EMDR2; 0: none")
  retriever_rate: float = setting(
      1.0, at_least(0, 1000.0), "the query tower's learning rate, as a share of the "
      "encoder's; 0: it stays as it is")
  fresh_blocks: int = setting(
      0, at_least(0, 100_000), "so many of the first blocks of a beam are embedded anew in "
      "each step, by which the document tower learns; 0: it stays as it is")
  document_rate: float = setting(
      0.1, positive(1000.0), "the document tower's learning rate, as a share of the "
      "encoder's, with fresh_blocks")


@dataclasses.dataclass(frozen=True)
class TaggerConfig(OptimizerConfig):
  """A tagger of salient spans, as Devlin et al. 2019 train theirs; no part of a run."""
  steps: int = setting(100_000, at_least(1), "of training, at most")
  passes: float = setting(3.0, positive(1e6), "Over the sentences.")
  batch_size: int = setting(32, SAMPLE, "Sentences in a step.")
  learning_rate: float = setting(5e-5, positive(10.0), "At its peak, after the warm-up.")
  warmup_steps: int = setting(1000, at_least(0), "a tenth of all at most")
  num_layers: int = setting(
      0, at_least(0, 1000), "Keep only so many first layers of the weights; 0 keeps all.")
  dropout: float = setting(0.1, Range(0.0, 0.9), "in training, as in BERT")
  length: int = setting(
      128, LENGTH, "Word pieces of a sentence that are read at once, special tokens counted.")
  seed: int = setting(0, at_least(0), "Of the order of sentences, and of the new layer.")
