// SPDX-License-Identifier: GPL-2.0-or-later
#include "verify.hh"

#include <fmt/format.h>

namespace corbel::trust {

namespace {

/* "Host 'b' (5c0e...) at 10.0.0.2" */
std::string host_text(const Certificate &leaf, const Contact &contact)
{
	return fmt::format("Host '{}' ({}) at {}", leaf.name().value_or("?"),
			   leaf.host_id().value_or(HostId{"?"}).uuid, contact.remote);
}

std::expected<void, Refusal> check_form(std::span<const Certificate> chain, const Contact &contact)
{
	const auto wrong = [&](std::string_view why) {
		return contact.refuse(Reason::malformed,
				      fmt::format("{} shows certificates that are none of "
						  "Corbel's: {}. See what runs there.",
						  contact.remote, why));
	};

	if (chain.size() != 2)
		return wrong(
			fmt::format("there are {}, not that of a host and that of its authority",
				    chain.size()));
	const auto &leaf = chain[0], &authority = chain[1];
	if (const auto sound = authority.check_authority(); !sound)
		return wrong("of the authority, " + sound.error().sentence);
	if (const auto sound = leaf.check_leaf(); !sound)
		return wrong("of the host, " + sound.error().sentence);
	if (!leaf.is_signed_by(authority))
		return wrong("the host's is not signed by the authority it shows");
	/* An authority is for its own host alone. */
	if (leaf.host_id() != authority.host_id())
		return contact.refuse(
			Reason::wrong_host,
			fmt::format(
				"{} shows a certificate that is forged: the authority of host {} "
				"signed for host {}, and each counts for its own host alone. See "
				"what runs there.",
				contact.remote, authority.host_id()->uuid, leaf.host_id()->uuid));
	return {};
}

/* Of a sound form, so that there are dates. */
std::expected<void, Refusal> check_dates(std::span<const Certificate> chain, const Contact &contact)
{
	const auto host = host_text(chain[0], contact);

	for (const auto &certificate : chain) {
		const bool is_leaf = &certificate == chain.data();
		const auto *what = is_leaf ? "a certificate" : "an authority";

		if (contact.now > *certificate.not_after())
			return contact.refuse(
				Reason::expired,
				fmt::format("{} shows {} that expired on {}: {}, and see that the "
					    "clocks of both hosts are right.",
					    host, what, text_of(*certificate.not_after()),
					    is_leaf ? "run `corbel host rotate` there"
						    : "give it a new identity and pair it anew"));
		if (contact.now < *certificate.not_before())
			return contact.refuse(
				Reason::not_yet_valid,
				fmt::format(
					"{} shows {} that is valid only from {} on: see that the "
					"clocks of both hosts are right.",
					host, what, text_of(*certificate.not_before())));
	}
	return {};
}

Presented presented(std::span<const Certificate> chain)
{
	const auto &leaf = chain[0], &authority = chain[1];

	return {.id = *leaf.host_id(),
		.name = *leaf.name(),
		.authority = authority.pem(),
		.fingerprint = authority.fingerprint(),
		.serial = leaf.serial(),
		.not_after = *leaf.not_after()};
}

} /* namespace */

std::expected<Presented, Refusal> inspect(std::span<const Certificate> chain,
					  const Contact &contact)
{
	if (const auto sound = check_form(chain, contact); !sound)
		return std::unexpected(sound.error());
	if (const auto current = check_dates(chain, contact); !current)
		return std::unexpected(current.error());
	return presented(chain);
}

/*
 * In this order: a reason is only told of a certificate whose authority is the right one, so
 * that nobody else can make a paired host look revoked or expired.
 */
std::expected<Presented, Refusal> verify(std::span<const Certificate> chain,
					 const PeerTrust &expected, const Contact &contact)
{
	if (const auto sound = check_form(chain, contact); !sound)
		return std::unexpected(sound.error());
	const auto &leaf = chain[0], &authority = chain[1];

	if (leaf.host_id() != expected.id)
		return contact.refuse(
			Reason::wrong_host,
			fmt::format(
				"Host '{}' ({}) was expected at {}, and host '{}' ({}) answered: "
				"see which host has that address now.",
				expected.name, expected.id.uuid, contact.remote, *leaf.name(),
				leaf.host_id()->uuid));
	const auto pinned = Certificate::of_pem(expected.authority);
	if (!pinned || authority.fingerprint() != pinned->fingerprint())
		return contact.refuse(
			Reason::foreign_authority,
			fmt::format(
				"{} shows a certificate of authority {}, and it was paired with "
				"authority {}: if it got a new identity, pair it anew; if not, "
				"somebody else uses its name.",
				host_text(leaf, contact), text_of(authority.fingerprint()),
				pinned ? text_of(pinned->fingerprint()) : "?"));
	if (!expected.crl.empty()) {
		const auto list = RevocationList::of_pem(expected.crl);

		/* A list that cannot be read could hold anything. */
		if (!list || !list->is_signed_by(authority))
			return contact.refuse(
				Reason::malformed,
				fmt::format("{} cannot be taken: its revocation list here is "
					    "damaged. Remove the host, and pair it anew.",
					    host_text(leaf, contact)));
		if (const auto when = list->when(leaf.serial()))
			return contact.refuse(
				Reason::revoked,
				fmt::format(
					"{} shows a certificate, serial {}, that was revoked on "
					"{}: restart Corbel's daemon there; if it uses its new "
					"certificate, somebody else has the old key.",
					host_text(leaf, contact), leaf.serial(), text_of(*when)));
	}
	return inspect(chain, contact);
}

std::expected<Admitted, Refusal> admit(std::span<const Certificate> chain, const Lookup &lookup,
				       bool pairing_open, const Contact &contact)
{
	if (const auto sound = check_form(chain, contact); !sound)
		return std::unexpected(sound.error());
	const auto &leaf = chain[0];
	const auto standing = lookup(*leaf.host_id());

	if (const auto *peer = std::get_if<PeerTrust>(&standing)) {
		auto host = verify(chain, *peer, contact);
		if (!host)
			return std::unexpected(std::move(host).error());
		return Admitted{.host = *std::move(host), .known = true};
	}
	if (!pairing_open) {
		if (const auto *removed = std::get_if<Removed>(&standing))
			return contact.refuse(
				Reason::removed_host,
				fmt::format(
					"{} was paired once, as '{}', and removed on {}: `corbel "
					"host invite` lets it pair again.",
					host_text(leaf, contact), removed->name,
					text_of(removed->when)));
		return contact.refuse(
			Reason::foreign_authority,
			fmt::format("{} shows a certificate of authority {}, with which no host is "
				    "paired: `corbel host invite` lets it pair.",
				    host_text(leaf, contact), text_of(chain[1].fingerprint())));
	}
	auto host = inspect(chain, contact);
	if (!host)
		return std::unexpected(std::move(host).error());
	return Admitted{.host = *std::move(host), .known = false};
}

} /* namespace corbel::trust */
