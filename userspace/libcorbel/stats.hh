/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stats.hh - self-describing counts, see <corbel/stats.h>.
 *
 * Reads what KVM_GET_STATS_FD gives as well: the layout is the same.
 */
#pragma once

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <corbel/stats.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace corbel {

/* By name. Histograms are left out. */
using Values = std::map<std::string, std::uint64_t>;

class Stats {
public:
	/* EPROTO: it is not laid out as it should be. */
	[[nodiscard]] static Result<Stats> open(ScopedFd fd);

	/* Whose counts these are. */
	[[nodiscard]] const std::string &id() const { return id_; }

	/* As they are now, all of one look. */
	[[nodiscard]] Result<Values> read() const;

private:
	struct Place {
		std::string name;
		std::size_t index; /* of the value, in __u64 */
	};

	explicit Stats(ScopedFd fd) : fd_(std::move(fd)) {}

	ScopedFd fd_;
	std::string id_;
	std::uint32_t data_offset_ = 0;
	std::size_t count_ = 0;
	std::vector<Place> places_;
};

} /* namespace corbel */
