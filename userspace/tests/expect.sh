# SPDX-License-Identifier: GPL-2.0-or-later
#
# expect.sh - what commands of a test script that has a folder $work come to: to be sourced.

# await COMMAND...: until it succeeds, at most two minutes.
await() {
	local until=$((SECONDS + 120))
	until "$@"; do
		((SECONDS < until)) || { echo "waited 120 s in vain for: $*" && return 1; }
		sleep 0.1
	done
}

# expect STATUS PATTERN COMMAND...: its exit status, and what it prints on either.
expect() {
	local status=$1 pattern=$2 got
	shift 2
	"$@" >"$work/out" 2>&1
	got=$?
	cat "$work/out"
	[[ $got == "$status" ]] || { echo "exit status $got, expected $status" && return 1; }
	grep -qE -- "$pattern" "$work/out" || { echo "'$pattern' is not in it" && return 1; }
}
