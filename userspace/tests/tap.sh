# SPDX-License-Identifier: GPL-2.0-or-later
#
# tap.sh - points of a test script that has a folder $work: to be sourced.

points=0 failed=0

# point NAME COMMAND...: ok if it succeeds. What it said is shown if not, and how long it took
# if that was long.
point() {
	local name=$1 began=$SECONDS
	shift
	points=$((points + 1))
	if "$@" >"$work/why" 2>&1; then
		echo "ok $points $name"
	else
		echo "not ok $points $name"
		sed 's/^/# /' "$work/why"
		failed=$((failed + 1))
	fi
	((SECONDS - began < 10)) || echo "# that took $((SECONDS - began)) s"
}
