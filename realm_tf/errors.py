"""The one error that a user can mend."""


class UserError(ValueError):
  """Bad input: one line that names the file, line or field, and what to do.

  The command line prints it and exits with code 2, without a traceback.
  """
