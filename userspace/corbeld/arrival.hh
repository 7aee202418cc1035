/* SPDX-License-Identifier: GPL-2.0-or-later */
/* arrival.hh - one VM that comes, as the parts of Arrivals share it. */
#pragma once

#include "arrivals.hh"

#include "../containers/arriving.hh"
#include "../migrate/storage.hh"
#include "../qemu/command.hh"
#include "../qemu/process.hh"

#include <atomic>

#include <fmt/format.h>

namespace corbel::daemon {

/* Of the keys of the store; a session follows. */
inline constexpr std::string_view arrival_prefix = "migrate/in/";

struct Arrivals::Arrival {
	std::string session;
	trust::HostId source;
	migrate::Wish wish;
	std::string wish_text;
	/* If it is no VM; of `wish` only what both have is of use then. */
	std::optional<containers::Wish> container;
	std::optional<containers::Arriving> coming;
	std::string stall; /* as it was told to people */
	migrate::DestinationRecord record;
	std::string why; /* it was refused */
	std::string lost_pages; /* as text_of_pages() tells them */

	std::mutex lock; /* for all of this */
	std::optional<migrate::Monitor> talk; /* between the loading of devices and the end of it */
	std::optional<Memory> memory;
	std::optional<Pager> pager;
	bool loading = false, loaded = false, went = false, source_gone = false;
	bool made_definition = false;
	bool made_folder = false; /* or is about to; it may be without a launch record then */
	std::vector<migrate::MadeDisk> disks; /* for it, until it is here or has ended */
	std::vector<std::unique_ptr<migrate::Bridge>> bridges; /* to QEMU, for those */
	Clock::time_point heard = Clock::now();
	Clock::time_point asked{};
	std::uint64_t last_answer = 0;
	std::deque<std::pair<std::uint64_t, migrate::BootTime>> answers; /* when each was sent */
	migrate::BootTime lease_end{};
	std::atomic<bool> connecting = false;
	std::jthread connector;

	/* The source may have it again; its definition is left here. */
	[[nodiscard]] bool may_be_back() const
	{
		return migrate::may_be_back(record) && made_definition;
	}
	[[nodiscard]] std::string title() const
	{
		return fmt::format("{} '{}'", container ? "Container" : "VM",
				   container ? container->name : wish.vm.name);
	}
	/* Its memory object, if it is there. */
	void find_memory(const qemu::RunnerOptions &options)
	{
		if (memory)
			return;
		if (coming) {
			memory = coming->memory();
			return;
		}
		const auto running = launch(options);
		if (running && running->memory)
			if (auto found = Memory::open(*running->memory))
				memory = *std::move(found);
	}
	[[nodiscard]] std::vector<std::string> nodes_of_disks() const
	{
		std::vector<std::string> names;

		names.reserve(disks.size());
		for (const auto &disk : disks)
			names.push_back(qemu::node_of_disk(disk.number));
		return names;
	}
	[[nodiscard]] bool own_memory() const { return wish.mode == migrate::Mode::precopy; }
	[[nodiscard]] qemu::Runtime runtime(const qemu::RunnerOptions &options) const
	{
		return {options.root, wish.vm.name};
	}
	/* The QEMU that was made for this; nothing: there is none. */
	[[nodiscard]] std::optional<qemu::Launch> launch(const qemu::RunnerOptions &options) const
	{
		auto launch = runtime(options).launch();

		if (!launch || launch->migration != session ||
		    !qemu::is_alive(launch->pid, launch->started))
			return std::nullopt;
		return launch;
	}
	[[nodiscard]] migrate::Lease lease(const qemu::RunnerOptions &options,
					   const qemu::Launch &launch) const
	{
		return {runtime(options).file("lease"), launch.pid, launch.started};
	}
	/* The connection that there is, or a new one. */
	[[nodiscard]] Result<migrate::Monitor *> monitor(const qemu::RunnerOptions &options,
							 const qemu::Launch &launch)
	{
		if (!talk)
			talk = CORBEL_EXPECT(migrate::Monitor::connect(runtime(options), launch));
		return &*talk;
	}
};

struct Arrivals::Told {
	migrate::Order order = migrate::Order::none;
	migrate::Epoch epoch = 0;
	std::string state{};
	/* What was not known before it, is known by it. */
	migrate::Terms terms{};
};

} /* namespace corbel::daemon */
