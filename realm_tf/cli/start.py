"""What `realm` begins with, before anything is imported: its streams are open, and Ctrl-C is
answered in one line."""

import os
import signal
import sys


def main() -> None:
  open_closed_streams()
  try:
    from realm_tf.cli import main as commands
    commands.main()
  except KeyboardInterrupt:
    print("realm: stopped; run the same command to go on", file=sys.stderr)
    sys.exit(128 + signal.SIGINT)


def open_closed_streams() -> None:
  """Lets a standard stream that was closed lead nowhere.

  Else the next file that is opened has its number, and gets what libraries write there.
  """
  for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
    if getattr(sys, name) is None:
      setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # the lowest free number


if __name__ == "__main__":
  main()
