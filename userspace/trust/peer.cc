// SPDX-License-Identifier: GPL-2.0-or-later
#include "peer.hh"

#include "address.hh"

#include <cerrno>

#include <fmt/format.h>

namespace corbel::trust {

Result<void> check(const PeerTrust &peer)
{
	const auto wrong = [&](std::string_view why) {
		return failure(EINVAL, fmt::format("What is known of a paired host cannot be used: "
						   "{}. Remove it, and pair it anew.",
						   why));
	};

	if (!host_id_of(peer.id.uuid))
		return wrong("its id is none");
	if (!is_host_name(peer.name))
		return wrong("its name is none");
	const auto address = address_of(peer.address);
	if (!address)
		return wrong(address.error().sentence);
	const auto authority = Certificate::of_pem(peer.authority);
	if (!authority)
		return wrong(authority.error().sentence);
	const auto sound = authority->check_authority();
	if (!sound)
		return wrong("of its authority's certificate: " + sound.error().sentence);
	if (authority->host_id() != peer.id)
		return wrong("its authority is that of another host");
	if (peer.crl.empty())
		return {};
	const auto list = RevocationList::of_pem(peer.crl);
	if (!list)
		return wrong(list.error().sentence);
	if (!list->is_signed_by(*authority))
		return wrong("its revocation list is not by its authority");
	return {};
}

nlohmann::ordered_json json_of(const PeerTrust &peer)
{
	return {{"id", peer.id.uuid},
		{"name", peer.name},
		{"address", peer.address},
		{"authority", peer.authority},
		{"crl", peer.crl}};
}

Result<PeerTrust> peer_of(const std::string &text)
{
	PeerTrust peer;

	try {
		const auto json = nlohmann::ordered_json::parse(text);

		peer.id.uuid = json.at("id");
		peer.name = json.at("name");
		peer.address = json.at("address");
		peer.authority = json.at("authority");
		peer.crl = json.at("crl");
	} catch (const std::exception &error) {
		return failure(EUCLEAN,
			       fmt::format("A paired host in the state cannot be read: {}.",
					   error.what()));
	}
	auto sound = check(peer);
	if (!sound)
		return failure(EUCLEAN, std::move(sound).error().sentence);
	return peer;
}

Result<bool> adopt_crl(PeerTrust &peer, const std::string &crl)
{
	const auto authority = CORBEL_EXPECT(Certificate::of_pem(peer.authority));
	const auto offered = RevocationList::of_pem(crl);

	if (!offered)
		return failure(EINVAL,
			       fmt::format("The revocation list of host '{}' is not taken: {}.",
					   peer.name, offered.error().sentence));
	if (!offered->is_signed_by(authority))
		return failure(EKEYREJECTED,
			       fmt::format("The revocation list said to be of host '{}' is not "
					   "taken: its authority has not signed it.",
					   peer.name));
	if (peer.crl.empty()) {
		peer.crl = crl;
		return true;
	}
	const auto held = CORBEL_EXPECT(RevocationList::of_pem(peer.crl));
	if (offered->number() < held.number())
		return failure(ESTALE, fmt::format("The revocation list of host '{}' is not taken: "
						   "it is number {}, and number {} is held.",
						   peer.name, offered->number(), held.number()));
	if (offered->number() == held.number())
		return false;
	peer.crl = crl;
	return true;
}

} /* namespace corbel::trust */
