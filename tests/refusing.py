"""Makes the kernel refuse some calls to this process, as file systems do that cannot.

    refuse(renameat2=errno.EINVAL, flock=errno.ENOLCK)

It is a seccomp filter: it holds for all threads that are started afterwards, for C++ too,
and for children. Only on x86-64 Linux; see `can_refuse`.
"""

import ctypes
import errno
import platform
import struct
import sys

_NUMBERS = {"fsync": [74], "flock": [73], "link": [86, 265], "chmod": [90, 91, 268, 452],
            "renameat2": [316]}
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7fff0000, 0x00050000
_SET_SECCOMP, _SET_NO_NEW_PRIVILEGES, _FILTER = 22, 38, 2

# What NFS, FUSE, vfat and exFAT say.
ODD = {"renameat2": errno.EINVAL, "link": errno.ENOSYS, "flock": errno.ENOLCK,
       "chmod": errno.EPERM, "fsync": errno.EINVAL}


class _Program(ctypes.Structure):
  _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def can_refuse() -> bool:
  return sys.platform == "linux" and platform.machine() == "x86_64"


def refuse(**calls: int) -> None:
  """From now on each of these calls fails with that errno."""
  code = [(_LOAD, 0, 0, 0)]
  for name, number in calls.items():
    for call in _NUMBERS[name]:
      code += [(_JUMP_IF_EQUAL, 0, 1, call), (_RETURN, 0, 0, _ERRNO | number)]
  code.append((_RETURN, 0, 0, _ALLOW))
  program = _Program(len(code), b"".join(struct.pack("HBBI", *line) for line in code))
  prctl = ctypes.CDLL(None, use_errno=True).prctl
  if (prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
      or prctl(_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0)):
    raise OSError(ctypes.get_errno(), "this kernel filters no system calls")
