// SPDX-License-Identifier: GPL-2.0-or-later
#include "migrate_world.hh"

#include <algorithm>
#include <cstring>
#include <unordered_map>

namespace corbel::test {

namespace {

using namespace migrate;

/* Without what can make no difference any more, so that fewer worlds are told apart. */
World essence_of(World world)
{
	const bool committed = world.source_phase >= commit_point && !world.undoing;
	const auto ran = number_of(DestinationPhase::running, End::none);

	if (!world.undoing)
		world.told = 0;
	if (world.undoing || committed)
		world.trouble = world.cancelled = world.warm = 0;
	if (!committed)
		world.lease_over = 0;
	if (committed && world.peer <= ran)
		world.peer = 0;
	if (!committed && world.peer != number_of(DestinationPhase::prepared, End::none) + 1)
		world.peer_fresh = 0;
	if (world.back != Outcome::none || world.source_phase >= SourcePhase::finish)
		world.lease_over = world.peer_fresh = 0;
	/* An answer belongs to a call. */
	if (!world.waiting)
		world.answers = world.fresh_answers = 0;
	if (world.source_phase == SourcePhase::ended) {
		world.peer = world.waiting = world.told = world.source_silent = 0;
		world.answers = world.fresh_answers = 0;
	}
	if (world.destination_phase == DestinationPhase::ended) {
		world.lease = world.source_gone = world.destination_silent = 0;
		world.orders &= static_cast<Messages>(~lease_bit);
		if (world.guest == GuestHere::none)
			world.all_here = 0;
	}
	return world;
}

struct Hash {
	std::size_t operator()(const World &world) const
	{
		/* All of its members are of one or two bytes, without gaps that could differ. */
		std::array<std::uint8_t, sizeof(World)> bytes;
		std::uint64_t hash = 0xcbf29ce484222325;

		std::memcpy(bytes.data(), &world, sizeof(world));
		for (const auto byte : bytes)
			hash = (hash ^ byte) * 0x100000001b3;
		return hash ^ hash >> 32;
	}
};

} /* namespace */

Explored explore(const Rules &rules)
{
	constexpr std::uint32_t none = ~0U;
	struct Node {
		const World *world;
		std::uint32_t from;
	};
	std::unordered_map<World, std::uint32_t, Hash> known;
	std::vector<Node> nodes;
	std::vector<std::pair<std::uint32_t, std::uint32_t>> edges; /* without failures */
	Explored explored;

	const auto note = [&](const World &world, std::uint32_t from) {
		const auto [at, fresh] =
			known.emplace(world, static_cast<std::uint32_t>(nodes.size()));

		if (fresh)
			nodes.push_back({&at->first, from});
		return at->second;
	};
	const auto blame = [&](std::uint32_t at, std::string violation) {
		std::vector<std::uint32_t> way;

		explored.violation = std::move(violation);
		for (auto i = at; i != none; i = nodes[i].from)
			way.push_back(i);
		for (std::size_t i = way.size(); i-- > 1;)
			for (const auto &next : successors(*nodes[way[i]].world, rules, true))
				if (essence_of(next.world) == *nodes[way[i - 1]].world) {
					explored.trace.push_back(next.what);
					break;
				}
		explored.trace.push_back(text_of(*nodes[at].world));
	};

	(void)note(World{}, none);
	for (std::uint32_t at = 0; at < nodes.size(); at++) {
		const auto &world = *nodes[at].world;

		if (auto violation = violation_in(world); !violation.empty()) {
			blame(at, std::move(violation));
			break;
		}
		for (const auto &next : successors(world, rules, false)) {
			const auto to = note(essence_of(next.world), at);

			if (!next.failure)
				edges.emplace_back(to, at);
		}
	}
	explored.states = nodes.size();
	if (!explored.violation.empty())
		return explored;

	/* From each state an end must be reached, and no end may be left but by a failure. */
	std::vector<bool> ends(nodes.size());
	std::vector<std::uint32_t> queue;
	std::vector<std::uint32_t> first(nodes.size() + 1);
	std::ranges::sort(edges);
	for (const auto &[to, from] : edges)
		first[to + 1]++;
	for (std::size_t i = 0; i < nodes.size(); i++)
		first[i + 1] += first[i];
	for (std::uint32_t at = 0; at < nodes.size(); at++) {
		const auto &world = *nodes[at].world;

		if (!has_ended(world))
			continue;
		if (auto wrong = wrong_end_of(world, rules); !wrong.empty()) {
			blame(at, std::move(wrong));
			return explored;
		}
		explored.outcomes[static_cast<std::size_t>(world.outcome)]++;
		explored.ends[static_cast<std::size_t>(world.end)]++;
		ends[at] = true;
		queue.push_back(at);
	}
	while (!queue.empty()) {
		const auto to = queue.back();

		queue.pop_back();
		for (auto i = first[to]; i < first[to + 1]; i++)
			if (const auto from = edges[i].second; !ends[from]) {
				ends[from] = true;
				queue.push_back(from);
			}
	}
	for (std::uint32_t at = 0; at < nodes.size(); at++)
		if (!ends[at]) {
			blame(at, "it waits for an operator");
			return explored;
		}
	return explored;
}

} /* namespace corbel::test */
