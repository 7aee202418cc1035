// SPDX-License-Identifier: GPL-2.0-or-later
#include "certificate.hh"

#include "openssl.hh"

#include <algorithm>
#include <ctime>

namespace corbel::trust {

namespace {

constexpr std::string_view uri_prefix = "corbel:host:";

std::optional<Time> time_of(const ASN1_TIME *time)
{
	std::tm parts{};

	if (!time || ASN1_TIME_to_tm(time, &parts) != 1)
		return std::nullopt;
	return Time(std::chrono::seconds(::timegm(&parts)));
}

std::string serial_of(const ASN1_INTEGER *integer)
{
	const NumberPointer number(ASN1_INTEGER_to_BN(integer, nullptr));
	const std::unique_ptr<char, Freed<[](char *text) { OPENSSL_free(text); }>> text(
		number ? BN_bn2hex(number.get()) : nullptr);

	return text ? text.get() : "";
}

std::string_view bytes_of(const ASN1_STRING *string)
{
	return {reinterpret_cast<const char *>(ASN1_STRING_get0_data(string)),
		static_cast<std::size_t>(ASN1_STRING_length(string))};
}

/* There is no password on them; without this OpenSSL would ask the terminal for one. */
int no_password(char *, int, int, void *)
{
	return -1;
}

/* What a certificate of a host and that of its authority have in common. */
Result<void> check_form(const Certificate &certificate)
{
	const auto *key = X509_get0_pubkey(certificate.get());
	char group[32] = "";

	if (X509_get_extension_flags(certificate.get()) &
	    (EXFLAG_INVALID | EXFLAG_CRITICAL | EXFLAG_V1))
		return failure(EINVAL, "it has extensions that make no sense");
	if (!key || EVP_PKEY_get_id(key) != EVP_PKEY_EC ||
	    EVP_PKEY_get_group_name(key, group, sizeof(group), nullptr) != 1 ||
	    std::string_view(group) != SN_X9_62_prime256v1)
		return failure(EINVAL, "its key is not one of ECDSA P-256");
	if (X509_get_signature_nid(certificate.get()) != NID_ecdsa_with_SHA256)
		return failure(EINVAL, "it is not signed with ECDSA and SHA-256");
	if (!certificate.host_id())
		return failure(EINVAL, "it does not name one host by its id");
	if (!certificate.name())
		return failure(EINVAL, "it does not name a host");
	if (!certificate.not_before() || !certificate.not_after())
		return failure(EINVAL, "its dates cannot be read");
	return {};
}

} /* namespace */

std::string text_of(const Fingerprint &fingerprint)
{
	return hex_of(std::string_view(reinterpret_cast<const char *>(fingerprint.bytes.data()),
				       fingerprint.bytes.size()));
}

Fingerprint sha256(std::string_view bytes)
{
	Fingerprint sum;

	/* With room for the result it fails only if SHA-256 itself is missing. */
	if (EVP_Digest(bytes.data(), bytes.size(), sum.bytes.data(), nullptr, EVP_sha256(),
		       nullptr) != 1)
		std::abort();
	return sum;
}

/* ---- certificates ------------------------------------------------------------------ */

Result<Certificate> Certificate::of_pem(std::string_view pem)
{
	const auto bio = bio_of(pem);
	auto *x509 = bio ? PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr) : nullptr;

	ERR_clear_error();
	if (!x509)
		return failure(EINVAL, "There is no certificate that can be read");
	return Certificate(std::shared_ptr<x509_st>(x509, X509_free));
}

Certificate Certificate::of(x509_st *x509)
{
	X509_up_ref(x509);
	return Certificate(std::shared_ptr<x509_st>(x509, X509_free));
}

std::string Certificate::pem() const
{
	const BioPointer bio(BIO_new(BIO_s_mem()));

	if (!bio || PEM_write_bio_X509(bio.get(), get()) != 1)
		return {};
	return text_of(bio.get());
}

Fingerprint Certificate::fingerprint() const
{
	Fingerprint sum;

	if (X509_digest(get(), EVP_sha256(), sum.bytes.data(), nullptr) != 1)
		std::abort();
	return sum;
}

std::string Certificate::serial() const
{
	return serial_of(X509_get0_serialNumber(get()));
}

std::optional<Time> Certificate::not_before() const
{
	return time_of(X509_get0_notBefore(get()));
}

std::optional<Time> Certificate::not_after() const
{
	return time_of(X509_get0_notAfter(get()));
}

std::optional<std::string> Certificate::name() const
{
	const auto *subject = X509_get_subject_name(get());
	const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
		return std::nullopt;
	const auto text = bytes_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	return is_host_name(text) ? std::optional(std::string(text)) : std::nullopt;
}

