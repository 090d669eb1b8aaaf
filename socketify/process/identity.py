"""The user and the group of a process, which it changes when it has bound its sockets."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass
from typing import Optional

#: Numbers from here on are of no user and no group.
_NOBODY = 2**32 - 1


@dataclass(frozen=True)
class Identity:
    """Who the process is to be.

    Args:
        user: its number.
        group: its number.
        name: of the user; None where the system knows none, or the user stays.

    """

    user: int
    group: int
    name: Optional[str]

    def take(self) -> None:
        """Be this user for ever. What root alone may do, as binding ports, has to be done before.

        Raises:
            PermissionError: this process is not root, and is another user or has another group.

        """
        if os.geteuid() == 0:
            if self.name is None:
                os.setgroups([self.group])
            else:
                os.initgroups(self.name, self.group)
        os.setgid(self.group)
        os.setuid(self.user)


def find_identity(user: Optional[str], group: Optional[str]) -> Optional[Identity]:
    """Return who is meant; None for who it is already.

    Args:
        user: name or number; None to stay.
        group: name or number; None for the user's own.

    Raises:
        ValueError: the system does not know the name; the message says which.
        PermissionError: this process may not become another user.

    """
    if user is None and group is None:
        return None
    number, name, primary = os.geteuid(), None, os.getegid()
    if user is not None:
        try:
            entry = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
            number, name, primary = entry.pw_uid, entry.pw_name, entry.pw_gid
        except (KeyError, OverflowError):
            if not user.isdecimal() or int(user) >= _NOBODY or group is None:
                message = f"--user: there is no user {user!r}" + (", so that --group is needed" if user.isdecimal() else "")
                raise ValueError(message) from None
            number = int(user)
    if group is not None:
        try:
            primary = int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
            if primary >= _NOBODY:
                raise KeyError
        except KeyError:
            message = f"--group: there is no group {group!r}"
            raise ValueError(message) from None
    if os.geteuid() != 0 and (number, primary) != (os.geteuid(), os.getegid()):
        message = f"--user and --group: only root may become {user if user is not None else group!r}"
        raise PermissionError(message)
    return Identity(number, primary, name)
