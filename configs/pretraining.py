"""All of REALM at a small scale: ICT, reading, pre-training and fine-tuning on leads.

    realm run --config=configs/pretraining.py --workdir=runs/pretraining

Hardware: any x86-64 with two cores and 4 GB of memory; no accelerator. Both models
start from BERT-tiny (2 layers, 128 wide). Questions: pub trivia whose answers stand
in the leads. It was the demo once, but with scores of D cosines; what its stages are worth
with 20 has not been measured. benchmarks/ablations.py has what pre-training is worth.
"""

from realm_tf import config


def get_config():
  return config.as_config_dict(config.RealmConfig(
      name="pretraining",
      assets=("bert-tiny", "wiki-leads", "trivia"),
      trivia="{data}/trivia",
      checkpoint_every=80,
      corpus=config.CorpusConfig(source="{data}/wiki-leads/summaries.json",
                                 max_block_tokens=128),
      retriever=config.RetrieverConfig(
          weights="{data}/weights/bert-tiny", pooling="mean", score_scale=20.0,
          query_length=48, document_length=128),
      encoder=config.EncoderConfig(weights="{data}/weights/bert-tiny", span_hidden_size=64),
      ict=config.ICTConfig(steps=400, batch_size=64, learning_rate=5e-4, warmup_steps=40),
      reading=config.ReadingConfig(steps=600, batch_size=32, learning_rate=1e-3,
                                   warmup_steps=20, candidates=1),
      pretrain=config.PretrainConfig(
          steps=160, batch_size=16, candidates=6, learning_rate=3e-4, warmup_steps=20,
          retriever_rate=0.1, query_length=48, encoder_length=160, span_blocks=(2, 60)),
      refresh=config.RefreshConfig(every=40, max_staleness=80),
      diagnosis=config.DiagnosisConfig(every=80, sentences=16, blocks=256),
      finetune=config.FinetuneConfig(
          steps=350, batch_size=8, beam_size=500, read_blocks=5, reader_length=160,
          learning_rate=5e-4, warmup_steps=35),
      evaluate=config.EvaluateConfig(masked_sentences=480),
      demo_questions=(
          "What is the capital of Afghanistan?",
          "Who wrote the play Romeo and Juliet?",
          "Which planet is the largest in the Solar System?")))
