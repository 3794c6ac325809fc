"""Lines that begin something new: fields ("Extension: 102"), and items of a list.

Plain text is wrapped, so that a line feed alone parts nothing; before such a line it does.
The patterns mean the same to `re`, also in bytes, and to RE2.
"""

_MARK = r"(?:[-*+•·–]|[0-9]{1,3}[.)])[ \t]+"
# What no key has in it, but in a time ("Calls after 18:00"), and what it does not begin with,
# since a line may go on so.
_NOT_IN = ":;!?|\\n\"{}<>="
_KEY = rf"[^{_NOT_IN}a-z0-9\s,.()'\[\]](?:[^{_NOT_IN}]|:[0-9]){{0,49}}"
ITEM = rf"[ \t]*{_MARK}"
# The groups are the key and the value.
FIELD = rf"[ \t]*(?:{_MARK})?({_KEY})[ \t]*:[ \t]+([^\s].*)"
# A line that begins so goes on with nothing that stood before it.
BEGINS = rf"(?:{ITEM}|[ \t]*{_KEY}:[ \t])"
