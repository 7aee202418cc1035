/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * certificate.hh - certificates and revocation lists, as they are read.
 *
 * Both are values that never change and may be used by several threads. Nothing they say is
 * to be believed before verify.hh has had a look at it. No function here blocks.
 */
#pragma once

#include "host_id.hh"

#include <libcorbel/error.hh>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct X509_crl_st;
struct evp_pkey_st;
struct x509_st;

namespace corbel::trust {

/* SHA-256 of a certificate's DER. */
struct Fingerprint {
	std::array<std::uint8_t, 32> bytes{};

	bool operator==(const Fingerprint &) const = default;
};

/* 64 hexadecimal digits. */
[[nodiscard]] std::string text_of(const Fingerprint &fingerprint);
[[nodiscard]] Fingerprint sha256(std::string_view bytes);

class Certificate {
public:
	/* The first one in @pem. EINVAL: there is none that can be read. */
	[[nodiscard]] static Result<Certificate> of_pem(std::string_view pem);
	/* Shares it with whoever has it. */
	[[nodiscard]] static Certificate of(x509_st *x509);

	[[nodiscard]] std::string pem() const;
	[[nodiscard]] Fingerprint fingerprint() const;
	/* In hexadecimal digits. */
	[[nodiscard]] std::string serial() const;
	/* Each nothing if it does not say, or in a way that is not Corbel's. */
	[[nodiscard]] std::optional<Time> not_before() const;
	[[nodiscard]] std::optional<Time> not_after() const;
	[[nodiscard]] std::optional<std::string> name() const;
	[[nodiscard]] std::optional<HostId> host_id() const;

	/* Of the form of a host's authority, signed by itself; EINVAL and what it lacks. */
	[[nodiscard]] Result<void> check_authority() const;
	/* Of the form of a host's own; EINVAL and what it lacks. */
	[[nodiscard]] Result<void> check_leaf() const;
	[[nodiscard]] bool is_signed_by(const Certificate &authority) const;
	[[nodiscard]] bool has_key(evp_pkey_st *key) const;

	[[nodiscard]] x509_st *get() const { return x509_.get(); }

private:
	explicit Certificate(std::shared_ptr<x509_st> x509) : x509_(std::move(x509)) {}

	std::shared_ptr<x509_st> x509_;
};

struct Revoked {
	std::string serial; /* as of Certificate::serial() */
	Time when;

	bool operator==(const Revoked &) const = default;
};

class RevocationList {
public:
	/* The first one in @pem. EINVAL: there is none that can be read. */
	[[nodiscard]] static Result<RevocationList> of_pem(std::string_view pem);

	[[nodiscard]] bool is_signed_by(const Certificate &authority) const;
	/* One more with each that an authority makes. */
	[[nodiscard]] std::uint64_t number() const { return number_; }
	[[nodiscard]] const std::vector<Revoked> &revoked() const { return revoked_; }
	/* Nothing: it is not on the list. */
	[[nodiscard]] std::optional<Time> when(const std::string &serial) const;

private:
	RevocationList() = default;

	std::shared_ptr<X509_crl_st> crl_;
	std::uint64_t number_ = 0;
	std::vector<Revoked> revoked_;
};

/* The first private key in @pem. EINVAL: there is none that can be read. */
[[nodiscard]] Result<std::shared_ptr<evp_pkey_st>> key_of_pem(std::string_view pem);

} /* namespace corbel::trust */
