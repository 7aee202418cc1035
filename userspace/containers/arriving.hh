/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arriving.hh - a container that comes to this host.
 *
 *   FOLDER/images   what CRIU restores it from
 *   FOLDER/memory   the number of the memory object that its pages come into
 *   FOLDER/...      marks of how far it is, page_server.hh
 *
 * The memory object and a page server are there before anything comes: the one is the reserve,
 * the other keeps it, whoever of the daemons dies.
 */
#pragma once

#include "leaving.hh"
#include "wish.hh"

#include <optional>

namespace corbel::containers {

class Arriving {
public:
	/* @program: of the daemon, which is asked for its helpers. */
	Arriving(std::filesystem::path folder, Group group, std::string program)
		: folder_(std::move(folder)), group_(std::move(group)), program_(std::move(program))
	{}

	enum class State { none, waiting, loaded, running };
	/* As it is now. */
	[[nodiscard]] State state() const;
	/* Something of it is here, whether it can become anything or not. */
	[[nodiscard]] bool is_left() const;
	/* No page of it is anywhere but in its own memory. */
	[[nodiscard]] bool is_whole() const;
	/* Why its page server has it stand still; empty: it does not. */
	[[nodiscard]] std::string stall() const;
	[[nodiscard]] const Group &group() const { return group_; }
	/* Nothing: there is none. */
	[[nodiscard]] std::optional<Memory> memory() const;

	/* What limits could not be set is told in @missed. ENOMEM: there is not as much. */
	[[nodiscard]] Result<void> make(const Wish &wish, std::vector<std::string> &missed) const;
	/* It stands still then. */
	[[nodiscard]] Result<void> load(const std::vector<Image> &images) const;
	[[nodiscard]] Result<void> go() const;
	[[nodiscard]] Result<void> freeze() const;
	/* Its processes, its memory, and all that was written. */
	[[nodiscard]] Result<void> destroy() const;
	/* It is as any; what it came by goes. */
	void finish() const;

private:
	[[nodiscard]] std::optional<std::uint32_t> number() const;

	std::filesystem::path folder_;
	Group group_;
	std::string program_;
};

} /* namespace corbel::containers */
