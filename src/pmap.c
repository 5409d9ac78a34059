/* SPDX-License-Identifier: BSD-2-Clause */
#include "pmap.h"

const uint32_t pmap_prots[PMAP_PROTS] = {IPPROTO_TCP, IPPROTO_UDP};

const char *const pmap_procs[PROCS] = {
    "null", "set", "unset", "getport", "dump", "callit"};

const char *const pmap_doors[DOORS] = {"network", "loopback", "local"};

const char *const pmap_whys[WHYS] = {
    [WHY_GRANTED] = "granted",
    [WHY_SAME] = "same",
    [WHY_DOOR] = "door",
    [WHY_SELF] = "self",
    [WHY_RANGE] = "range",
    [WHY_RESERVED] = "reserved",
    [WHY_PROGRAM] = "program",
    [WHY_OWNER] = "owner",
    [WHY_BOUND] = "bound",
    [WHY_QUOTA] = "quota",
    [WHY_MEMORY] = "memory",
};

const char *const pmap_callits[CALLITS] = {
    [CALLIT_FORWARDED] = "forwarded",
    [CALLIT_RELAYED] = "relayed",
    [CALLIT_REFUSED] = "refused",
    [CALLIT_UNKNOWN] = "unknown",
    [CALLIT_EXPIRED] = "expired",
    [CALLIT_EVICTED] = "evicted",
    [CALLIT_TOO_LONG] = "too_long",
    [CALLIT_FAILED] = "failed",
};
