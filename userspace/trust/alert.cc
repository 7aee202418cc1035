// SPDX-License-Identifier: GPL-2.0-or-later
#include "alert.hh"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace corbel::trust {

namespace {

struct Mapping {
	Reason reason;
	int verify_error;
	int alert;
	const char *text;
};

/*
 * TLS has no alert for all reasons, and OpenSSL does not offer all that TLS has. Those that
 * are used for something near to what they are called are as good as any other to two Corbels.
 */
constexpr std::array mappings{
	Mapping{Reason::expired, X509_V_ERR_CERT_HAS_EXPIRED, SSL_AD_CERTIFICATE_EXPIRED,
		"it has expired there; run `corbel host rotate`, and see that the clocks of both "
		"hosts are right"},
	Mapping{Reason::revoked, X509_V_ERR_CERT_REVOKED, SSL_AD_CERTIFICATE_REVOKED,
		"it was revoked; restart Corbel's daemon here, so that it uses its new one"},
	Mapping{Reason::foreign_authority, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, SSL_AD_UNKNOWN_CA,
		"it is not paired with this host's authority; pair the two anew"},
	Mapping{Reason::removed_host, X509_V_ERR_APPLICATION_VERIFICATION, SSL_AD_HANDSHAKE_FAILURE,
		"this host was removed there, or the two do not speak the same TLS; pair them anew"},
	Mapping{Reason::wrong_host, X509_V_ERR_INVALID_PURPOSE, SSL_AD_UNSUPPORTED_CERTIFICATE,
		"it expected another host at this address; correct the address it has"},
	Mapping{Reason::malformed, X509_V_ERR_CERT_REJECTED, SSL_AD_BAD_CERTIFICATE,
		"it is damaged, or not yet valid there; see that the clocks of both hosts are right"},
	Mapping{Reason::not_yet_valid, X509_V_ERR_CERT_NOT_YET_VALID, SSL_AD_BAD_CERTIFICATE,
		"it is damaged, or not yet valid there; see that the clocks of both hosts are right"},
};

} /* namespace */

int verify_error_of(Reason reason)
{
	const auto *found = std::ranges::find(mappings, reason, &Mapping::reason);

	return found == mappings.end() ? X509_V_ERR_CERT_REJECTED : found->verify_error;
}

std::optional<int> alert_of(int reason_code)
{
	constexpr int most = SSL_AD_REASON_OFFSET + 255;

	if (reason_code < SSL_AD_REASON_OFFSET || reason_code > most)
		return std::nullopt;
	return reason_code - SSL_AD_REASON_OFFSET;
}

std::string alert_text(const std::string &remote, int alert)
{
	const auto *found = std::ranges::find(mappings, alert, &Mapping::alert);

	if (found != mappings.end())
		return fmt::format("{} refuses this host's certificate: {}.", remote, found->text);
	return fmt::format("{} ended the handshake ({}): see what Corbel's daemon there logged.",
			   remote, SSL_alert_desc_string_long(alert));
}

} /* namespace corbel::trust */
