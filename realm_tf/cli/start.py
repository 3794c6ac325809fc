"""What `realm` begins with: Ctrl-C is answered in one line while it is still imported."""

import signal
import sys


def main() -> None:
  try:
    from realm_tf.cli import main as commands
    commands.main()
  except KeyboardInterrupt:
    print("realm: stopped; run the same command to go on", file=sys.stderr)
    sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
  main()
