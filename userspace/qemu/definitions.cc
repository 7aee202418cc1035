// SPDX-License-Identifier: GPL-2.0-or-later
#include "definitions.hh"

#include <cerrno>

#include <fmt/format.h>

namespace corbel::qemu {

namespace {

constexpr std::string_view prefix = "vm/definition/";
constexpr int most_attempts = 100; /* against others who change the same */

std::string key_of(std::string_view name)
{
	return fmt::format("{}{}", prefix, name);
}

/* Holds the name of the one VM that has it. */
std::string uuid_key(std::string_view uuid)
{
	return fmt::format("vm/uuid/{}", uuid);
}

/* Files may be gone by now; that is told when it starts. */
Result<Description> read(const state::Entry &entry)
{
	auto description =
		description_of(entry.value, fmt::format("definition {}", entry.key), FileCheck::no);

	if (!description)
		description.error().number = EUCLEAN;
	return description;
}

std::unexpected<Error> no_definition(const std::string &name)
{
	return failure(ENOENT, fmt::format("No VM '{}' is defined: `corbel vm list` shows those "
					   "that are.",
					   name));
}

std::unexpected<Error> too_busy(const std::string &name)
{
	return failure(EBUSY, fmt::format("The definition of '{}' is being changed by others all "
					  "the time: try again.",
					  name));
}

} /* namespace */

Result<Defined> define(state::Store &store, Description description)
{
	const bool keeps_uuid = description.uuid.empty();

	for (int attempt = 0; attempt < most_attempts; attempt++) {
		const auto known = CORBEL_EXPECT(store.get(key_of(description.name)));
		std::string uuid_before;
		state::Transaction change;

		if (known)
			uuid_before = CORBEL_EXPECT(read(*known)).uuid;
		if (keeps_uuid)
			description.uuid = known ? uuid_before : CORBEL_EXPECT(make_uuid());
		const auto text = json_of(description).dump();
		if (known && known->value == text)
			return Defined{std::move(description), false};

		const auto owner = CORBEL_EXPECT(store.get(uuid_key(description.uuid)));
		if (owner && owner->value != description.name)
			return failure(EEXIST,
				       fmt::format("The uuid {} is that of VM '{}': leave it "
						   "out, and '{}' gets one of its own.",
						   description.uuid, owner->value,
						   description.name));
		change.conditions = {{key_of(description.name), known ? known->changed : 0},
				     {uuid_key(description.uuid), owner ? owner->changed : 0}};
		change.changes = {state::Put{key_of(description.name), text},
				  state::Put{uuid_key(description.uuid), description.name}};
		if (known && uuid_before != description.uuid)
			change.changes.emplace_back(state::Erase{uuid_key(uuid_before)});
		if (CORBEL_EXPECT(store.commit(change)).committed)
			return Defined{std::move(description), true};
	}
	return too_busy(description.name);
}

Result<void> undefine(state::Store &store, const std::string &name)
{
	for (int attempt = 0; attempt < most_attempts; attempt++) {
		const auto known = CORBEL_EXPECT(store.get(key_of(name)));

		if (!known)
			return no_definition(name);
		const auto uuid = CORBEL_EXPECT(read(*known)).uuid;
		if (CORBEL_EXPECT(store.commit({.conditions = {{key_of(name), known->changed}},
						.changes = {state::Erase{key_of(name)},
							    state::Erase{uuid_key(uuid)}}}))
			    .committed)
			return {};
	}
	return too_busy(name);
}

Result<Description> definition(state::Store &store, const std::string &name)
{
	const auto known = CORBEL_EXPECT(store.get(key_of(name)));

	if (!known)
		return no_definition(name);
	return read(*known);
}

Result<std::vector<Description>> definitions(state::Store &store)
{
	std::vector<Description> all;

	for (const auto &entry : CORBEL_EXPECT(state::list_all(store, prefix)))
		all.push_back(CORBEL_EXPECT(read(entry)));
	return all;
}

} /* namespace corbel::qemu */
