// SPDX-License-Identifier: GPL-2.0-or-later
#include "target.hh"

#include "../qos/words.hh"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <concepts>
#include <sstream>

#include <fmt/format.h>

namespace corbel::volumes {

namespace {

std::vector<std::string> split(const std::string &text, char by)
{
	std::vector<std::string> parts;
	std::size_t from = 0;

	while (from <= text.size()) {
		const auto end = std::min(text.find(by, from), text.size());

		if (end > from)
			parts.push_back(text.substr(from, end - from));
		from = end + 1;
	}
	return parts;
}

/* Words one after another; the first that does not fit is remembered. */
class Words {
public:
	Words(const std::string &text, const char *what)
		: text_(text), what_(what), words_(split(text, ' '))
	{}

	[[nodiscard]] std::string word()
	{
		if (at_ == words_.size())
			fits_ = false;
		return fits_ ? words_[at_++] : std::string();
	}
	template <std::integral T>
	void number(T &value)
	{
		put(word(), value);
	}
	/* "3/17/20" */
	template <std::integral... T>
	void numbers(T &...values)
	{
		const auto parts = split(word(), '/');
		std::size_t i = 0;

		fits_ = fits_ && parts.size() == sizeof...(values);
		(put(fits_ ? parts[i++] : std::string(), values), ...);
	}
	/* "7:120" */
	template <std::integral A, std::integral B>
	void pair(A &a, B &b)
	{
		const auto parts = split(word(), ':');

		fits_ = fits_ && parts.size() == 2;
		put(fits_ ? parts[0] : std::string(), a);
		put(fits_ ? parts[1] : std::string(), b);
	}
	[[nodiscard]] bool is_next(std::string_view word) const
	{
		return at_ < words_.size() && words_[at_] == word;
	}
	/* One that is not always there. */
	void skip(std::string_view word)
	{
		if (at_ < words_.size() && words_[at_] == word)
			at_++;
	}
	[[nodiscard]] bool more() const { return fits_ && at_ < words_.size(); }
	void require(bool so) { fits_ = fits_ && so; }

	[[nodiscard]] Result<void> end() const
	{
		if (fits_ && at_ == words_.size())
			return {};
		return failure(EPROTO, fmt::format("The kernel says '{}', which is not {} as this "
						   "version of Corbel knows it: dm-corbel.ko is of "
						   "another one.",
						   text_.substr(0, 200), what_));
	}

private:
	template <std::integral T>
	void put(const std::string &text, T &value)
	{
		const auto *end = text.data() + text.size();
		const auto [behind, error] = std::from_chars(text.data(), end, value);

		fits_ = fits_ && error == std::errc{} && behind == end;
	}

