// SPDX-License-Identifier: GPL-2.0-or-later
#include "vm_owner.hh"

#include <cerrno>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::daemon {

namespace {

std::string key_of(const std::string &vm)
{
	return fmt::format("vm/owner/{}", vm);
}

std::optional<Owner> owner_in(const std::string &text)
{
	const auto json = nlohmann::json::parse(text, nullptr, false);

	if (!json.is_object())
		return std::nullopt;
	return Owner{.epoch = json.value("epoch", migrate::Epoch{1}),
		     .here = json.value("here", true),
		     .host = json.value("host", std::string()),
		     .uuid = json.value("uuid", std::string())};
}

bool is_another(const Owner &owner, const std::string &uuid)
{
	return !owner.uuid.empty() && !uuid.empty() && owner.uuid != uuid;
}

} /* namespace */

Result<std::optional<Owner>> owner_of(state::Store &store, const std::string &vm,
				      const std::string &uuid)
{
	const auto entry = CORBEL_EXPECT(store.get(key_of(vm)));
	auto owner = entry ? owner_in(entry->value) : std::nullopt;

	return owner && is_another(*owner, uuid) ? std::nullopt : owner;
}

Result<void> set_owner(state::Store &store, const std::string &vm, const Owner &owner)
{
	const auto key = key_of(vm);
	const nlohmann::json json{{"epoch", owner.epoch},
				  {"here", owner.here},
				  {"host", owner.host},
				  {"uuid", owner.uuid}};

	for (;;) {
		const auto entry = CORBEL_EXPECT(store.get(key));
		const auto before = entry ? owner_in(entry->value) : std::nullopt;

		if (before && before->epoch > owner.epoch && !is_another(*before, owner.uuid))
			return {};
		if (CORBEL_EXPECT(store.commit({.conditions = {{key, entry ? entry->changed : 0}},
						.changes = {state::Put{key, json.dump()}}}))
			    .committed)
			return {};
	}
}

Result<void> claim(state::Store &store, const std::string &vm)
{
	const auto owner = CORBEL_EXPECT(owner_of(store, vm, {}));

	if (!owner || owner->here)
		return {};
	return set_owner(store, vm, {.epoch = owner->epoch, .here = true, .uuid = owner->uuid});
}

} /* namespace corbel::daemon */
