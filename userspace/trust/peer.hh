/* SPDX-License-Identifier: GPL-2.0-or-later */
/* peer.hh - what a host keeps about one that it is paired with. Nothing here blocks. */
#pragma once

#include "certificate.hh"

#include <libcorbel/error.hh>

#include <nlohmann/json.hpp>

#include <string>

namespace corbel::trust {

/* Values; not to be changed by one thread while another uses the same one. */
struct PeerTrust {
	HostId id;
	std::string name;
	std::string address; /* "host:port" */
	std::string authority; /* PEM: its certificates are those that this one signed */
	std::string crl; /* PEM; empty: none is known yet */

	bool operator==(const PeerTrust &) const = default;
};

/* EINVAL: it could not be used; says what is wrong with it. */
[[nodiscard]] Result<void> check(const PeerTrust &peer);

[[nodiscard]] nlohmann::ordered_json json_of(const PeerTrust &peer);
/* EUCLEAN: @text is not such JSON, or check() does not pass. */
[[nodiscard]] Result<PeerTrust> peer_of(const std::string &text);

/*
 * Takes @crl in place of the one held, if it is newer; false: it is the one held. EINVAL: it
 * cannot be read. EKEYREJECTED: it is not by the peer's authority. ESTALE: it is older than
 * the one held, so somebody may be trying to have forgotten what was revoked since.
 */
[[nodiscard]] Result<bool> adopt_crl(PeerTrust &peer, const std::string &crl);

} /* namespace corbel::trust */