	std::string text_;
	const char *what_;
	std::vector<std::string> words_;
	std::size_t at_ = 0;
	bool fits_ = true;
};

/* Lines, each of which @take reads, then "end", or "more" and what is next. */
template <typename Take>
Result<void> parse_page(const std::string &text, const char *what, Take &&take,
			std::optional<std::uint64_t> &next)
{
	bool ended = false;

	for (const auto &line : split(text, '\n')) {
		Words words(line, what);

		words.require(!ended);
		ended = line == "end" || line.starts_with("more");
		if (line == "end") {
			words.skip("end");
		} else if (ended) {
			words.skip("more");
			words.number(next.emplace());
		} else {
			take(words);
		}
		CORBEL_EXPECT(words.end());
	}
	if (!ended)
		return failure(EPROTO, fmt::format("The kernel broke off {}: dm-corbel.ko is of "
						   "another version.",
						   what));
	return {};
}

} /* namespace */

const DeviceStatus *PoolStatus::device(std::uint32_t number) const
{
	const auto found = std::ranges::find(devices, number, &DeviceStatus::number);

	return found == devices.end() ? nullptr : &*found;
}

Result<PoolStatus> parse_pool_status(const std::string &text)
{
	PoolStatus status{};
	Words words(text, "the status of a pool");
	std::size_t devices = 0;

	words.skip("corbel-pool");
	words.number(status.generation);
	words.numbers(status.meta_used, status.meta_total);
	words.numbers(status.used, status.total);
	words.number(status.block_sectors);
	words.number(status.volumes);
	status.mode = words.word();
	status.policy = words.word();
	words.number(devices);
	while (words.more()) {
		auto &device = status.devices.emplace_back();

		words.number(device.number);
		device.device = words.word();
		device.tier = words.word();
		words.numbers(device.used, device.blocks, device.limit);
	}
	words.require(devices == status.devices.size() && status.block_sectors > 0);
	CORBEL_EXPECT(words.end());
	return status;
}

Result<std::vector<VolumeStatus>> parse_volumes(const std::string &text)
{
	std::vector<VolumeStatus> volumes;

	for (const auto &line : split(text, '\n')) {
		Words words(line, "a volume of a pool");
		auto &volume = volumes.emplace_back();

		words.number(volume.id);
		words.number(volume.blocks);
		words.number(volume.mapped);
		words.number(volume.origin);
		words.number(volume.created);
		volume.mode = words.word();
		CORBEL_EXPECT(words.end());
	}
	return volumes;
}

Result<MoverStatus> parse_mover(const std::string &text)
{
	MoverStatus mover{};
	Words words(text, "the state of a mover");

	mover.state = words.word();
	if (mover.state == "failed") {
		words.number(mover.error);
		mover.error = std::abs(mover.error);
	}
	if (mover.state == "idle" && !words.more())
		return mover;
	words.number(mover.device);
	for (auto *number :
	     {&mover.first, &mover.next, &mover.last, &mover.moved, &mover.middle_entries,
	      &mover.reverse_entries, &mover.meta_bytes, &mover.skipped, &mover.target_us,
	      &mover.seen_us, &mover.paused_ms, &mover.volume})
		words.number(*number);
	CORBEL_EXPECT(words.end());
	return mover;
}

Result<std::string> mover_target(const std::string &latency)
{
	constexpr std::uint64_t longest_us = 60'000'000;

	if (latency.empty())
		return "0";
	if (latency == "none")
		return "any";
	const auto us = CORBEL_EXPECT(workloads::parse_latency(latency));
	if (us > longest_us)
		return failure(EINVAL, fmt::format("'{}' is more than a minute, which is the most "
						   "that a mover can keep to.",
						   latency));
	return fmt::format("{}", us);
}

Result<HeatPage> parse_heat(const std::string &text)
{
	HeatPage page;
	Words words(text, "how hot blocks are");

	while (words.more() && !words.is_next("end") && !words.is_next("more")) {
		auto &[heat, count] = page.blocks.emplace_back();

		words.pair(heat, count);
		words.require(heat < 256);
	}
	if (words.is_next("more")) {
		words.skip("more");
		words.number(page.next.emplace());
	} else {
		words.require(words.is_next("end"));
		words.skip("end");
	}
	CORBEL_EXPECT(words.end());
	return page;
}

Result<Difference> parse_difference(const std::string &text)
{
	Difference difference;

	CORBEL_EXPECT(parse_page(
		text, "a difference of volumes",
		[&](Words &words) {
			auto &range = difference.ranges.emplace_back();

			words.number(range.first);
			words.number(range.count);
			range.in = words.word();
			words.require(range.in == "a" || range.in == "b" || range.in == "both");
		},
		difference.next));
	return difference;
}

Result<VolumeMap> parse_map(const std::string &text)
{
	VolumeMap map;

	CORBEL_EXPECT(parse_page(
		text, "the map of a volume",
		[&](Words &words) {
			auto &run = map.runs.emplace_back();

			words.number(run.lba);
			words.number(run.count);
			words.number(run.device);
			words.number(run.block);
		},
		map.next));
	return map;
}

Result<GapPage> parse_gaps(const std::string &text)
{
	GapPage page;

	CORBEL_EXPECT(parse_page(
		text, "what is free on a device",
		[&](Words &words) {
			auto &gap = page.gaps.emplace_back();

			words.number(gap.first);
			words.number(gap.count);
		},
		page.next));
	return page;
}

Result<std::vector<std::uint64_t>> parse_numbers(const std::string &text)
{
	std::vector<std::uint64_t> numbers;
	std::string flat = text;

	std::ranges::replace(flat, '\n', ' ');
	Words words(flat, "numbers of volumes");
	while (words.more())
		words.number(numbers.emplace_back());
	CORBEL_EXPECT(words.end());
	return numbers;
}

} /* namespace corbel::volumes */
