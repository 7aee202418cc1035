/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy.hh - what an operator allows an object, as it is remembered and as the target takes it. */
#pragma once

#include <libcorbel/error.hh>

#include <nlohmann/json.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace corbel::workloads {

using Json = nlohmann::ordered_json;

struct RateLimit {
	std::uint64_t rate = 0; /* a second; 0: none */
	std::uint64_t burst = 0;

	bool operator==(const RateLimit &) const = default;
};

/* A limit by its three names. */
struct LimitName {
	std::string_view option; /* "read-iops": of the verb, and with "-burst" behind it */
	std::string_view key; /* of JSON */
	std::string_view setting; /* of the target */
	bool is_bytes;
};
inline constexpr std::array limit_names{
	LimitName{"read-iops", "read_iops", "read_ios", false},
	LimitName{"write-iops", "write_iops", "write_ios", false},
	LimitName{"iops", "iops", "ios", false},
	LimitName{"read-bytes", "read_bytes", "read_bytes", true},
	LimitName{"write-bytes", "write_bytes", "write_bytes", true},
	LimitName{"bytes", "bytes", "bytes", true},
};

/* In the order of the target's numbers. */
inline constexpr std::array<std::string_view, 3> class_names{"interactive", "normal", "background"};

inline constexpr std::uint64_t most_weight = 1000, usual_weight = 100;

struct PolicyRecord {
	std::string name;
	std::array<RateLimit, limit_names.size()> limits{};
	std::uint64_t floor = 0;
	std::uint64_t weight = usual_weight;
	std::string priority = "normal"; /* one of class_names */
	std::uint64_t latency_us = 0; /* 0: no target */

	/* Has something that acts only on a LUN with a depth. */
	[[nodiscard]] bool needs_depth() const;
	bool operator==(const PolicyRecord &) const = default;
};

/* EINVAL, with what does not go together. */
[[nodiscard]] Result<void> check(const PolicyRecord &policy);

[[nodiscard]] Json json_of(const PolicyRecord &policy);
/* Throws as the JSON library does if that is not what json_of() makes. */
[[nodiscard]] PolicyRecord policy_of(const std::string &name, const Json &json);
/* "read_ios=100 weight=100 class=1": the whole of it. */
[[nodiscard]] std::string settings_of(const PolicyRecord &policy);

} /* namespace corbel::workloads */
