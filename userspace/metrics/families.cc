// SPDX-License-Identifier: GPL-2.0-or-later
#include "families.hh"

#include <algorithm>

namespace corbel::metrics {

namespace {

constexpr std::size_t longest_value = 128;
constexpr std::string_view replacement = "?";

/* Bytes of the UTF-8 character that @text begins with; 0: it is none. */
std::size_t character_at(std::string_view text)
{
	const auto byte = [&](std::size_t i) {
		return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
	};
	const auto first = byte(0);
	const std::size_t length = first < 0x80			   ? 1
				   : first >= 0xc2 && first < 0xe0 ? 2
				   : first >= 0xe0 && first < 0xf0 ? 3
				   : first >= 0xf0 && first < 0xf5 ? 4
								   : 0;

	for (std::size_t i = 1; i < length; i++)
		if ((byte(i) & 0xc0) != 0x80)
			return 0;
	/* Longer than needed, surrogates, and beyond the last character. */
	if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) >= 0xa0) ||
	    (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) >= 0x90))
		return 0;
	return length;
}

} /* namespace */

std::string label_value(std::string_view text)
{
	std::string value;

	while (!text.empty()) {
		const auto length = character_at(text);
		const auto first = static_cast<unsigned char>(text.front());
		const bool control = first < 0x20 || first == 0x7f;
		const auto part = length == 0 || control ? replacement : text.substr(0, length);

		if (value.size() + part.size() > longest_value)
			break;
		value += part;
		text.remove_prefix(std::max<std::size_t>(length, 1));
	}
	return value;
}

void Distribution::add(double value, std::uint64_t count)
{
	const auto bound = std::ranges::lower_bound(bounds, value);

	counts[static_cast<std::size_t>(bound - bounds.begin())] += count;
}

Families::Families()
{
	families_.reserve(metric_count);
	for (const auto &definition : definitions())
		families_.push_back({definition.name, definition.help, definition.type, {}});
}

void Families::add(Metric metric, Labels labels, double value)
{
	auto &family = families_[static_cast<std::size_t>(metric)];
	auto &series = family.metric.emplace_back();

	series.label = std::move(labels);
	if (family.type == prometheus::MetricType::Counter)
		series.counter.value = value;
	else
		series.gauge.value = value;
}

void Families::add(Metric metric, Labels labels, const Distribution &distribution)
{
	auto &series = families_[static_cast<std::size_t>(metric)].metric.emplace_back();
	std::uint64_t count = 0;

	series.label = std::move(labels);
	for (std::size_t i = 0; i < distribution.bounds.size(); i++) {
		count += distribution.counts[i];
		series.histogram.bucket.push_back({count, distribution.bounds[i]});
	}
	series.histogram.sample_count = count + distribution.counts.back();
	series.histogram.sample_sum = distribution.sum;
}

} /* namespace corbel::metrics */
