"""How long the fuzz tests try. `make test` takes the profile "short", always the same
examples; `make fuzz` takes "long": FUZZ_EXAMPLES new ones per test, and notes in
`.hypothesis` what failed, to begin with it next time.
"""

import os

from hypothesis import settings

settings.register_profile("short", max_examples=60, derandomize=True, database=None,
                          deadline=None)
settings.register_profile("long", max_examples=int(os.environ.get("FUZZ_EXAMPLES", "2000")),
                          deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))
