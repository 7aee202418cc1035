// SPDX-License-Identifier: GPL-2.0-or-later
#include "refusal.hh"

#include <array>

namespace corbel::trust {

std::string_view name_of(Reason reason)
{
	constexpr std::array<std::string_view, 14> names{
		"expired",	  "not_yet_valid", "foreign_authority", "revoked",
		"wrong_host",	  "removed_host",  "malformed",		"plaintext",
		"no_certificate", "refused_there", "too_many",		"timeout",
		"closed",	  "protocol",
	};

	static_assert(static_cast<std::size_t>(Reason::protocol) + 1 == names.size());
	return names[static_cast<std::size_t>(reason)];
}

} /* namespace corbel::trust */
