"""The demo: questions answered over 10,033 Wikipedia leads, trained on two cores.

    make demo
    realm run --config=configs/demo.py --workdir=runs/demo

Hardware: any x86-64 with two cores and 6 GB of memory; no accelerator. Retriever and reader
start from MiniLM, a sentence encoder. Questions: pub trivia whose answers stand in the leads.
What it printed where is in README.md. REALM's pre-training at this scale, which did not raise
these figures, is in configs/pretraining.py.
"""

from realm_tf import config


def get_config():
  return config.as_config_dict(config.RealmConfig(
      name="demo",
      assets=("minilm", "wiki-leads", "trivia"),
      trivia="{data}/trivia",
      checkpoint_every=80,
      corpus=config.CorpusConfig(source="{data}/wiki-leads/summaries.json",
                                 max_block_tokens=128),
      retriever=config.RetrieverConfig(
          weights="{data}/weights/minilm", pooling="mean", projection_size=384,
          score_scale=20.0, query_length=48, document_length=128),
      encoder=config.EncoderConfig(weights="{data}/weights/minilm"),
      ict=config.ICTConfig(steps=0),
      pretrain=config.PretrainConfig(steps=0),
      dpr=config.DPRConfig(
          steps=1000, passes=2, batch_size=32, learning_rate=5e-5, warmup_steps=10),
      cloze=config.ClozeConfig(
          form="question", steps=200, batch_size=16, read_blocks=2, reader_length=160,
          learning_rate=1e-4, warmup_steps=20),
      finetune=config.FinetuneConfig(
          steps=1000, passes=1.5, batch_size=8, beam_size=200, read_blocks=3,
          reader_length=160, learning_rate=1e-4, warmup_steps=35),
      demo_questions=(
          "What is the capital of Afghanistan?",
          "Who painted the Mona Lisa?",
          "What is the chemical symbol for gold?")))
