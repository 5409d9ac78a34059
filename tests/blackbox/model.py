# SPDX-License-Identifier: BSD-2-Clause
"""What portmap.8 promises in ACCESS CONTROL, RESOURCE LIMITS and STANDARDS, as
a plain list.  Like rpc.py it is a second opinion: no code of the daemon's is in
here."""
from collections import namedtuple

import rpc
from rpc import PMAP, TCP, UDP, words

ANON = None      # the identity of an anonymous caller, and "no owner"
NOT_KNOWN = -1   # the user of an anonymous caller whose socket is root's
PROTECTED = (100003, 100004, 100005, 100007, 100009, 100011, 100017, 100021,
             100024, 100028, 100069, 100227, 100232, 100300, 390113, 600100069)
ALL, OF_CLASS, OF_UID = 16384, 1024, 256  # entries
SYSTEM = range(1, 1000)

Entry = namedtuple("Entry", "prog vers prot port owner")


class Model:
    def __init__(self):
        self.entries = [Entry(*e, 0) for e in rpc.OWN]
        self.servers = {}  # by (prot, port): the uid and socket bound to it

    def holder(self, e):
        """The uid whose socket is bound to the port of an entry, or None."""
        return self.servers.get((e.prot, e.port), [None])[0]

    def after_set(self, who, user, new):
        """Return the entries after a SET, or None if it is refused.  user: the
        uid of the calling socket."""
        same = next((e for e in self.entries if e[:3] == new[:3]), None)
        own = same is not None and same.owner == who
        identical = same is not None and same.port == new.port
        reserved = new.port < 1024 or new.port == 2049
        holder = self.holder(new)
        if new.prog == PMAP or new.prot not in (TCP, UDP) or \
                not 0 < new.port < 65536 or \
                new.prog in PROTECTED and who != 0 and who not in SYSTEM:
            return None
        if identical and own and who not in (0, ANON):
            return self.entries
        if who != 0:
            if who is ANON and reserved:
                return None
            if (who is ANON or reserved) and holder != user:
                return None
            if any(e.prog == new.prog and e[:4] != new[:4] and
                   self.owns(e, who, user) for e in self.entries):
                return None
            if identical and not own and holder is not None and (
                    holder != user or holder == same.owner):
                return None
            if not own and not self.has_room(who):
                return None
        if own and not identical and self.holder(same) == user or \
                same is None and len(self.entries) >= len(rpc.OWN) + ALL:
            return None
        after = self.entries if same == new else \
            [e for e in self.entries if e is not same] + [new]
        # root takes over the program
        return after if who != 0 else \
            [e for e in after if e.prog != new.prog or e.owner == 0]

    def owns(self, e, who, user):
        """Does this entry make another user own its program?"""
        holder = self.holder(e)
        return holder is not None and (
            e.owner != who or who is ANON and holder != user)

    def has_room(self, who):
        owners = [e.owner for e in self.entries if e.owner != 0]
        return owners.count(who) < OF_UID and OF_CLASS > sum(
            (o in SYSTEM) == (who in SYSTEM) for o in owners)

    def after_unset(self, who, user, prog, vers, prots=(TCP, UDP)):
        gone = [e for e in self.entries
                if e[:2] == (prog, vers) and e.prot in prots]
        if prog == PMAP or who != 0 and any(
                e.owner != who or self.owns(e, who, user) for e in gone):
            return None
        return [e for e in self.entries if e not in gone]

    def getport(self, prog, vers, prot):
        found = [e for e in self.entries if (e.prog, e.prot) == (prog, prot)]
        # min() returns the first of several: the order of registration
        best = min(found, key=lambda e: (e.vers != vers, e.owner != 0),
                   default=None)
        return best.port if best else 0

    def dump(self):
        return b"".join(words(1, *e[:4]) for e in self.entries) + words(0)

    def drop_stale(self):
        self.entries = [e for e in self.entries
                        if e.prog == PMAP or self.holder(e) is not None]
