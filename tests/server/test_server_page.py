"""The page in a real browser: what is shown, the keyboard, the address, a phone, the dark.

Needs Chromium (apt-get install chromium); accessibility is checked by axe-core where the
environment's AXE_CORE names its axe.min.js (npm pack axe-core).
"""

import os
import pathlib
import socket
import threading

import pytest
import uvicorn

from realm_tf.server.app import make_app
from realm_tf.server.batching import Batcher
from realm_tf.server.prometheus import Gauges
from realm_tf.server.server_settings import Batching, Limits
from realm_tf.server.service import Service
from tests.server import browser as chromium

pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    not chromium.CHROMIUM, reason="Chromium is not installed")]

# Characters of more than one UTF-16 unit before the answer, and markup that is none.
_TEXT = ("\U0001f600\U0001f600 <b>Hamlet</b> <script>document.title='bad'</script> was "
         "written by William Shakespeare in London.")
_OTHER = "The Globe <img src=x onerror=alert(1)> Theatre"
_SCREENSHOTS = os.environ.get("SCREENSHOTS")  # a folder, for whoever wants to look


def _span(answer, probability, row, passage, title):
  start = passage.index(answer)
  return {"answer": answer, "probability": probability, "row": row, "passage": passage,
          "title": title, "passage_id": f"doc-{row}", "score": 1.0, "start": start,
          "end": start + len(answer), "start_byte": 0, "end_byte": 0}


class _Model:
  number, signatures, mark, reads, calibrated = 1, {}, (), True, True

  def answer(self, questions, passages, top_n, threshold, precision):
    answers = [_span("William Shakespeare", 0.83, 1, _TEXT, "Hamlet"),
               _span("Globe", 0.004, 2, _OTHER, "<i>Globe</i>")]
    answerable = answers[0]["probability"] >= (threshold or 0)
    best = answers[0] | {"answerable": answerable, "answers": answers[:top_n]}
    best |= {} if answerable else {"answer": "", "end": best["start"]}
    listed = [{**{name: span[name] for name in ("row", "passage", "title", "passage_id",
                                                "score")}, "probability": share}
              for span, share in zip(answers, (0.75, 0.25))]
    best["calibrated"] = self.calibrated
    return [best | {"passages": listed[:passages]} for _ in questions]

  def search(self, questions, k):
    del k
    return [self.answer(questions, 2, 1, 0, None)[0]["passages"] for _ in questions]


class _Lifecycle:
  current, is_ready = _Model(), True

  def states(self):
    return []


@pytest.fixture(name="address", scope="module")
def _address():
  batcher = Batcher(Batching())
  app = make_app(Service("realm", _Lifecycle(), batcher, Limits()), Gauges())
  server = uvicorn.Server(uvicorn.Config(app, http="httptools", lifespan="off",
                                         log_config=None))
  with socket.create_server(("127.0.0.1", 0)) as listener:
    port = listener.getsockname()[1]
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()
  batcher.close()


@pytest.fixture(name="page", scope="module")
def _page(tmp_path_factory):
  with chromium.browser(tmp_path_factory.mktemp("chromium")) as page:
    yield page


def _ask(page, address, query="?q=Who+wrote+Hamlet%3F"):
  page.open(f"{address}/{query}")
  page.wait("!document.getElementById('result').hidden")


def _text(page, selector):
  return page.look(f"document.querySelector({selector!r})?.innerText")


def test_an_answer_is_marked_in_its_passage(page, address):
  _ask(page, address)
  assert _text(page, ".answer") == "William Shakespeare"
  assert _text(page, ".sure").strip() == "83 % sure"
  assert _text(page, "mark") == "William Shakespeare"
  assert page.look("document.querySelector('.passage').textContent") == _TEXT
  assert page.look("document.querySelector('#status').textContent") == (
      "Answer: William Shakespeare, 83 % sure.")
  others = page.look("document.querySelector('#result').lastChild.innerText")
  assert "<i>Globe</i> · doc-2 · p(z|x) 25 %" in others and _OTHER in others


