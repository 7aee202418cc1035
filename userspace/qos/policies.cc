// SPDX-License-Identifier: GPL-2.0-or-later
#include "policies.hh"

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include <fmt/format.h>

namespace corbel::workloads {

namespace {

Result<std::vector<ObjectRecord>> users_of(Records &records, const std::string &policy)
{
	auto objects = CORBEL_EXPECT(records.objects());

	std::erase_if(objects, [&](const ObjectRecord &object) { return object.policy != policy; });
	return objects;
}

Json view_of(const PolicyRecord &policy, const std::vector<ObjectRecord> &users)
{
	Json json{{"name", policy.name}};
	auto used_by = Json::array();

	json.update(json_of(policy));
	if (!policy.latency_us)
		json["latency_us"] = nullptr;
	for (const auto &user : users)
		used_by.push_back({{"lun", user.lun}, {"object", user.name}});
	json["used_by"] = std::move(used_by);
	return json;
}

Json answer_of(Json policies, bool dry_run, bool changed)
{
	return {{"policies", std::move(policies)}, {"dry_run", dry_run}, {"changed", changed}};
}

} /* namespace */

Result<Json> Policies::show(const std::string &name)
{
	const auto guard = luns_.changing();
	auto &records = luns_.records();
	auto views = Json::array();
	std::vector<PolicyRecord> policies;

	if (name.empty())
		policies = CORBEL_EXPECT(records.policies());
	else
		policies.push_back(CORBEL_EXPECT(records.policy(name)));
	for (const auto &policy : policies)
		views.push_back(view_of(policy, CORBEL_EXPECT(users_of(records, policy.name))));
	return answer_of(std::move(views), false, false);
}

/* LUNs that are not there are told all when they are. */
Result<void> Policies::tell(const PolicyRecord &policy, const std::vector<ObjectRecord> &users)
{
	auto &records = luns_.records();
	std::map<std::string, std::set<std::uint64_t>> budgets;

	for (const auto &user : users)
		budgets[user.lun].insert(user.budget);
	for (const auto &[name, numbers] : budgets) {
		auto lun = CORBEL_EXPECT(records.lun(name));

		if (!CORBEL_EXPECT(luns_.find(lun)))
			continue;
		for (const auto number : numbers)
			(void)CORBEL_EXPECT(luns_.message(
				lun, fmt::format("budget {} {}", number, settings_of(policy))));
		lun.settled = true;
		CORBEL_EXPECT(records.put(lun));
	}
	return {};
}

Result<Json> Policies::put(const PolicyRecord &policy, bool dry_run)
{
	const auto guard = luns_.changing();
	auto &records = luns_.records();
	const auto users = CORBEL_EXPECT(users_of(records, policy.name));
	std::set<std::string> unsettled;

	CORBEL_EXPECT(check(policy));
	const auto before = records.policy(policy.name);
	const bool changed = !before || !(*before == policy);
	if (!dry_run && changed) {
		for (const auto &user : users)
			if (unsettled.insert(user.lun).second) {
				auto lun = CORBEL_EXPECT(records.lun(user.lun));
				lun.settled = false;
				CORBEL_EXPECT(records.put(lun));
			}
		CORBEL_EXPECT(records.put(policy));
		CORBEL_EXPECT(tell(policy, users));
	}
	return answer_of(Json::array({view_of(policy, users)}), dry_run, changed);
}

Result<Json> Policies::erase(const std::string &name, bool dry_run)
{
	const auto guard = luns_.changing();
	auto &records = luns_.records();
	const auto policy = CORBEL_EXPECT(records.policy(name));
	const auto users = CORBEL_EXPECT(users_of(records, name));

	if (!users.empty()) {
		std::vector<std::string> names;
		for (const auto &user : users)
			names.push_back(fmt::format("{}/{}", user.lun, user.name));
		return failure(EBUSY,
			       fmt::format("Policy '{}' is that of {}: give them another one, "
					   "or detach them, first.",
					   name, fmt::join(names, ", ")));
	}
	if (!dry_run)
		CORBEL_EXPECT(records.erase(policy));
	return answer_of(Json::array(), dry_run, true);
}

} /* namespace corbel::workloads */
