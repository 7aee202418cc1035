/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * refusal.hh - why two hosts did not come together: a reason for programs, a sentence for
 * people.
 */
#pragma once

#include "host_id.hh"

#include <expected>
#include <string>
#include <string_view>

namespace corbel::trust {

enum class Reason {
	expired, /* its certificate */
	not_yet_valid,
	foreign_authority, /* not the one that host is paired with, or none that is known */
	revoked,
	wrong_host, /* another one answered */
	removed_host, /* paired once */
	malformed, /* not certificates of the form Corbel's have */
	plaintext, /* it speaks without TLS */
	no_certificate, /* it shows none */
	refused_there, /* the other side does not take this host */
	too_many, /* connections of one address that have not yet said who they are */
	timeout,
	closed, /* by the other side, without a reason */
	protocol, /* TLS, but not such as Corbel speaks */
};

/* "foreign_authority" */
[[nodiscard]] std::string_view name_of(Reason reason);

struct Refusal {
	Reason reason;
	/* Nothing in it changes from one attempt to the next, so that they can be counted. */
	std::string sentence;
	std::string remote; /* "[fe80::1]:7464"; of who connected to here without the port */
	Time when;
};

/* Who it is about, and when. */
struct Contact {
	std::string remote;
	Time now;

	[[nodiscard]] std::unexpected<Refusal> refuse(Reason reason, std::string sentence) const
	{
		return std::unexpected(Refusal{reason, std::move(sentence), remote, now});
	}
};

} /* namespace corbel::trust */
