"""Our models against Hugging Face's REALM: random weights, its numbers.

The reference checkpoints are not part of the project: without them this skips.
"""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from realm_tf import files
from realm_tf.config import EncoderConfig
from realm_tf.models import losses, weights
from realm_tf.models.bert import BertConfig
from realm_tf.models.encoder import KnowledgeEncoder
from realm_tf.models.retriever import Tower
from realm_tf.text.inputs import Packed

REFERENCE = pathlib.Path(__file__).parents[3] / "shared" / "parity" / "seed0"
pytestmark = pytest.mark.skipif(
    not REFERENCE.exists(), reason="the reference checkpoints are not on this machine")


@pytest.fixture(name="io", scope="module")
def _io():
  return dict(np.load(REFERENCE / "io.npz"))


def _packed(io, name):
  flat = lambda part: io[f"{name}_{part}"].reshape(-1, io[f"{name}_{part}"].shape[-1])
  ids = tf.constant(flat("ids"), tf.int32)
  return Packed(ids, tf.constant(flat("mask") > 0), tf.constant(flat("segments"), tf.int32),
                tf.zeros([len(ids)], tf.int32))


def _tower(folder, prefix, packed):
  tower = Tower(BertConfig.from_folder(REFERENCE / folder), "pooler",
                files.read_json(REFERENCE / folder / "config.json")["retriever_proj_size"])
  tower(packed)
  weights.load(REFERENCE / folder / "model.safetensors",
               weights.tower_names(tower, prefix))
  return tower


def _encoder(folder, packed):
  values = files.read_json(REFERENCE / folder / "config.json")
  encoder = KnowledgeEncoder(
      EncoderConfig(span_hidden_size=values["span_hidden_size"],
                    max_span_width=values["max_span_width"]),
      BertConfig.from_folder(REFERENCE / folder))
  one = tf.zeros([len(packed.ids), 1], tf.int32)
  encoder.mask_log_probs(packed, one, one, tf.ones([len(packed.ids), 1]))
  encoder.span_logits(packed)
  return encoder


def test_embedder(io):
  packed = _packed(io, "embedder")
  np.testing.assert_allclose(_tower("embedder", "", packed)(packed),
                             io["embedder_projected"], atol=1e-5)


def test_scorer(io):
  queries, documents = _packed(io, "scorer_query"), _packed(io, "scorer_doc")
  tower = _tower("scorer", "embedder.", queries)
  shape = io["scorer_relevance"].shape
  relevance = tf.einsum("bd,bkd->bk", tower(queries),
                        tf.reshape(tower(documents), [*shape, -1]))
  np.testing.assert_allclose(relevance, io["scorer_relevance"], atol=1e-4)


def test_masked_lm_loss_and_gradients(io):
  packed = _packed(io, "encoder")
  encoder = _encoder("encoder", packed)
  weights.load(REFERENCE / "encoder" / "model.safetensors",
               weights.bert_names(encoder.bert, "realm.")
               | weights.masked_lm_names(encoder.masked_lm))
  size, candidates = io["encoder_relevance"].shape
  mask = io["encoder_mlm_mask"]
  most = int(mask.sum(1).max())
  positions = np.argsort(-mask, axis=1, kind="stable")[:, :most]
  real = np.take_along_axis(mask, positions, 1).astype(np.float32)
  labels = np.take_along_axis(io["encoder_labels"], positions, 1)
  repeat = lambda value: np.repeat(value, candidates, axis=0)
  relevance = tf.Variable(io["encoder_relevance"])
  with tf.GradientTape() as tape:
    log_probs = encoder.mask_log_probs(
        packed, tf.constant(repeat(positions), tf.int32),
        tf.constant(repeat(labels), tf.int32), tf.constant(repeat(real)))
    log_probs = tf.reshape(log_probs, [size, candidates, most])
    loss = (tf.reduce_sum(losses.per_mask_loss(relevance, log_probs, tf.constant(real)))
            / real.sum())
  by_relevance, by_words = tape.gradient(loss, [relevance, encoder.bert.word_embeddings])
  # The reference's logits at the masked positions, as an independent way there.
  logits = io["encoder_logits"].reshape(size, candidates, *io["encoder_logits"].shape[1:])
  for b, j in np.argwhere(real > 0):
    row = logits[b, :, positions[b, j]].astype(np.float64)
    expected = row[:, labels[b, j]] - np.log(np.exp(row).sum(-1))
    np.testing.assert_allclose(log_probs[b, :, j], expected, atol=1e-4)
  np.testing.assert_allclose(loss, io["encoder_loss_per_mask"], atol=1e-5)
  np.testing.assert_allclose(by_relevance, io["encoder_grad_relevance"], atol=1e-5)
  np.testing.assert_allclose(tf.convert_to_tensor(by_words),
                             io["encoder_grad_word_embeddings"], atol=1e-4)
