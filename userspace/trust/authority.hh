/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * authority.hh - what the authority of a host makes: itself, certificates of the host, and
 * the list of those that no longer count. Files are no matter here; nothing blocks.
 */
#pragma once

#include "certificate.hh"

#include <vector>

namespace corbel::trust {

/* Clocks of hosts differ by less. */
inline constexpr std::chrono::seconds slack = std::chrono::hours(1);

/* Both PEM. */
struct Issued {
	std::string certificate;
	std::string key;
};

class Authority {
public:
	/* A new one. EIO: OpenSSL cannot. */
	[[nodiscard]] static Result<Issued> make(const HostId &id, const std::string &name,
						 Time now, std::chrono::seconds life);
	/* EINVAL: one of them cannot be read, or they do not belong together. */
	[[nodiscard]] static Result<Authority> of(std::string_view certificate,
						  std::string_view key);

	[[nodiscard]] const Certificate &certificate() const { return certificate_; }

	/* A certificate for its own host and for no other, with a new key. */
	[[nodiscard]] Result<Issued> issue(const std::string &name, Time now,
					   std::chrono::seconds life) const;
	/* PEM; number @number, which must be above those of all before. */
	[[nodiscard]] Result<std::string> list(const std::vector<Revoked> &revoked,
					       std::uint64_t number, Time now) const;

private:
	Authority(Certificate certificate, std::shared_ptr<evp_pkey_st> key)
		: certificate_(std::move(certificate)), key_(std::move(key))
	{}

	Certificate certificate_;
	std::shared_ptr<evp_pkey_st> key_;
};

} /* namespace corbel::trust */
