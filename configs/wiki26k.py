"""Question answering over the 26,209 passages of a folder in the format of wiki26k."""

from realm_tf import config


def get_config(size: str = "full"):
  short = size == "short"
  return config.as_config_dict(config.RealmConfig(
      name=f"wiki26k {size}",
      data="data/wiki26k", assets=("minilm",), assets_folder="data",
      checkpoint_every=50,
      corpus=config.CorpusConfig(source="{data}/corpus.jsonl.gz", max_block_tokens=224),
      retriever=config.RetrieverConfig(
          weights="data/weights/minilm", pooling="mean", projection_size=384,
          score_scale=20.0, query_length=64, document_length=224),
      encoder=config.EncoderConfig(weights="data/weights/minilm"),
      ict=config.ICTConfig(steps=0),
      pretrain=config.PretrainConfig(steps=0),
      dpr=config.DPRConfig(
          steps=200 if short else 800, batch_size=32, learning_rate=5e-5, warmup_steps=20,
          mine_every=0 if short else 200),
      finetune=config.FinetuneConfig(
          questions="{data}/qa.train.jsonl.gz", steps=300, batch_size=12, beam_size=500,
          read_blocks=5, reader_length=224, learning_rate=1e-4, warmup_steps=30),
      evaluate=config.EvaluateConfig(questions="{data}/qa.dev.jsonl.gz")))
