# SPDX-License-Identifier: GPL-2.0-or-later
#
# exposition.awk - is this what Prometheus reads? Its text format 0.0.4, strictly: HELP and
# TYPE before the series of a metric, which stand together; names and labels as they may
# be; no series twice; counters at least 0 and called _total; buckets that grow up to +Inf,
# which is the count. Says what is wrong, and exits with 1 if anything is.

function wrong(what) {
	printf "line %d: %s: %s\n", NR, what, substr($0, 1, 200)
	bad = 1
}

# Reads {name="value",...} from the head of @text; labels in a form that can be compared go
# to @sorted without le, which goes to @le. What comes after, or "" if it is not labels.
function read_labels(text,   name, value, c, count, i, j, seen, list, swap) {
	sorted = ""
	le = ""
	if (substr(text, 1, 1) != "{")
		return text
	text = substr(text, 2)
	count = 0
	while (substr(text, 1, 1) != "}") {
		if (!match(text, /^[a-zA-Z_][a-zA-Z0-9_]*="/))
			return ""
		name = substr(text, 1, RLENGTH - 2)
		text = substr(text, RLENGTH + 1)
		value = ""
		while ((c = substr(text, 1, 1)) != "\"") {
			if (c == "")
				return ""
			if (c == "\\") {
				c = substr(text, 1, 2)
				if (c != "\\\\" && c != "\\\"" && c != "\\n")
					return ""
			}
			value = value c
			text = substr(text, length(c) + 1)
		}
		text = substr(text, 2)
		if (name in seen || name ~ /^__/)
			return ""
		seen[name] = 1
		if (name == "le")
			le = value
		else
			list[++count] = name "=\"" value "\""
		if (substr(text, 1, 1) == ",")
			text = substr(text, 2)
		else if (substr(text, 1, 1) != "}")
			return ""
	}
	for (i = 2; i <= count; i++)
		for (j = i; j > 1 && list[j] < list[j - 1]; j--) {
			swap = list[j]
			list[j] = list[j - 1]
			list[j - 1] = swap
		}
	for (i = 1; i <= count; i++)
		sorted = sorted list[i] ","
	return substr(text, 2)
}

# The metric that @name is a series of.
function family_of(name,   base) {
	if (name in type)
		return name
	base = name
	if (sub(/_(bucket|sum|count)$/, "", base) && (type[base] == "histogram" || type[base] == "summary"))
		return base
	return ""
}

/^# HELP / {
	if ($3 in help)
		wrong("a second HELP")
	help[$3] = 1
	next
}
/^# TYPE / {
	if ($3 in type)
		wrong("a second TYPE")
	if (!($3 in help))
		wrong("no HELP before it")
	if ($4 !~ /^(counter|gauge|histogram|summary|untyped)$/)
		wrong("no type that there is")
	if ($4 == "counter" && $3 !~ /_total$/)
		wrong("a counter that is not called _total")
	type[$3] = $4
	next
}
/^#/ || /^$/ { next }
{
	if (!match($0, /^[a-zA-Z_:][a-zA-Z0-9_:]*/)) {
		wrong("no name")
		next
	}
	name = substr($0, 1, RLENGTH)
	rest = read_labels(substr($0, RLENGTH + 1))
	if (rest !~ /^ [^ ]+( -?[0-9]+)?$/) {
		wrong("labels or value are not what they may be")
		next
	}
	split(rest, words, " ")
	value = words[1]
	if (value !~ /^[-+]?([0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?|Inf)$/ && value !~ /^[Nn]a[Nn]$/)
		wrong("no number")
	family = family_of(name)
	if (family == "") {
		wrong("no TYPE before it")
		next
	}
	if (family != last && family in closed)
		wrong("series of one metric do not stand together")
	closed[last = family] = 1
	if ((name, sorted, le) in series)
		wrong("a series that is there already")
	series[name, sorted, le] = 1
	if (type[family] == "counter" && value < 0)
		wrong("a counter below 0")
	total++
	if (type[family] != "histogram")
		next
	key = family SUBSEP sorted
	if (name == family "_bucket") {
		if (le == "")
			wrong("a bucket without a bound")
		if (le != "+Inf" && (key in bound) && le + 0 <= bound[key] + 0)
			wrong("bounds do not grow")
		if (value + 0 < cumulative[key] + 0)
			wrong("buckets are not cumulative")
		if (le == "+Inf")
			infinite[key] = value
		else
			bound[key] = le
		cumulative[key] = value
	} else if (name == family "_count") {
		counted[key] = value
	}
	histograms[key] = 1
}
END {
	for (key in histograms)
		if (!(key in infinite) || !(key in counted) || infinite[key] != counted[key]) {
			print "a histogram whose bucket +Inf is not its count: " key
			bad = 1
		}
	if (!total) {
		print "no series at all"
		bad = 1
	}
	exit bad
}
