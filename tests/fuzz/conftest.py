"""How long the fuzz tests try. `make test` takes the profile "short", always the same
examples; `make fuzz` takes "long": FUZZ_EXAMPLES new ones per test, and notes in
`.hypothesis` what failed, to begin with it next time.
"""

import os

from hypothesis import settings

# On top of tests/conftest.py's.
_PATIENT = settings.get_profile("patient")
settings.register_profile("short", _PATIENT, max_examples=60, derandomize=True, database=None)
settings.register_profile("long", _PATIENT, print_blob=True,
                          max_examples=int(os.environ.get("FUZZ_EXAMPLES", "2000")))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))
