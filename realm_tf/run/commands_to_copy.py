"""Commands that messages name: whole, so that they run where they are pasted."""

import shlex

from realm_tf.files import PathLike


def command(name: str, run: PathLike, *words: str) -> str:
  """`realm NAME --workdir=RUN ...` in backquotes, quoted where a shell needs it."""
  quoted = [shlex.quote(word) for word in (f"--workdir={run}", *words)]
  return f"`realm {name} {' '.join(quoted)}`"
