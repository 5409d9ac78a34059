# SPDX-License-Identifier: BSD-2-Clause
"""What portmap.8 promises in ACCESS CONTROL, RESOURCE LIMITS and STANDARDS, as
a plain list.  Like rpc.py it is a second opinion: no code of the daemon's is in
here."""
from collections import namedtuple

import rpc
from rpc import PMAP, TCP, UDP, words

ANON = None      # the identity of an anonymous caller, and "no owner"
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
        identical = own and same.port == new.port
        reserved = new.port < 1024 or new.port == 2049
        if new.prog == PMAP or new.prot not in (TCP, UDP) or \
                not 0 < new.port < 65536 or \
                new.prog in PROTECTED and user != 0 and user not in SYSTEM:
            return None
        if identical and who not in (0, ANON):
            return self.entries
        if who != 0:
            if who is ANON and reserved:
                return None
            if (who is ANON or reserved) and self.holder(new) != user:
                return None
            if any(e.prog == new.prog and self.is_foreign(e, who, user)
                   for e in self.entries):
                return None
            if not own and not self.has_room(who):
                return None
        if own and not identical and self.holder(same) == user or \
                same is None and len(self.entries) >= len(rpc.OWN) + ALL:
            return None
        after = self.entries if same == new else \
            [e for e in self.entries if e is not same] + [new]
        # nothing of others is left of the program
        return [e for e in after if e.prog != new.prog or e.owner == who]

    def is_foreign(self, e, who, user):
        """Is this a live entry of somebody else?"""
        holder = self.holder(e)
        if holder is None or who is not ANON and e.owner == who:
            return False
        if e.owner is ANON:
            return who is not ANON or holder != user
        return e.owner == 0 or holder in (0, e.owner)

    def has_room(self, who):
        owners = [e.owner for e in self.entries if e.owner != 0]
        return owners.count(who) < OF_UID and OF_CLASS > sum(
            (o in SYSTEM) == (who in SYSTEM) for o in owners)

    def after_unset(self, who, user, prog, vers, prots=(TCP, UDP)):
        found = [e for e in self.entries
                 if e[:2] == (prog, vers) and e.prot in prots]
        gone = [e for e in found if who == 0 or e.owner == who and
                not self.is_foreign(e, who, user)]
        if prog == PMAP or found and not gone:
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