def test_what_is_not_calibrated_is_no_percentage(page, address, monkeypatch):
  monkeypatch.setattr(_Model, "calibrated", False)
  _ask(page, address)
  assert _text(page, ".sure").strip() == "score 0.83, not calibrated"
  assert [text for text in ("83 %", "sure") if text in page.look(
      "document.querySelector('#result').innerText")] == []
  assert page.look("document.querySelector('#status').textContent") == (
      "Answer: William Shakespeare, score 0.83, not calibrated.")
  _ask(page, address, "?q=Who&t=0.9")
  assert "score 0.83, not calibrated, which is not enough" in _text(page, ".none")


def test_documents_are_text_and_never_markup(page, address):
  _ask(page, address)
  assert page.look("document.title") == "Who wrote Hamlet? · Ask"
  markup = "#result script, #result img, #result i"
  assert page.look(f"document.querySelectorAll('{markup}').length") == 0


def test_no_answer_is_said_clearly(page, address):
  _ask(page, address, "?q=Who&t=0.9")
  assert _text(page, ".none .answer") == "No answer"
  assert "“William Shakespeare”, 83 % sure" in _text(page, ".none")
  assert page.look("document.querySelectorAll('mark').length") == 0
  assert page.look("document.querySelector('#options').open")


def test_without_a_reader_there_are_passages_and_no_answers(page, address, monkeypatch):
  monkeypatch.setattr(_Model, "reads", False)
  _ask(page, address)
  assert _text(page, ".none .answer") == "No reader"
  assert page.look("document.querySelectorAll('mark, .percent').length") == 0
  text = page.look("document.querySelector('#result').lastChild.innerText")
  assert "Hamlet · doc-1 · p(z|x) 75 %" in text and _OTHER in text
  assert page.look("document.querySelector('#error').hidden")


def test_the_keyboard_and_the_address(page, address):
  page.open(f"{address}/")
  assert page.look("document.activeElement.id") == "question"
  page.type("Who is he?")
  page.press("Enter", 13)
  page.wait("location.search === '?q=Who+is+he%3F'")
  page.wait("document.title === 'Who is he? · Ask'")
  page.wait("!document.querySelector('#result').hidden")
  page.look("history.back()")
  page.wait("location.search === '' && document.querySelector('#result').hidden")
  assert page.look("document.querySelector('#question').value") == ""
  page.look("history.forward()")
  page.wait("!document.querySelector('#result').hidden")
  assert page.look("document.querySelector('#question').value") == "Who is he?"


def test_an_error_is_said(page, address):
  page.open(f"{address}/?q=%E2%80%8B")  # a zero-width space
  page.wait("!document.getElementById('error').hidden")
  assert _text(page, "#error") == "question is empty or blank; expected a question"
  assert page.look("document.querySelector('#result').hidden")


def _views():
  for name, width, height, mobile in (("desktop", 1100, 900, False),
                                      ("phone", 360, 760, True)):
    for scheme in ("light", "dark"):
      yield pytest.param(width, height, mobile, scheme, id=f"{name}-{scheme}")


@pytest.mark.parametrize("width, height, mobile, scheme", _views())
def test_views(page, address, request, width, height, mobile, scheme):
  page("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
       mobile=mobile)
  page("Emulation.setEmulatedMedia", features=[
      {"name": "prefers-color-scheme", "value": scheme},
      {"name": "prefers-reduced-motion", "value": "reduce"}])
  for name, query in (("answer", "?q=Who+wrote+Hamlet%3F"), ("none", "?q=Who&t=0.9")):
    _ask(page, address, query)
    if _SCREENSHOTS:
      page.screenshot(pathlib.Path(_SCREENSHOTS) / f"{request.node.callspec.id}-{name}.png")
    assert page.look("document.documentElement.scrollWidth <= innerWidth")
    background = page.look("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(246, 245, 242)") == (scheme == "light")
    _check_accessibility(page)
  page.open(f"{address}/docs")
  assert page.look("document.documentElement.scrollWidth <= innerWidth")
  _check_accessibility(page)


def _check_accessibility(page):
  source = os.environ.get("AXE_CORE")
  if source:
    page.look(pathlib.Path(source).read_text() + "; 0")
    wrong = page.look("axe.run().then((found) => found.violations.map((one) => `${one.id}: "
                      "${one.nodes.map((node) => node.html).join(' ')}`))")
    assert wrong == []


def test_accessibility_is_checked():
  if not os.environ.get("AXE_CORE"):
    pytest.skip("AXE_CORE names no axe.min.js: accessibility is not checked")
