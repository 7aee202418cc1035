/* SPDX-License-Identifier: GPL-2.0-or-later */
/* families.hh - series in the making. */
#pragma once

#include "definitions.hh"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <prometheus/metric_family.h>

namespace corbel::metrics {

using Labels = std::vector<prometheus::ClientMetric::Label>;

/*
 * A text that somebody else chose as the value of a label: of bounded length, UTF-8, and
 * without control characters. (Quotes are escaped by who writes it out.)
 */
[[nodiscard]] std::string label_value(std::string_view text);

/* Counts of what is at most @bounds[i] and more than the bound before; last: above all. */
struct Distribution {
	std::span<const double> bounds;
	std::vector<std::uint64_t> counts; /* one more than bounds */
	double sum = 0;

	explicit Distribution(std::span<const double> limits)
		: bounds(limits), counts(limits.size() + 1)
	{}
	/* @count times something that is at most @value. */
	void add(double value, std::uint64_t count = 1);
};

class Families {
public:
	Families();

	/* Counters and gauges. */
	void add(Metric metric, Labels labels, double value);
	void add(Metric metric, Labels labels, const Distribution &distribution);

	[[nodiscard]] std::vector<prometheus::MetricFamily> take() { return std::move(families_); }

private:
	std::vector<prometheus::MetricFamily> families_;
};

} /* namespace corbel::metrics */
