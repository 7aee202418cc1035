/* SPDX-License-Identifier: GPL-2.0-or-later */
/* findings.hh - what a whole check of a pool's metadata came to. */
#pragma once

#include "survey.hh"

#include <nlohmann/json_fwd.hpp>

#include <map>
#include <string>
#include <vector>

namespace corbel::pool {

struct Finding {
	std::string what; /* a class of them, such as "count of a node" */
	std::string sentence;
};

struct Findings {
	Survey survey;
	std::uint64_t total = 0;
	bool complete = true; /* not if what is damaged kept from looking further */
	std::map<std::string, std::uint64_t> by_what;
	std::vector<Finding> first; /* most_told of them */
	std::uint64_t free_meta = 0;

	static constexpr std::size_t most_told = 200;

	void add(const std::string &what, std::string sentence);
};

/* Of all that @device, which is @blocks large, holds. Changes nothing. */
[[nodiscard]] Result<Findings> check(block::BlockDevice &device, std::uint64_t blocks,
				     const std::string &path);

} /* namespace corbel::pool */
