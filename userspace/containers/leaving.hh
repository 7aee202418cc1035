/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * leaving.hh - a container that leaves this host.
 *
 * It is frozen, CRIU writes down what it is into a folder of the move's own, and its pages go
 * into a memory object, which is served. What is in the folder outlives whoever made it: the next
 * one makes the object anew. Its processes stay, frozen, until it is somebody else's for good.
 */
#pragma once

#include "group.hh"

#include <libcorbel/memory.hh>

#include <utility>

namespace corbel::containers {

/* A file of CRIU's, but for pages. */
struct Image {
	std::string name, data;
};

/* All of them in @folder. EFBIG: more than can be handed over. */
[[nodiscard]] Result<std::vector<Image>> read_images(const std::filesystem::path &folder);
/* EBADMSG: a name that none of them has. */
[[nodiscard]] Result<void> write_images(const std::filesystem::path &folder,
					const std::vector<Image> &images);

class Leaving {
public:
	Leaving(std::filesystem::path folder, Group group, pid_t first, std::uint64_t started,
		std::uint64_t bytes)
		: folder_(std::move(folder)),
		  group_(std::move(group)),
		  first_(first),
		  started_(started),
		  bytes_(bytes)
	{}

	[[nodiscard]] bool is_alive() const;
	[[nodiscard]] bool is_frozen() const { return group_.is_frozen(); }
	[[nodiscard]] const Group &group() const { return group_; }
	/* As it was when it was frozen, whole, in the folder. */
	[[nodiscard]] bool is_dumped() const;

	/* Before it stands still, as there may not be as much. */
	[[nodiscard]] Result<Memory> make_memory() const;
	/* Of a frozen one. EFBIG: it has more than was reserved. */
	[[nodiscard]] Result<void> dump() const;
	/* Its pages, sealed. */
	[[nodiscard]] Result<void> fill(const Memory &memory) const;
	[[nodiscard]] Result<std::vector<Image>> images() const;

	/* What was written down, and no more. */
	void forget() const;
	/* Its processes too, and its cgroup. */
	[[nodiscard]] Result<void> end() const;

private:
	std::filesystem::path folder_;
	Group group_;
	pid_t first_;
	std::uint64_t started_;
	std::uint64_t bytes_;
};

} /* namespace corbel::containers */
