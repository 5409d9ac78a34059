#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A file includes its own header and headers of strictly lower layers: never
# sideways, never up.  src/README has the picture.
cd "$(dirname "$0")/../src" || exit 1
layers='pmap be32 decimal
addrfilt record log share
table policy wire sockdiag loop daemon priv sandbox
peer ifaddr listen closer store
holder transport debt
registry datagram stream
accept callit
service options
portmap pmap_set rpcinfo'
layer() {
	echo "$layers" | grep -nw "$1" | cut -d: -f1
}
bad=0
for file in *.[ch]; do
	name=${file%.*}
	ours=$(layer "$name")
	[ -n "$ours" ] || { echo "$file is in no layer"; bad=1; continue; }
	# shellcheck disable=SC2013 # names of headers have no spaces
	for header in $(sed -n 's/^#include "\(.*\)\.h"$/\1/p' "$file"); do
		theirs=$(layer "$header")
		[ "$header" = "$name" ] || [ "${theirs:-99}" -lt "$ours" ] || {
			echo "$file includes $header.h, which is not below it"
			bad=1
		}
	done
done
exit $bad
