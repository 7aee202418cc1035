// SPDX-License-Identifier: GPL-2.0-or-later
/* What is done for a container that comes, where it is not as for a VM. */
#include "arrival.hh"
#include "log.hh"

#include "../qemu/cgroup.hh"

#include <cerrno>

#include <fmt/ranges.h>

namespace corbel::daemon {

using namespace migrate;

namespace {

GuestHere guest_of(containers::Arriving::State state)
{
	switch (state) {
	case containers::Arriving::State::none:
		break;
	case containers::Arriving::State::waiting:
		return GuestHere::waiting;
	case containers::Arriving::State::loaded:
		return GuestHere::loaded;
	case containers::Arriving::State::running:
		return GuestHere::running;
	}
	return GuestHere::none;
}

Result<std::vector<containers::Image>> images_in(const std::string &state)
{
	v1::ContainerImages message;
	std::vector<containers::Image> images;

	if (!message.ParseFromString(state))
		return failure(EBADMSG, "What the source says of the container cannot be read.");
	for (auto &image : *message.mutable_images())
		images.push_back({image.name(), std::move(*image.mutable_data())});
	return images;
}

} /* namespace */

containers::Group Arrivals::place_of(const containers::Wish &wish) const
{
	return containers::Group(qemu::cgroup_mount() / fmt::format("{}.slice", limits_.slice) /
				 "containers" / wish.name);
}

Result<void> Arrivals::understand(Arrival &arrival, const std::string &wish) const
{
	const auto container = CORBEL_EXPECT(containers::wish_of(wish));

	if (!container) {
		arrival.wish = CORBEL_EXPECT(wish_of(wish));
		return {};
	}
	arrival.container = container;
	arrival.coming.emplace(limits_.containers / fmt::format("in-{}", arrival.session),
			       place_of(*container), limits_.watcher);
	arrival.wish = {};
	arrival.wish.terms = container->terms;
	arrival.wish.plain = container->plain;
	arrival.wish.source = container->source;
	return {};
}

Result<void> Arrivals::check(const containers::Wish &wish) const
{
	const auto found = containers::obstacles(wish, place_of(wish));

	if (found.empty())
		return {};
	return failure(EBUSY, fmt::format("{}", fmt::join(found, " ")));
}

void Arrivals::look_at_container(Arrival &arrival, DestinationSeen &seen) const
{
	const auto &coming = *arrival.coming;

	if (auto stall = coming.stall(); stall != arrival.stall) {
		arrival.stall = std::move(stall);
		if (!arrival.stall.empty())
			warnings_.add(
				jobs::Severity::warning,
				fmt::format("{} stands still: {}", arrival.title(), arrival.stall));
	}
	arrival.find_memory(options_);
	seen.guest = guest_of(coming.state());
	seen.all_here = coming.is_whole();
	if (arrival.record.phase == DestinationPhase::ended &&
	    arrival.record.end != End::completed && coming.is_left())
		seen.guest = GuestHere::waiting;
}

Result<void> Arrivals::act_on_container(Arrival &arrival, const Told &told, DestinationAct act)
{
	const auto &coming = *arrival.coming;
	std::vector<std::string> missed;

	switch (act) {
	case DestinationAct::make:
		CORBEL_EXPECT(coming.make(*arrival.container, missed));
		for (const auto &sentence : missed)
			warnings_.add(jobs::Severity::warning, sentence);
		return {};
	case DestinationAct::load:
		if (!arrival.pager)
			return failure(ENOTCONN, "There is no connection for pages.");
		return coming.load(CORBEL_EXPECT(images_in(told.state)));
	case DestinationAct::go:
		return coming.go();
	case DestinationAct::freeze:
		return coming.freeze();
	case DestinationAct::destroy:
		arrival.pager.reset();
		arrival.memory.reset();
		return coming.destroy();
	case DestinationAct::write:
	case DestinationAct::wait:
	case DestinationAct::answer:
		break;
	}
	return {};
}

} /* namespace corbel::daemon */
