# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""A log of tests as they begin and end, for machines that are lent for minutes.

    python -m pytest -v -p tests.watched --watched=FILE tests/...

FILE has a line as soon as a test begins and as soon as it ends, with the seconds since pytest
began, the outcome, how long it took, and why it failed. So it tells, too, when pytest was
killed, which tests had not ended. With `-v` seconds are printed beside each outcome.
"""

import pathlib
import time

import pytest


def pytest_addoption(parser) -> None:
  parser.addoption("--watched", help="Where to write when tests begin and end.")


def pytest_configure(config) -> None:
  path = config.getoption("--watched")
  if path and not hasattr(config, "workerinput"):  # of several processes the first alone
    config.pluginmanager.register(_Watch(pathlib.Path(path)))


@pytest.hookimpl(wrapper=True)
def pytest_report_teststatus(report):
  status = yield
  category, letter, word = status
  if not isinstance(word, str) or not word:
    return status
  return category, letter, f"{word} {report.duration:.1f} s"


class _Watch:
  """Writes what is told of tests, also by other processes of xdist."""

  def __init__(self, path: pathlib.Path):
    path.parent.mkdir(parents=True, exist_ok=True)
    self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115
    self._begun = time.monotonic()
    self._running: dict[str, float] = {}  # tests, and when they began
    self._outcomes: dict[str, str] = {}

  def pytest_runtest_logstart(self, nodeid: str) -> None:
    self._running[nodeid] = time.monotonic()
    self._write(f"begins           {nodeid}")

  def pytest_runtest_logreport(self, report) -> None:
    name = report.nodeid
    if report.outcome != "passed":
      self._outcomes[name] = report.outcome
      if report.failed:
        self._write(f"why              {name}\n{report.longreprtext}")
    # Where a process died in a test there is one report of neither part of it.
    if report.when not in ("setup", "call"):
      seconds = time.monotonic() - self._running.pop(name, time.monotonic())
      self._write(f"{self._outcomes.get(name, 'passed'):8s}{seconds:7.1f}  {name}")

  def pytest_sessionfinish(self) -> None:
    now = time.monotonic()
    for name, began in self._running.items():
      self._write(f"not over{now - began:7.1f}  {name}")
    self._write("end")
    self._file.flush()

  def _write(self, line: str) -> None:
    self._file.write(f"{time.monotonic() - self._begun:7.1f}  {line}\n")
    self._file.flush()
