// SPDX-License-Identifier: GPL-2.0-or-later
#include "defragment.hh"

#include <algorithm>
#include <span>

namespace corbel::volumes {

namespace {

using Runs = std::span<const MappedRun>;

/* In the volume one is behind the other, and both are on one device. */
bool follows(const MappedRun &run, const MappedRun &before)
{
	return run.lba == before.lba + before.count && run.device == before.device;
}

/* Stretches, of one run and more. */
std::vector<Runs> stretches_of(Runs runs)
{
	std::vector<Runs> stretches;

	for (std::size_t from = 0; from < runs.size();) {
		auto to = from + 1;

		while (to < runs.size() && follows(runs[to], runs[to - 1]))
			to++;
		stretches.push_back(runs.subspan(from, to - from));
		from = to;
	}
	return stretches;
}

std::uint64_t blocks_of(Runs stretch)
{
	return stretch.empty() ? 0
			       : stretch.back().lba + stretch.back().count - stretch.front().lba;
}

/* Of its parts that have no more than @room blocks, that of the most runs. */
Runs best_part(Runs stretch, std::uint64_t room)
{
	Runs best;
	std::size_t from = 0;
	std::uint64_t blocks = 0;

	for (std::size_t to = 0; to < stretch.size(); to++) {
		blocks += stretch[to].count;
		while (blocks > room)
			blocks -= stretch[from++].count;
		if (to + 1 - from > best.size())
			best = stretch.subspan(from, to + 1 - from);
	}
	return best;
}

} /* namespace */

std::uint64_t least_pieces(const std::vector<MappedRun> &runs)
{
	return stretches_of(runs).size();
}

std::vector<Gathering> plan_gathering(const std::vector<MappedRun> &runs,
				      std::map<std::uint32_t, std::vector<Gap>> gaps)
{
	auto stretches = stretches_of(runs);
	std::vector<Gathering> plan;

	std::erase_if(stretches, [](Runs stretch) { return stretch.size() < 2; });
	std::ranges::sort(stretches, [](Runs a, Runs b) {
		return a.size() != b.size() ? a.size() > b.size() : a.front().lba < b.front().lba;
	});
	for (const auto stretch : stretches) {
		auto &rooms = gaps[stretch.front().device];
		Gap *fits = nullptr, *largest = nullptr;

		for (auto &gap : rooms) {
			if (gap.count >= blocks_of(stretch) && (!fits || gap.count < fits->count))
				fits = &gap;
			if (!largest || gap.count > largest->count)
				largest = &gap;
		}
		auto *to = fits ? fits : largest;
		const auto part = fits ? stretch : best_part(stretch, to ? to->count : 0);
		if (part.size() < 2)
			continue;
		const auto blocks = blocks_of(part);
		plan.push_back({part.front().lba, part.front().lba + blocks - 1,
				part.front().device, to->first});
		to->first += blocks;
		to->count -= blocks;
	}
	return plan;
}

} /* namespace corbel::volumes */