std::optional<HostId> Certificate::host_id() const
{
	const std::unique_ptr<GENERAL_NAMES, Freed<GENERAL_NAMES_free>> names(
		static_cast<GENERAL_NAMES *>(
			X509_get_ext_d2i(get(), NID_subject_alt_name, nullptr, nullptr)));

	if (!names || sk_GENERAL_NAME_num(names.get()) != 1)
		return std::nullopt;
	const auto *name = sk_GENERAL_NAME_value(names.get(), 0);
	if (name->type != GEN_URI)
		return std::nullopt;
	const auto uri = bytes_of(name->d.uniformResourceIdentifier);
	if (!uri.starts_with(uri_prefix))
		return std::nullopt;
	return host_id_of(uri.substr(uri_prefix.size()));
}

Result<void> Certificate::check_authority() const
{
	CORBEL_EXPECT(check_form(*this));
	if (!(X509_get_extension_flags(get()) & EXFLAG_CA) ||
	    !(X509_get_key_usage(get()) & KU_KEY_CERT_SIGN))
		return failure(EINVAL, "it is not that of an authority");
	if (!is_signed_by(*this))
		return failure(EINVAL, "it is not signed by itself");
	return {};
}

Result<void> Certificate::check_leaf() const
{
	constexpr std::uint32_t both = XKU_SSL_SERVER | XKU_SSL_CLIENT;

	CORBEL_EXPECT(check_form(*this));
	if (X509_get_extension_flags(get()) & EXFLAG_CA)
		return failure(EINVAL, "it is that of an authority, not of a host");
	/* All bits are set if nothing is said. */
	if (!(X509_get_extension_flags(get()) & EXFLAG_XKUSAGE) ||
	    (X509_get_extended_key_usage(get()) & both) != both)
		return failure(EINVAL, "it is not one for both ends of a connection");
	return {};
}

bool Certificate::is_signed_by(const Certificate &authority) const
{
	const bool right = X509_NAME_cmp(X509_get_issuer_name(get()),
					 X509_get_subject_name(authority.get())) == 0 &&
			   X509_verify(get(), X509_get0_pubkey(authority.get())) == 1;

	ERR_clear_error();
	return right;
}

bool Certificate::has_key(evp_pkey_st *key) const
{
	const bool right = X509_check_private_key(get(), key) == 1;

	ERR_clear_error();
	return right;
}

/* ---- revocation lists -------------------------------------------------------------- */

Result<RevocationList> RevocationList::of_pem(std::string_view pem)
{
	RevocationList list;
	const auto bio = bio_of(pem);

	list.crl_.reset(bio ? PEM_read_bio_X509_CRL(bio.get(), nullptr, no_password, nullptr)
			    : nullptr,
			X509_CRL_free);
	ERR_clear_error();
	if (!list.crl_)
		return failure(EINVAL, "There is no revocation list that can be read");
	const IntegerPointer number(static_cast<ASN1_INTEGER *>(
		X509_CRL_get_ext_d2i(list.crl_.get(), NID_crl_number, nullptr, nullptr)));
	if (!number || ASN1_INTEGER_get_uint64(&list.number_, number.get()) != 1) {
		ERR_clear_error();
		return failure(EINVAL, "The revocation list has no number that can be read");
	}
	auto *entries = X509_CRL_get_REVOKED(list.crl_.get());
	for (int i = 0; i < sk_X509_REVOKED_num(entries); i++) {
		const auto *entry = sk_X509_REVOKED_value(entries, i);
		const auto when = time_of(X509_REVOKED_get0_revocationDate(entry));

		if (!when)
			return failure(EINVAL, "A date in the revocation list cannot be read");
		list.revoked_.push_back({serial_of(X509_REVOKED_get0_serialNumber(entry)), *when});
	}
	return list;
}

bool RevocationList::is_signed_by(const Certificate &authority) const
{
	const bool right = X509_NAME_cmp(X509_CRL_get_issuer(crl_.get()),
					 X509_get_subject_name(authority.get())) == 0 &&
			   X509_CRL_verify(crl_.get(), X509_get0_pubkey(authority.get())) == 1;

	ERR_clear_error();
	return right;
}

std::optional<Time> RevocationList::when(const std::string &serial) const
{
	const auto found = std::ranges::find(revoked_, serial, &Revoked::serial);

	return found == revoked_.end() ? std::nullopt : std::optional(found->when);
}

/* ---- keys -------------------------------------------------------------------------- */

Result<std::shared_ptr<evp_pkey_st>> key_of_pem(std::string_view pem)
{
	const auto bio = bio_of(pem);
	auto *key =
		bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr) : nullptr;

	ERR_clear_error();
	if (!key)
		return failure(EINVAL, "There is no key that can be read");
	return std::shared_ptr<evp_pkey_st>(key, EVP_PKEY_free);
}

} /* namespace corbel::trust */
