/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * verify.hh - whether who answers is who was meant.
 *
 * A host shows its certificate and that of its authority. It is taken if its authority is,
 * byte for byte, the one that was pinned for that host, and the certificate is by it, for
 * that host, within its dates and not on the authority's revocation list. Nothing here
 * blocks; all of it may be called from any thread.
 */
#pragma once

#include "certificate.hh"
#include "peer.hh"
#include "refusal.hh"

#include <expected>
#include <functional>
#include <span>
#include <string>
#include <variant>

namespace corbel::trust {

/* What a host says of itself. */
struct Presented {
	HostId id;
	std::string name;
	std::string authority; /* PEM */
	Fingerprint fingerprint; /* of the authority */
	std::string serial;
	Time not_after;
};

/* Not paired, and never was. */
struct Stranger {};

struct Removed {
	std::string name;
	Time when;
};

/* How this host stands to another. */
using Standing = std::variant<Stranger, PeerTrust, Removed>;
/* May block on the store; called by any thread that talks to a host. */
using Lookup = std::function<Standing(const HostId &)>;

/*
 * That @chain, the host's certificate first, is a whole one that one authority made for its
 * own host and is within its dates: all that can be said without knowing the host. The
 * reasons: malformed, wrong_host (an authority that signs for another host), expired,
 * not_yet_valid.
 */
[[nodiscard]] std::expected<Presented, Refusal> inspect(std::span<const Certificate> chain,
							const Contact &contact);

/* And that it is @expected. The other reasons: foreign_authority, revoked, wrong_host. */
[[nodiscard]] std::expected<Presented, Refusal>
verify(std::span<const Certificate> chain, const PeerTrust &expected, const Contact &contact);

struct Admitted {
	Presented host;
	bool known; /* else a stranger, of whom it is only known that he stays the same one */
};

/*
 * Whoever @lookup knows. The other reasons: removed_host, and foreign_authority for a
 * stranger, unless @pairing_open. One who was removed is a stranger then, too.
 */
[[nodiscard]] std::expected<Admitted, Refusal> admit(std::span<const Certificate> chain,
						     const Lookup &lookup, bool pairing_open,
						     const Contact &contact);

} /* namespace corbel::trust */
