/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host_records.hh - the hosts this one is paired with, and those it was, in the store.
 *
 * From any thread; blocks on the store.
 */
#pragma once

#include "../state/store.hh"
#include "../trust/peer.hh"
#include "../trust/verify.hh"

#include <string>
#include <variant>
#include <vector>

namespace corbel::daemon {

class HostRecords {
public:
	explicit HostRecords(state::Store &store) : store_(store) {}

	/* By id. */
	[[nodiscard]] Result<std::vector<trust::PeerTrust>> list();
	/* ENOENT: there is none of that name or id. EEXIST: several have that name. */
	[[nodiscard]] Result<trust::PeerTrust> find(const std::string &name_or_id);
	/* A host that cannot be looked up is a stranger. */
	[[nodiscard]] trust::Standing standing(const trust::HostId &id);

	/* What keeps it; for a transaction of somebody else's. */
	[[nodiscard]] static std::vector<std::variant<state::Put, state::Erase>>
	changes_to_keep(const trust::PeerTrust &peer);
	[[nodiscard]] Result<void> keep(const trust::PeerTrust &peer);
	/* False: it was none. What is kept is when it was removed. */
	[[nodiscard]] Result<bool> remove(const trust::PeerTrust &peer, trust::Time when);

	/*
	 * What another host says of itself now. EINVAL, EKEYREJECTED, ESTALE: its list of
	 * revoked certificates is not to be believed; nothing is changed then.
	 */
	[[nodiscard]] Result<void> update(const trust::HostId &id, const std::string &name,
					  const std::string &address, const std::string &crl);

	/* Where others reach this host; empty: it has not been said. */
	[[nodiscard]] Result<std::string> own_address();
	[[nodiscard]] Result<void> set_own_address(const std::string &address);

private:
	[[nodiscard]] Result<void> commit(const state::Transaction &transaction);

	state::Store &store_;
};

} /* namespace corbel::daemon */
