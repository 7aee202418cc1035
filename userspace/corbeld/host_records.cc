// SPDX-License-Identifier: GPL-2.0-or-later
#include "host_records.hh"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::daemon {

namespace {

using nlohmann::ordered_json;
using trust::HostId;
using trust::PeerTrust;

constexpr std::string_view peer_prefix = "host/peer/";
constexpr const char *address_key = "host/address";

std::string peer_key(const HostId &id)
{
	return fmt::format("{}{}", peer_prefix, id.uuid);
}

std::string removed_key(const HostId &id)
{
	return fmt::format("host/removed/{}", id.uuid);
}

} /* namespace */

Result<std::vector<PeerTrust>> HostRecords::list()
{
	std::vector<PeerTrust> peers;

	for (const auto &entry : CORBEL_EXPECT(store_.list(peer_prefix)))
		peers.push_back(CORBEL_EXPECT(trust::peer_of(entry.value)));
	return peers;
}

Result<PeerTrust> HostRecords::find(const std::string &name_or_id)
{
	std::vector<PeerTrust> found;

	for (auto &peer : CORBEL_EXPECT(list()))
		if (peer.id.uuid == name_or_id || peer.name == name_or_id)
			found.push_back(std::move(peer));
	if (found.size() > 1)
		return failure(EEXIST,
			       fmt::format("{} hosts are called '{}': name it by the id that "
					   "`corbel host list` shows.",
					   found.size(), name_or_id));
	if (found.empty())
		return failure(
			ENOENT,
			fmt::format("This host is paired with none called '{}': `corbel host "
				    "list` shows those it is paired with.",
				    name_or_id));
	return found.front();
}

trust::Standing HostRecords::standing(const HostId &id)
{
	if (const auto entry = store_.get(peer_key(id)); entry && *entry)
		if (auto peer = trust::peer_of((*entry)->value))
			return *std::move(peer);
	if (const auto entry = store_.get(removed_key(id)); entry && *entry) {
		const auto json = ordered_json::parse((*entry)->value, nullptr, false);

		if (json.is_object())
			return trust::Removed{json.value("name", std::string()),
					      trust::Time(std::chrono::seconds(
						      json.value("when_s", std::int64_t{0})))};
	}
	return trust::Stranger{};
}

std::vector<std::variant<state::Put, state::Erase>>
HostRecords::changes_to_keep(const PeerTrust &peer)
{
	return {state::Put{peer_key(peer.id), json_of(peer).dump()},
		state::Erase{removed_key(peer.id)}};
}

Result<void> HostRecords::commit(const state::Transaction &transaction)
{
	(void)CORBEL_EXPECT(store_.commit(transaction));
	return {};
}

Result<void> HostRecords::keep(const PeerTrust &peer)
{
	CORBEL_EXPECT(check(peer));
	return commit({.conditions = {}, .changes = changes_to_keep(peer)});
}

Result<bool> HostRecords::remove(const PeerTrust &peer, trust::Time when)
{
	const auto key = peer_key(peer.id);
	const ordered_json record{{"name", peer.name}, {"when_s", when.time_since_epoch().count()}};
	const auto entry = CORBEL_EXPECT(store_.get(key));

	if (!entry)
		return false;
	return CORBEL_EXPECT(store_.commit({.conditions = {{key, entry->changed}},
					    .changes = {state::Erase{key},
							state::Put{removed_key(peer.id),
								   record.dump()}}}))
		.committed;
}

Result<void> HostRecords::update(const HostId &id, const std::string &name,
				 const std::string &address, const std::string &crl)
{
	const auto key = peer_key(id);

	for (;;) {
		const auto entry = CORBEL_EXPECT(store_.get(key));
		if (!entry)
			return failure(ENOENT, "That host was removed meanwhile.");
		auto peer = CORBEL_EXPECT(trust::peer_of(entry->value));
		const auto before = peer;

		if (!name.empty())
			peer.name = name;
		if (!address.empty())
			peer.address = address;
		if (!crl.empty())
			CORBEL_EXPECT(adopt_crl(peer, crl));
		if (peer == before)
			return {};
		CORBEL_EXPECT(check(peer));
		if (CORBEL_EXPECT(
			    store_.commit({.conditions = {{key, entry->changed}},
					   .changes = {state::Put{key, json_of(peer).dump()}}}))
			    .committed)
			return {};
	}
}

Result<std::string> HostRecords::own_address()
{
	const auto entry = CORBEL_EXPECT(store_.get(address_key));

	return entry ? entry->value : std::string();
}

Result<void> HostRecords::set_own_address(const std::string &address)
{
	return commit({.conditions = {}, .changes = {state::Put{address_key, address}}});
}

} /* namespace corbel::daemon */
