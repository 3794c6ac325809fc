"""Chromium without a window, spoken to over a pipe (the DevTools protocol)."""

import base64
import contextlib
import json
import os
import shutil
import subprocess

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
  """One page. Commands are those of the DevTools protocol."""

  def __init__(self, read, write):
    self._read, self._write, self._number = read, write, 0
    self._session = None
    target = self("Target.createTarget", url="about:blank")["targetId"]
    self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

  def __call__(self, method, **parameters):
    self._number += 1
    message = {"id": self._number, "method": method, "params": parameters}
    if self._session:
      message["sessionId"] = self._session
    self._write.write(json.dumps(message).encode() + b"\0")
    self._write.flush()
    while True:
      reply = self._next()
      if reply.get("id") == self._number:
        assert "error" not in reply, reply
        return reply["result"]

  def _next(self):
    data = bytearray()
    while (byte := self._read.read(1)) != b"\0":
      assert byte, "Chromium is gone"
      data += byte
    return json.loads(data)

  def look(self, code):
    """The value of some JavaScript; a promise is waited for."""
    evaluated = self("Runtime.evaluate", expression=code, awaitPromise=True,
                     returnByValue=True)
    assert "exceptionDetails" not in evaluated, evaluated
    return evaluated["result"].get("value")

  def wait(self, code):
    """Until it is true, as the page itself sees it after each frame."""
    assert self.look(f"""new Promise((resolve, reject) => {{
      const until = performance.now() + 1800000;
      (function again() {{
        if ({code}) resolve(true);
        else if (performance.now() > until) resolve(false);
        else setTimeout(again, 20);
      }})();
    }})"""), code

  def open(self, url):
    self("Page.navigate", url=url)
    self.wait(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

  def press(self, key, code):
    for kind in ("rawKeyDown", "char", "keyUp"):
      text = {"text": "\r"} if kind == "char" and key == "Enter" else {}
      if kind != "char" or text:
        self("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)

  def type(self, text):
    self("Input.insertText", text=text)

  def screenshot(self, path):
    path.write_bytes(base64.b64decode(self("Page.captureScreenshot")["data"]))


@contextlib.contextmanager
def browser(folder):
  """A fresh Chromium with its files in `folder`."""
  (read_theirs, write_ours), (read_ours, write_theirs) = os.pipe(), os.pipe()

  def fds():
    os.dup2(read_theirs, 3)
    os.dup2(write_theirs, 4)

  # Descriptors 3 and 4 are the protocol's.
  command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             "--remote-debugging-pipe", "--no-first-run", "--disable-dev-shm-usage",
             f"--user-data-dir={folder}"]
  with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL, preexec_fn=fds,
                        pass_fds=(3, 4, read_theirs, write_theirs)) as process:
    os.close(read_theirs)
    os.close(write_theirs)
    with open(read_ours, "rb", buffering=0) as read, open(write_ours, "wb") as write:
      try:
        yield Browser(read, write)
      finally:
        process.kill()
