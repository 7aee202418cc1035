# SPDX-License-Identifier: GPL-2.0-or-later
#
# expect.sh - what commands of a test script that has a folder $work come to: to be sourced.

# pause SECONDS: without a process, which where a machine is emulated takes as long as many a pause.
exec {silent}<> <(:)
pause() { ! read -r -t "$1" -u "$silent" _; }

# await COMMAND...: until it succeeds, at most two minutes. It has the machine half of the time at
# most, as what is waited for needs it, too.
await() {
	local until=$((SECONDS + 120)) began=${EPOCHREALTIME/[.,]/} took
	until "$@"; do
		((SECONDS < until)) || { echo "waited 120 s in vain for: $*" && return 1; }
		took=$((${EPOCHREALTIME/[.,]/} - began))
		pause "$(printf '0.%06d' $((took < 100000 ? 100000 : took > 900000 ? 900000 : took)))"
		began=${EPOCHREALTIME/[.,]/}
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
