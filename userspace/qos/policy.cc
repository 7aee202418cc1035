// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy.hh"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace corbel::workloads {

namespace {

constexpr std::size_t both_ios = 2; /* in limit_names */

} /* namespace */

bool PolicyRecord::needs_depth() const
{
	return floor || latency_us || weight != usual_weight || priority != "normal";
}

Result<void> check(const PolicyRecord &policy)
{
	for (std::size_t i = 0; i < limit_names.size(); i++)
		if (policy.limits[i].burst && !policy.limits[i].rate)
			return failure(EINVAL,
				       fmt::format("--{0}-burst is what may go beyond --{0}, which "
						   "is not given.",
						   limit_names[i].option));
	if (policy.weight == 0 || policy.weight > most_weight)
		return failure(EINVAL, fmt::format("A weight is 1 to {}.", most_weight));
	if (std::ranges::find(class_names, policy.priority) == class_names.end())
		return failure(EINVAL, fmt::format("There is no class '{}': it is one of {}.",
						   policy.priority, fmt::join(class_names, ", ")));
	if (const auto most = policy.limits[both_ios].rate; most && policy.floor > most)
		return failure(EINVAL, fmt::format("A floor of {} is above --iops, which is {}.",
						   policy.floor, most));
	return {};
}

Json json_of(const PolicyRecord &policy)
{
	Json limits = Json::object();

	for (std::size_t i = 0; i < limit_names.size(); i++)
		if (const auto &limit = policy.limits[i]; limit.rate)
			limits[std::string(limit_names[i].key)] = {{"rate", limit.rate},
								   {"burst", limit.burst}};
	return {{"limits", std::move(limits)},
		{"floor", policy.floor},
		{"weight", policy.weight},
		{"class", policy.priority},
		{"latency_us", policy.latency_us}};
}

PolicyRecord policy_of(const std::string &name, const Json &json)
{
	PolicyRecord policy;

	policy.name = name;
	for (std::size_t i = 0; i < limit_names.size(); i++) {
		const auto found = json.at("limits").find(limit_names[i].key);
		if (found != json.at("limits").end())
			policy.limits[i] = {found->at("rate"), found->at("burst")};
	}
	policy.floor = json.at("floor");
	policy.weight = json.at("weight");
	policy.priority = json.at("class");
	policy.latency_us = json.at("latency_us");
	return policy;
}

std::string settings_of(const PolicyRecord &policy)
{
	const auto priority = std::ranges::find(class_names, policy.priority) - class_names.begin();
	std::string text;

	for (std::size_t i = 0; i < limit_names.size(); i++) {
		const auto &[rate, burst] = policy.limits[i];
		if (rate)
			text += fmt::format("{}={} ", limit_names[i].setting, rate);
		if (burst)
			text += fmt::format("{}_burst={} ", limit_names[i].setting, burst);
	}
	if (policy.floor)
		text += fmt::format("floor={} ", policy.floor);
	if (policy.latency_us)
		text += fmt::format("latency_us={} ", policy.latency_us);
	return text + fmt::format("weight={} class={}", policy.weight, priority);
}

} /* namespace corbel::workloads */
