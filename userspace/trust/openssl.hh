/* SPDX-License-Identifier: GPL-2.0-or-later */
/* openssl.hh - OpenSSL's objects, each freed with its owner; for the sources of this folder. */
#pragma once

#include <libcorbel/error.hh>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace corbel::trust {

template <auto release>
struct Freed {
	template <typename T>
	void operator()(T *object) const
	{
		release(object);
	}
};

using BioPointer = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using KeyPointer = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using X509Pointer = std::unique_ptr<X509, Freed<X509_free>>;
using CrlPointer = std::unique_ptr<X509_CRL, Freed<X509_CRL_free>>;
using NumberPointer = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using IntegerPointer = std::unique_ptr<ASN1_INTEGER, Freed<ASN1_INTEGER_free>>;

/* It reads @text where it is, so this must outlive it. */
inline BioPointer bio_of(std::string_view text)
{
	return BioPointer(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

inline std::string text_of(BIO *bio)
{
	char *data = nullptr;
	const auto size = BIO_get_mem_data(bio, &data);

	return {data, static_cast<std::size_t>(size)};
}

/* What OpenSSL cannot do, and why; its own list of reasons is empty afterwards. */
inline std::unexpected<Error> openssl_failure(std::string_view what)
{
	const auto code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);

	ERR_clear_error();
	return failure(EIO, fmt::format("OpenSSL cannot {} ({}): see that libssl3 is whole.", what,
					reason ? reason : "no reason given"));
}

} /* namespace corbel::trust */
