# SPDX-License-Identifier: GPL-2.0-or-later
#
# turns.sh - two ways to do the same beside each other, for a test script that has a folder $work: to
# be sourced.

# ratio A B
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }
least() { printf '%s\n' "$@" | sort -n | head -1; }

# in_turns WHAT RECORDED PLAIN: commands, three times each, of which each leaves in $took how many ms it
# took. The least of each goes to the figures.
in_turns() {
	local what=$1 turn recorded=() plain=()
	for turn in 1 2 3; do
		"$2" && recorded+=("$took") && "$3" && plain+=("$took") || return 1
	done
	echo "# $what: $(least "${recorded[@]}") ms recorded, $(least "${plain[@]}") ms plain: $(ratio "$(least "${recorded[@]}")" "$(least "${plain[@]}")") times as long" >>"$work/figures"
}
