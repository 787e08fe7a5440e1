"""Who is at work: the name that stands in the registry's log unless another is given."""

from __future__ import annotations

import getpass

from churn.errors import SettingsError


def who_am_i() -> str:
    """The name of the operating system's user; SettingsError where it has none, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # what is raised for a user number without a name depends on the release of Python
        raise SettingsError("nobody is logged in by name", where="USER", to_do="Set it, or give --who.") from None
