// SPDX-License-Identifier: GPL-2.0-or-later
#include "tiering.hh"

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

namespace corbel::volumes {

namespace {

/* Blocks of one heat that go from one device to another. */
struct Some {
	std::uint32_t heat;
	std::uint64_t count;
	bool is_all; /* that are so hot there */
};
using Ways = std::map<std::pair<std::uint32_t, std::uint32_t>, std::map<std::uint32_t, Some>>;

void add(Ways &ways, const TierDevice &from, const TierDevice &to, std::uint32_t heat,
	 std::uint64_t count, std::uint64_t left)
{
	auto &some = ways[{from.number, to.number}][heat];

	some = {heat, some.count + count, left == 0};
}

/* Bands of which all goes are one. */
std::vector<TierMove> moves_of(const Ways &ways)
{
	std::vector<TierMove> moves;

	for (const auto &[way, all] : ways) {
		bool may_join = false;

		for (const auto &[heat, some] : all) {
			if (may_join && some.is_all && moves.back().hottest + 1 == heat) {
				moves.back().hottest = heat;
				moves.back().count += some.count;
			} else {
				moves.push_back({way.first, way.second, heat, heat, some.count});
			}
			may_join = some.is_all;
		}
	}
	return moves;
}

/* One tier and the next below it. */
class Pair {
public:
	Pair(std::vector<TierDevice> &devices, std::uint32_t rank, const TierPolicy &policy,
	     Ways &down, Ways &up)
		: policy_(policy),
		  down_(down),
		  up_(up),
		  left_down_(policy.most),
		  left_up_(policy.most)
	{
		for (auto &device : devices)
			if (device.rank == rank)
				upper_.push_back(&device);
			else if (device.rank == rank + 1)
				lower_.push_back(&device);
	}

	void plan()
	{
		for (auto *device : upper_)
			drain(*device);
		for (std::uint32_t heat = 255; heat >= policy_.promote && heat > 0; heat--)
			for (auto *device : lower_)
				while (device->heat[heat] && left_up_ &&
				       (raise(*device, heat) || swap(*device, heat)))
					;
	}

private:
	[[nodiscard]] std::uint64_t mark(const TierDevice &device) const
	{
		return device.limit * policy_.demote / 100;
	}
	static std::uint64_t more(std::uint64_t most, std::uint64_t used)
	{
		return most > used ? most - used : 0;
	}
	/* Where the most can be placed. */
	TierDevice *roomiest()
	{
		const auto room = [](const TierDevice *device) {
			return more(device->limit, device->used);
		};
		const auto found = std::ranges::max_element(lower_, {}, room);

		return found == lower_.end() || !room(*found) ? nullptr : *found;
	}
	void lower(TierDevice &from, TierDevice &to, std::uint32_t heat, std::uint64_t count)
	{
		from.heat[heat] -= count;
		from.used -= count;
		to.used += count;
		left_down_ -= count;
		add(down_, from, to, heat, count, from.heat[heat]);
	}
	/* What it leaves is not counted as room: it is not there before it has been moved. */
	void lift(TierDevice &from, TierDevice &to, std::uint32_t heat, std::uint64_t count)
	{
		from.heat[heat] -= count;
		to.used += count;
		left_up_ -= count;
		add(up_, from, to, heat, count, from.heat[heat]);
	}

	void drain(TierDevice &device)
	{
		for (std::uint32_t heat = 0; heat < 256; heat++)
			while (const auto over = std::min({more(device.used, mark(device)),
							   device.heat[heat], left_down_})) {
				auto *to = roomiest();

				if (!to)
					return;
				lower(device, *to, heat, std::min(over, more(to->limit, to->used)));
			}
	}
	bool raise(TierDevice &from, std::uint32_t heat)
	{
		for (auto *to : upper_)
			if (const auto count = std::min(
				    {more(mark(*to), to->used), from.heat[heat], left_up_})) {
				lift(from, *to, heat, count);
				return true;
			}
		return false;
	}
	bool swap(TierDevice &from, std::uint32_t heat)
	{
		auto *down_to = roomiest();

		if (!down_to || !left_down_)
			return false;
		for (std::uint32_t cold = 0; heat >= 2 * cold + policy_.promote; cold++)
			for (auto *device : upper_) {
				const auto count =
					std::min({device->heat[cold], from.heat[heat], left_up_,
						  left_down_, more(down_to->limit, down_to->used)});
				if (!count || device->used > mark(*device))
					continue;
				lower(*device, *down_to, cold, count);
				lift(from, *device, heat, count);
				return true;
			}
		return false;
	}

	const TierPolicy &policy_;
	Ways &down_, &up_;
	std::uint64_t left_down_, left_up_;
	std::vector<TierDevice *> upper_, lower_;
};

} /* namespace */

TierPlan plan_tiers(std::vector<TierDevice> devices, const TierPolicy &policy)
{
	std::uint32_t last = 0;
	Ways down, up;

	for (const auto &device : devices)
		last = std::max(last, device.rank);
	for (std::uint32_t rank = 0; rank < last; rank++)
		Pair(devices, rank, policy, down, up).plan();
	return {moves_of(down), moves_of(up)};
}

std::vector<std::uint32_t> tier_ranks(const PoolStatus &status)
{
	std::vector<std::string> tiers;
	std::vector<std::uint32_t> ranks;
	const auto number_of = [](const std::string &text) {
		std::uint64_t number = 0;
		const auto *end = text.data() + text.size();
		const auto [behind, error] = std::from_chars(text.data(), end, number);

		return error == std::errc{} && behind == end ? std::optional(number) : std::nullopt;
	};

	for (const auto &device : status.devices)
		if (std::ranges::find(tiers, device.tier) == tiers.end())
			tiers.push_back(device.tier);
	if (std::ranges::all_of(tiers,
				[&](const auto &tier) { return number_of(tier).has_value(); }))
		std::ranges::sort(tiers, {}, number_of);
	for (const auto &device : status.devices)
		ranks.push_back(static_cast<std::uint32_t>(std::ranges::find(tiers, device.tier) -
							   tiers.begin()));
	return ranks;
}

} /* namespace corbel::volumes */
