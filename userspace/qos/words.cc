// SPDX-License-Identifier: GPL-2.0-or-later
#include "words.hh"

#include "../pool/names.hh"

#include <cerrno>
#include <charconv>

#include <fmt/format.h>

namespace corbel::workloads {

namespace {

constexpr std::uint64_t longest_latency_us = 3'600'000'000;

} /* namespace */

Result<ByteRange> parse_range(const std::string &text)
{
	const auto plus = text.find('+');

	if (plus == text.npos)
		return failure(EINVAL,
			       fmt::format("'{}' is no range: FIRST+BYTES, such as 0+1G.", text));
	const auto first = text.substr(0, plus);
	return ByteRange{first == "0" ? 0 : CORBEL_EXPECT(pool::parse_size(first)),
			 CORBEL_EXPECT(pool::parse_size(text.substr(plus + 1)))};
}

Result<std::uint64_t> parse_latency(const std::string &text)
{
	std::uint64_t number = 0, unit = 0;
	const auto *end = text.data() + text.size();
	const auto [behind, error] = std::from_chars(text.data(), end, number);
	const std::string_view rest(behind, static_cast<std::size_t>(end - behind));

	if (error == std::errc{})
		unit = rest == "us" ? 1 : rest == "ms" ? 1000 : rest == "s" ? 1'000'000 : 0;
	if (!unit || number == 0 || number > longest_latency_us / unit)
		return failure(EINVAL,
			       fmt::format("'{}' is no time: a number above 0 with us, ms or "
					   "s behind it, such as 2ms, of at most an hour.",
					   text));
	return number * unit;
}

std::uint64_t quantile(const Histogram &histogram, unsigned per_mille)
{
	std::uint64_t total = 0, seen = 0;

	for (const auto &[bucket, count] : histogram)
		total += count;
	const auto wanted = total / 1000 * per_mille + (total % 1000 * per_mille + 999) / 1000;
	for (const auto &[bucket, count] : histogram) {
		seen += count;
		/* The last bucket has no end. */
		if (seen >= wanted)
			return bucket + 1 < qos::latency_buckets ? qos::upper_bound(bucket)
								 : qos::lower_bound(bucket);
	}
	return 0;
}

} /* namespace corbel::workloads */
