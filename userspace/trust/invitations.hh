/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * invitations.hh - which tokens this host gave out, and that each lets in one host, once.
 *
 * In a store, so that they outlast a restart; of a secret only a hash is kept. All functions
 * may block on the store and may be called from any thread, also of several processes.
 */
#pragma once

#include "token.hh"

#include "../state/store.hh"

#include <vector>

namespace corbel::trust {

struct InvitationOptions {
	Clock now{}; /* empty: this host's */
	unsigned tries = 5; /* wrong secrets after which it is void */
};

class Invitations {
public:
	explicit Invitations(state::Store &store, InvitationOptions options = {});

	/*
	 * For @length from now on. @inviter is where the guest will connect to. Forgets those
	 * that ended more than a day ago. Errors of the store.
	 */
	[[nodiscard]] Result<Token> make(const Address &inviter, const Fingerprint &authority,
					 std::chrono::seconds length);
	/*
	 * Uses it up for host @guest; @also is written in the same transaction, so that nobody
	 * is paired by an invitation that counts on, and none is used up for nobody. ENOENT: it
	 * is not known. ETIMEDOUT: it has expired. EALREADY: it was used. EACCES: the secret is
	 * wrong. EPERM: it was so too often. Errors of the store.
	 */
	[[nodiscard]] Result<void>
	use(const Token &token, const HostId &guest,
	    const std::vector<std::variant<state::Put, state::Erase>> &also = {});
	/* Makes it void. ENOENT: it is not known. */
	[[nodiscard]] Result<void> revoke(std::uint64_t invitation);
	/* Whether one could be used now: only then strangers need be let in. */
	[[nodiscard]] Result<bool> any_open();

private:
	state::Store &store_;
	InvitationOptions options_;
};

} /* namespace corbel::trust */
