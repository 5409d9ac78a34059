/* SPDX-License-Identifier: BSD-2-Clause */
#include "stats.h"

struct stats stats;
