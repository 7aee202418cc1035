// SPDX-License-Identifier: GPL-2.0-or-later
#include "messages.hh"

#include "../../kmod/block/qos/range_set.hh"

#include <openssl/evp.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

namespace corbel::workloads {

namespace {

/* Numbers one after another, with what is to be between them. */
class Numbers {
public:
	Numbers(const std::string &text, const char *what) : text_(text), rest_(text), what_(what)
	{}

	std::uint64_t number()
	{
		std::uint64_t value = 0;
		const auto *end = rest_.data() + rest_.size();
		const auto [behind, error] = std::from_chars(rest_.data(), end, value);

		fits_ = fits_ && error == std::errc{};
		if (fits_)
			rest_.remove_prefix(static_cast<std::size_t>(behind - rest_.data()));
		return value;
	}
	void then(char c)
	{
		fits_ = fits_ && rest_.starts_with(c);
		if (fits_)
			rest_.remove_prefix(1);
	}
	[[nodiscard]] bool more() const { return fits_ && !rest_.empty(); }
	void require(bool so) { fits_ = fits_ && so; }
	[[nodiscard]] Result<void> end() const
	{
		if (fits_ && rest_.empty())
			return {};
		return failure(EPROTO, fmt::format("The kernel says '{}', which is not {} as this "
						   "version of Corbel knows it: dm-corbel.ko is of "
						   "another one.",
						   text_.substr(0, 200), what_));
	}

private:
	const std::string &text_;
	std::string_view rest_;
	const char *what_;
	bool fits_ = true;
};

template <typename T>
void append(std::string &data, const T &value)
{
	data.append(reinterpret_cast<const char *>(&value), sizeof(value));
}

} /* namespace */

Result<std::string> set_message(std::vector<RangeChange> changes)
{
	std::vector<qos::Range> ranges;
	std::string data, text = "set ";

	std::ranges::sort(changes, {}, &RangeChange::number);
	for (const auto &change : changes)
		for (const auto &span : *change.spans)
			ranges.push_back({{span.first},
					  span.sectors(),
					  {static_cast<std::uint32_t>(change.number)},
					  0});
	if (ranges.size() > qos::max_ranges)
		return failure(E2BIG,
			       fmt::format("That are {} ranges, and a device under QoS has at "
					   "most {}: defragment the disks.",
					   ranges.size(), qos::max_ranges));
	std::ranges::sort(ranges, {}, [](const qos::Range &range) { return range.first.value; });

	const auto objects = static_cast<std::uint32_t>(changes.size());
	data.reserve(qos::range_set_bytes(objects, static_cast<std::uint32_t>(ranges.size())));
	append(data, qos::RangeSetHeaderV1{qos::range_set_version, 0, objects,
					   static_cast<std::uint32_t>(ranges.size())});
	for (const auto &change : changes)
		append(data, static_cast<std::uint32_t>(change.number));
	if (objects % 2)
		append(data, std::uint32_t{0});
	data.append(reinterpret_cast<const char *>(ranges.data()),
		    ranges.size() * sizeof(qos::Range));

	const auto before = text.size();
	/* What is written ends with a NUL. */
	text.resize(before + (data.size() + 2) / 3 * 4 + 1);
	const int length =
		::EVP_EncodeBlock(reinterpret_cast<unsigned char *>(text.data() + before),
				  reinterpret_cast<const unsigned char *>(data.data()),
				  static_cast<int>(data.size()));
	text.resize(before + static_cast<std::size_t>(length));
	return text;
}

Result<TargetStatus> parse_target_status(const std::string &text)
{
	Numbers numbers(text, "the state of a device under QoS");
	TargetStatus status{};

	status.objects = numbers.number();
	for (auto *each : {&status.ranges, &status.budgets, &status.map_bytes, &status.in_flight}) {
		numbers.then(' ');
		*each = numbers.number();
	}
	numbers.require(status.objects > 0);
	CORBEL_EXPECT(numbers.end());
	return status;
}

Result<CounterTable> parse_table(const std::string &text)
{
	Numbers numbers(text, "a table of counters");
	CounterTable table{};

	table.next = numbers.number();
	while (numbers.more()) {
		ObjectCounters counters{};

		numbers.then(' ');
		const auto object = numbers.number();
		char before = ':';
		const auto take = [&](std::uint64_t &value) {
			numbers.then(before);
			value = numbers.number();
			before = ',';
		};
		for (auto &op : counters.by_op)
			for (auto *value : {&op.ios, &op.bytes, &op.errors, &op.ns})
				take(*value);
		take(counters.throttled);
		take(counters.throttled_ns);
		numbers.require((!table.next || object < table.next) &&
				(table.objects.empty() || object > table.objects.rbegin()->first));
		table.objects.emplace(object, counters);
	}
	CORBEL_EXPECT(numbers.end());
	return table;
}

Result<HeatCells> parse_cells(const std::string &text)
{
	Numbers numbers(text, "cells of a heat map");
	HeatCells heat{};

	heat.shift = numbers.number();
	numbers.then(' ');
	heat.count = numbers.number();
	numbers.then(' ');
	heat.next = numbers.number();
	while (numbers.more()) {
		HeatCell cell{};

		numbers.then(' ');
		cell.index = numbers.number();
		for (auto *value :
		     {&cell.reads, &cell.writes, &cell.read_bytes, &cell.written_bytes}) {
			numbers.then(':');
			*value = numbers.number();
		}
		numbers.require(cell.index < heat.next &&
				(heat.cells.empty() || cell.index > heat.cells.back().index));
		heat.cells.push_back(cell);
	}
	numbers.require(heat.shift < 48 && heat.next <= heat.count);
	CORBEL_EXPECT(numbers.end());
	return heat;
}

Result<Histogram> parse_histogram(const std::string &text)
{
	Numbers numbers(text, "a histogram");
	Histogram histogram;

	while (numbers.more()) {
		if (!histogram.empty())
			numbers.then(' ');
		const auto bucket = numbers.number();
		numbers.then(':');
		const auto count = numbers.number();
		numbers.require(bucket < qos::latency_buckets && count > 0 &&
				(histogram.empty() || bucket > histogram.rbegin()->first));
		histogram.emplace(static_cast<unsigned>(bucket), count);
	}
	CORBEL_EXPECT(numbers.end());
	return histogram;
}

Result<Owner> parse_owner(const std::string &text)
{
	Numbers numbers(text, "whose a sector is");
	Owner owner{};

	owner.object = numbers.number();
	numbers.then(' ');
	owner.end = numbers.number();
	CORBEL_EXPECT(numbers.end());
	return owner;
}

} /* namespace corbel::workloads */
