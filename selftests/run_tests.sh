#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# run_tests.sh DIR - runs the programs below DIR as kselftest does and prints
# KTAP: one line a program, what it printed itself as comments above it. The
# cost group is left out: it needs a machine that counts instructions.
set -u
dir=$1
export CORBEL_SELFTESTS=$dir

mapfile -t programs < <(find "$dir/core" "$dir/irq" -type f -perm -u+x | sort)
echo "TAP version 13"
echo "1..${#programs[@]}"
number=0 failed=0
for program in "${programs[@]}"; do
	number=$((number + 1))
	name=${program#"$dir"/}
	echo "# selftests: $name"
	"$program" 2>&1 | sed 's/^/# /'
	status=${PIPESTATUS[0]}
	case $status in
	0) echo "ok $number selftests: $name" ;;
	4) echo "ok $number selftests: $name # SKIP" ;;
	*)
		echo "not ok $number selftests: $name # exit=$status"
		failed=$((failed + 1))
		;;
	esac
done
exit $((failed != 0))
