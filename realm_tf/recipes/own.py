"""Own documents, with questions or without: what `realm init` writes a config of.

    realm init runs/mine --documents=PATH --questions=FILE && realm run --workdir=runs/mine

Both models start from MiniLM, a sentence encoder that finds passages as it is; vectors hold
the words of a text besides (`lexical_size`). From documents alone the span head learns by
questions made of their sentences (`cloze`); people's questions train the retriever (`dpr`),
then the reader (`finetune`). Stages have so many passes over what there is to learn from, so
that 300 documents and 26,000 are served by one recipe; `steps` bounds their time. From fewer
than 90 questions the retriever learns nothing, since none are spared to choose its best state
by, and 40 did not help it.
"""

from realm_tf import config


def get_config(documents="", questions="", eval_questions="", data="", name="own"):
  """The config, as what `as_config_dict` returns: fields of it may be assigned to.

  Args:
    documents: file or folder; see docs/data.md.
    questions: JSONL with question and answer, to train on; "": none.
    eval_questions: to measure by; "": a share of those to train on.
    data: folder of the weights that are downloaded; "": the user's cache.
    name: of the run, in its report.
  """
  asked = bool(questions)
  return config.as_config_dict(config.RealmConfig(
      name=name, data=data, assets=("minilm",), checkpoint_every=100,
      corpus=config.CorpusConfig(source=documents, max_block_tokens=224),
      retriever=config.RetrieverConfig(
          weights="{data}/weights/minilm", pooling="mean", projection_size=384,
          lexical_size=384, score_scale=20.0, precision="auto", dropout=0.1, query_length=64,
          document_length=224),
      encoder=config.EncoderConfig(weights="{data}/weights/minilm", dropout=0.1),
      ict=config.ICTConfig(steps=0),
      pretrain=config.PretrainConfig(steps=0),
      dpr=config.DPRConfig(
          steps=2000 if asked else 0, passes=4.0, batch_size=32, learning_rate=5e-5,
          warmup_steps=20, hard_negatives=1, least_questions=90),
      cloze=config.ClozeConfig(
          form="question", steps=300 if asked else 600, passes=100.0, batch_size=16,
          read_blocks=2, learning_rate=1e-4, warmup_steps=30),
      finetune=config.FinetuneConfig(
          questions=questions, steps=2000 if asked else 0, passes=6.0, batch_size=12,
          beam_size=500, read_blocks=5, read_answer=True, reader_length=256,
          retriever_rate=0.0, learning_rate=1e-4, warmup_steps=30),
      evaluate=config.EvaluateConfig(questions=eval_questions, share=0.2)))
