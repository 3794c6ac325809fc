"""Fitting on made-up evidence of known truth, and on what a model read, by plain loops."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.corpus.passages import Passages
from realm_tf.datasets.questions import Question
from realm_tf.evaluation import confidence, fitting, unanswerable
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.evaluation.calibration import Calibration
from realm_tf.evaluation.fitting import AnswerStrings, Dev
from realm_tf.index.exact import ExactIndex
from realm_tf.run.model import initial_model
from tests import tiny

_A = len(fitting._TEMPERATURES)


def _made_up(questions, weight, temperature, seed, strings=12):
  """Scores, and answers that are right as often as the softmax of that rule says.

  Of 3 blocks with 4 spans each, of which some are of the same string.
  """
  rng = np.random.default_rng(seed)
  logit, score = rng.normal(0, 6, [questions, 3, 4]), rng.normal(0, 12, [questions, 3])
  text = rng.integers(0, strings, [questions, 12])
  share = ((logit + weight * score[..., None]) / temperature).reshape(questions, 12)
  share = np.exp(share - share.max(1, keepdims=True))
  share /= share.sum(1, keepdims=True)
  drawn = (share.cumsum(1) < rng.random([questions, 1])).sum(1).clip(0, 11)
  right_text = text[np.arange(questions), drawn]
  string_of_span, owner, right, form = [], [], [], []
  for i in range(questions):
    names = {name: len(owner) + j for j, name in enumerate(dict.fromkeys(text[i]))}
    string_of_span.append([names[name] for name in text[i]])
    owner += [i] * len(names)
    right += [name == right_text[i] for name in names]
    form += map(str, names)
  total = np.log(np.exp(logit[..., None] / fitting._TEMPERATURES).sum(2))
  return logit, score, total, AnswerStrings(np.array(string_of_span), np.array(owner),
                                            np.array(form, object), np.array(right),
                                            np.array(right, float))


def _dev(logit, score, total, strings):
  return Dev(logit, total, score, strings)


def test_probabilities_are_those_of_a_plain_softmax():
  logit, score, total, strings = _made_up(30, 0.5, 2.0, seed=3)
  logit[3] = -np.inf  # a question without a span
  total[3] = -np.inf
  dev = _dev(logit, score, total, strings)
  place = int(np.flatnonzero(fitting._TEMPERATURES == 4)[0])
  for merged in (True, False):
    probabilities = dev.probabilities(0.25, place, merged)
    most, right, f1 = dev.answered(probabilities)
    for i in range(30):
      z = ((logit[i] + 0.25 * score[i][:, None]) / 4).ravel()
      share = np.exp(z) / max(1e-300, np.exp(z).sum())
      mine = np.flatnonzero(strings.owner == i)
      plain = {name: (sum if merged else max)(share[strings.string_of_span[i] == name])
               for name in mine}
      np.testing.assert_allclose(probabilities[mine], [plain[name] for name in mine],
                                 rtol=1e-9)
      best = max(mine, key=lambda name: plain[name])
      assert most[i] == pytest.approx(plain[best])
      assert right[i] == f1[i] == strings.right[best]
  likely = np.clip(np.where(strings.right, probabilities, 1 - probabilities), 1e-7, 1)
  np.testing.assert_allclose(dev.log_loss(probabilities), -np.mean([
      np.log(likely[strings.owner == i]).sum() for i in range(30)]), rtol=1e-6)


@pytest.mark.parametrize("weight, temperature", [(0.25, 4.0), (1.0, 1.0), (0.0, 2.0)])
def test_the_rule_by_which_answers_are_right_is_found(weight, temperature):
  fitted = fitting.fit(_dev(*_made_up(3000, weight, temperature, seed=4)))
  assert fitted.merged and fitted.questions == 3000
  assert fitted.retriever_weight == pytest.approx(weight, rel=0.5, abs=0.04)
  assert fitted.temperature == pytest.approx(temperature, rel=0.3)
  assert fitted.figures["calibration_error"] < 0.04
  # On questions that it has not seen.
  other = _dev(*_made_up(3000, weight, temperature, seed=5))
  place = int(np.argmin(abs(fitting._TEMPERATURES - fitted.temperature)))
  p, right, _ = other.answered(other.probabilities(fitted.retriever_weight, place, True))
  p = confidence.rescaled(p, fitted.slope, fitted.offset)
  assert not fitted.agreement  # no two strings have a word in common
  assert confidence.expected_calibration_error(p, right) < 0.04
  wanted = (1 + right.mean()) / 2
  is_answered = p >= fitted.threshold(wanted)
  assert 0.2 < is_answered.mean() < 0.95
  assert right[is_answered].mean() == pytest.approx(wanted, abs=0.04)


def test_the_lowest_place_of_the_whole_grid_is_found():
  dev = _dev(*_made_up(200, 0.4, 3.0, seed=6))
  fitted = fitting.fit(dev)
  published = dev.answered(dev.probabilities(
      1.0, int(np.flatnonzero(fitting._TEMPERATURES == 1)[0]), False))[1]
  losses = []
  for weight in fitting._WEIGHTS:
    for temperature in range(_A):
      for merged in (True, False):
        p = dev.probabilities(weight, temperature, merged)
        right = dev.answered(p)[1]
        if sum(published) - sum(right) <= sum(published != right) ** 0.5:
          losses.append((dev.log_loss(p), weight, fitting._TEMPERATURES[temperature], merged))
  assert min(losses)[0] == pytest.approx(fitted.figures["log_loss"])


def test_what_loses_answers_is_not_taken():
  """A weight above 1 is surer of 20 answers, and loses 40 that are right by a hair."""
  logit, score = np.zeros([60, 2, 1]), np.zeros([60, 2])  # the first block is right
  logit[:40, 0], score[:40, 0] = 0.012, -0.01
  logit[40:, 0], score[40:, 0] = -10, 5
  total = np.log(np.exp(logit[..., None] / fitting._TEMPERATURES).sum(2))
  dev = _dev(logit, score, total, AnswerStrings(
      np.arange(120).reshape(60, 2), np.repeat(np.arange(60), 2),
      np.array(["x", "y"] * 60, object), *[np.tile([True, False], 60)] * 2))
  fitted = fitting.fit(dev)
  assert fitted.retriever_weight <= 1
  assert fitted.figures["exact_match"] == fitted.figures["exact_match_published"] == 2 / 3
  surer = dev.probabilities(8.0, 8, False)
  assert dev.log_loss(surer) < fitted.figures["log_loss"]
  assert dev.answered(surer).right.sum() == 20


def _of_strings(shares, right):
  """Dev of questions whose spans have these shares, by string; `right` is of each."""
  questions = [Question(str(i), "?", (text,)) for i, text in enumerate(right)]
  logit = np.tile(np.log(list(shares.values())), [len(right), 1, 1])
  total = np.log(np.exp(logit[..., None] / fitting._TEMPERATURES).sum(2))
  return Dev(logit, total, np.zeros([len(right), 1]), fitting.strings(
      questions, [[text.encode() for text in shares]] * len(right)))


def test_an_answer_that_is_right_in_several_forms_is_as_sure_as_it_is_often_right():
  """Three forms of what is right two times of three: each is less probable than that."""
  shares = {"Obama": 0.4, "Barack Obama": 0.3, "President Obama": 0.3}
  text = [form.encode() for form in shares]
  logit = np.tile(np.log(list(shares.values())), [300, 1, 1])
  total = np.log(np.exp(logit[..., None] / fitting._TEMPERATURES).sum(2))
  def fit(count):
    questions = [Question(str(i), "?", tuple(shares) if i % 3 else ("Nixon",))
                 for i in range(count)]
    return fitting.fit(Dev(logit[:count], total[:count], np.zeros([count, 1]),
                           fitting.strings(questions, [text] * count)))
  fitted, few = fit(300), fit(99)
  assert fitted.figures["exact_match"] == pytest.approx(2 / 3)
  assert fitted.curve[-1].threshold == pytest.approx(2 / 3, abs=0.03)
  assert fitted.figures["calibration_error"] < 0.03
  assert not few.rescales and few.figures["calibration_error"] > 0.2


def test_agreement_is_taken_where_answers_are_better_and_no_match_is_lost():
  variants = {"McCain": 0.28, "Obama": 0.24, "Barack Obama": 0.26, "Barack H. Obama": 0.22}
  right = ["Barack Obama"] * 25 + ["Obama"] * 10 + ["McCain"] * 15
  fitted = fitting.fit(_of_strings(variants, right))
  assert fitted.agreement and fitted.figures["exact_match"] == 0.5
  assert fitted.figures["f1"] == pytest.approx((25 + 10 * 2 / 3) / 50)
  assert fitted.figures["exact_match_most_probable"] == 0.3 == fitted.figures[
      "f1_most_probable"]
  # Its curve is of the answers that are given.
  assert fitted.curve[-1].precision == 0.5 and fitted.curve[-1].coverage == 1
  worse = fitting.fit(_of_strings(variants, ["McCain"] * 30 + ["Obama"] * 20))
  assert not worse.agreement and worse.figures["exact_match"] == 0.6


def test_agreement_that_loses_matches_is_not_taken_whatever_its_f1():
  shares = {"x": 0.28, "b c z": 0.25, "b c z e": 0.235, "b f c z": 0.235}
  fitted = fitting.fit(_of_strings(shares, ["x"] * 10 + ["b c d z"] * 50))
  assert fitted.figures["f1_agreeing"] == pytest.approx(50 / 60 * 6 / 7)
  assert fitted.figures["f1_most_probable"] == pytest.approx(1 / 6)
  assert fitted.figures["exact_match_agreeing"] == 0 and not fitted.agreement
  assert fitted.figures["exact_match"] == pytest.approx(1 / 6)


def test_where_nothing_is_right_nothing_is_probable():
  logit, score, total, strings = _made_up(40, 1, 1, seed=7)
  fitted = fitting.fit(_dev(logit, score, total, strings._replace(
      right=np.zeros_like(strings.right))))
  assert fitted.temperature == fitting._TEMPERATURES[-1]
  assert all(point.precision == 0 for point in fitted.curve)


def test_answers_are_judged_by_the_published_rule():
  questions = [Question("1", "?", ("The Beatles", "%")), Question("2", "?", ("b.*s",), True)]
  strings = fitting.strings(questions, [[b"beatles!", b"Rome", b"the Beatles", b"%"],
                                        [b"Beatles", b"the", b"a", b""]])
  assert strings.string_of_span.tolist() == [[0, 1, 0, 2], [3, 4, 5, 6]]
  assert strings.owner.tolist() == [0, 0, 0, 1, 1, 1, 1]
  assert strings.right.tolist() == [True, False, True, True, False, False, False]
  assert strings.form.tolist() == ["beatles", "rome", "%", "beatles", "the", "a", ""]
  assert strings.f1.tolist() == [1, 0, 1, 0, 0, 0, 0]  # of patterns there is none


@pytest.fixture(name="answerer", scope="module")
def _answerer(tmp_path_factory):
  folder = tmp_path_factory.mktemp("fitting")
  corpus = tiny.make_corpus(folder / "corpus")
  model = initial_model(tiny.make_config(folder), corpus.tokenizer)
  table = np.random.default_rng(5).normal(size=[corpus.num_blocks, 16]).astype(np.float32)
  index = ExactIndex()
  index.assign(table, 0)
  return QuestionAnswerer(model, corpus, Passages(corpus), index, 3)


def _questions():
  return [Question(city, f"{word} is the capital of {country}?", (city, country.lower()))
          for word in ("what", "which") for city, country in tiny.CITIES.items()]


def test_dev_holds_what_answering_says(answerer, monkeypatch):
  """By any rule: of blocks all of whose spans are kept."""
  monkeypatch.setattr(fitting, "_SPANS", 1000)
  monkeypatch.setattr("realm_tf.evaluation.answering._SPANS", 3000)
  questions = _questions()[:7]
  dev = fitting.collect_dev(answerer, questions, batch_size=3)
  for weight, place, merged, agreement in (
      (1.0, 8, False, False), (0.25, 11, True, False), (0.25, 11, True, True),
      (0.5, 20, False, True)):
    rule = Calibration(weight, float(fitting._TEMPERATURES[place]), merged, agreement,
                       slope=0.9, offset=0.4)
    monkeypatch.setattr(answerer, "calibration", rule)
    answers = answerer.answer(tf.constant([question.question for question in questions]))
    p, right, _ = dev.answered(dev.probabilities(weight, place, merged), agreement)
    np.testing.assert_allclose(confidence.rescaled(p, 0.9, 0.4), answers.probability,
                               rtol=1e-3)
    assert right.tolist() == [
        text.decode().lower() in map(str.lower, question.answers)
        for text, question in zip(answers.answer.numpy(), questions)]


def test_questions_are_unanswerable_without_their_blocks(answerer):
  questions = [*_questions()[:3], Question("x", "who?", ("nowhere",)),
               Question("y", "who?", (".",))]  # in all blocks: nothing would be left
  holding = unanswerable.blocks_with_answers(answerer, questions)
  texts = answerer.corpus.texts.tolist()
  for question, rows in zip(questions[:4], holding):
    assert rows.tolist() == [i for i, text in enumerate(texts) if any(
        answer.lower() in text.decode().lower() for answer in question.answers)]
  assert [len(rows) > 0 for rows in holding] == [True, True, True, False, True]
  figures = unanswerable.unanswerable_figures(answerer, questions, [0.9, 0.8, 0.0, 0.5, 0.5],
                                              0.6, 2)
  assert figures == {"unanswerable_auc": pytest.approx(2 / 3), "refused_unanswerable": 1.0,
                     "refused_answerable": pytest.approx(1 / 3)}
  assert unanswerable.unanswerable_figures(answerer, questions[3:4], [0.5], None, 2) == {}
