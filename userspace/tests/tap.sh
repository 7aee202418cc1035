# SPDX-License-Identifier: GPL-2.0-or-later
#
# tap.sh - points of a test script that has a folder $work: to be sourced.

points=0 failed=0

# point NAME COMMAND...: ok if it succeeds. What it said is shown if not.
point() {
	local name=$1
	shift
	points=$((points + 1))
	if "$@" >"$work/why" 2>&1; then
		echo "ok $points $name"
	else
		echo "not ok $points $name"
		sed 's/^/# /' "$work/why"
		failed=$((failed + 1))
	fi
}
