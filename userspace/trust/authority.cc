// SPDX-License-Identifier: GPL-2.0-or-later
#include "authority.hh"

#include "openssl.hh"

#include <openssl/rand.h>

namespace corbel::trust {

namespace {

constexpr long version_3 = 2; /* they count from 0 */
constexpr long list_version_2 = 1;

struct Extension {
	int nid;
	std::string value;
};

/* Random, so that no two hosts and no two certificates have the same. */
bool set_serial(X509 *certificate)
{
	unsigned char bytes[16];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	bytes[0] =
		static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40); /* positive, of full length */
	const NumberPointer number(BN_bin2bn(bytes, sizeof(bytes), nullptr));
	return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate));
}

bool set_dates(X509 *certificate, Time from, Time until)
{
	return ASN1_TIME_set(X509_getm_notBefore(certificate), from.time_since_epoch().count()) &&
	       ASN1_TIME_set(X509_getm_notAfter(certificate), until.time_since_epoch().count());
}

bool add_name(X509_NAME *subject, const std::string &name)
{
	return X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
					  reinterpret_cast<const unsigned char *>(name.data()),
					  static_cast<int>(name.size()), -1, 0) == 1;
}

bool add_extensions(X509 *certificate, X509 *issuer, const std::vector<Extension> &extensions)
{
	X509V3_CTX context;

	X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
	for (const auto &[nid, value] : extensions) {
		const std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>> extension(
			X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));

		if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1)
			return false;
	}
	return true;
}

std::string pem_of(EVP_PKEY *key)
{
	const BioPointer bio(BIO_new(BIO_s_secmem()));

	if (!bio ||
	    PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
		return {};
	return text_of(bio.get());
}

struct Wanted {
	HostId id;
	std::string name;
	Time now;
	std::chrono::seconds life;
	std::vector<Extension> extensions;
};

/* Without an issuer it signs itself. */
Result<Issued> make_certificate(Wanted wanted, X509 *issuer, EVP_PKEY *issuer_key)
{
	const KeyPointer key(EVP_EC_gen(SN_X9_62_prime256v1));
	const X509Pointer made(X509_new());

	if (!key || !made)
		return openssl_failure("make a key");
	auto *certificate = made.get();
	wanted.extensions.push_back({NID_subject_alt_name, "URI:corbel:host:" + wanted.id.uuid});
	if (X509_set_version(certificate, version_3) != 1 || !set_serial(certificate) ||
	    !set_dates(certificate, wanted.now - slack, wanted.now + wanted.life) ||
	    !add_name(X509_get_subject_name(certificate), wanted.name) ||
	    X509_set_issuer_name(certificate,
				 X509_get_subject_name(issuer ? issuer : certificate)) != 1 ||
	    X509_set_pubkey(certificate, key.get()) != 1 ||
	    !add_extensions(certificate, issuer ? issuer : certificate, wanted.extensions) ||
	    X509_sign(certificate, issuer_key ? issuer_key : key.get(), EVP_sha256()) == 0)
		return openssl_failure("make a certificate");
	Issued issued{Certificate::of(certificate).pem(), pem_of(key.get())};
	if (issued.certificate.empty() || issued.key.empty())
		return openssl_failure("write a certificate");
	return issued;
}

} /* namespace */

Result<Issued> Authority::make(const HostId &id, const std::string &name, Time now,
			       std::chrono::seconds life)
{
	return make_certificate(
		{.id = id,
		 .name = name,
		 .now = now,
		 .life = life,
		 .extensions = {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
				{NID_key_usage, "critical,keyCertSign,cRLSign"}}},
		nullptr, nullptr);
}

Result<Authority> Authority::of(std::string_view certificate, std::string_view key)
{
	auto read = CORBEL_EXPECT(Certificate::of_pem(certificate));
	auto its_key = CORBEL_EXPECT(key_of_pem(key));

	CORBEL_EXPECT(read.check_authority());
	if (!read.has_key(its_key.get()))
		return failure(EINVAL, "The key is not that of the certificate");
	return Authority(std::move(read), std::move(its_key));
}

Result<Issued> Authority::issue(const std::string &name, Time now, std::chrono::seconds life) const
{
	return make_certificate({.id = *certificate_.host_id(), /* has one: check_authority() */
				 .name = name,
				 .now = now,
				 .life = life,
				 .extensions = {{NID_basic_constraints, "critical,CA:FALSE"},
						{NID_key_usage, "critical,digitalSignature"},
						{NID_ext_key_usage, "serverAuth,clientAuth"}}},
				certificate_.get(), key_.get());
}

Result<std::string> Authority::list(const std::vector<Revoked> &revoked, std::uint64_t number,
				    Time now) const
{
	const CrlPointer crl(X509_CRL_new());
	const IntegerPointer counted(ASN1_INTEGER_new());
	const std::unique_ptr<ASN1_TIME, Freed<ASN1_TIME_free>> time(
		ASN1_TIME_set(nullptr, now.time_since_epoch().count()));

	if (!crl || !counted || !time || ASN1_INTEGER_set_uint64(counted.get(), number) != 1 ||
	    X509_CRL_set_version(crl.get(), list_version_2) != 1 ||
	    X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(certificate_.get())) != 1 ||
	    X509_CRL_set1_lastUpdate(crl.get(), time.get()) != 1 ||
	    X509_CRL_add1_ext_i2d(crl.get(), NID_crl_number, counted.get(), 0, 0) != 1)
		return openssl_failure("make a revocation list");
	for (const auto &one : revoked) {
		std::unique_ptr<X509_REVOKED, Freed<X509_REVOKED_free>> entry(X509_REVOKED_new());
		BIGNUM *read = nullptr;
		const bool is_number = BN_hex2bn(&read, one.serial.c_str()) > 0;
		const NumberPointer serial(read);
		const IntegerPointer integer(is_number ? BN_to_ASN1_INTEGER(read, nullptr)
						       : nullptr);

		if (!entry || !integer ||
		    !ASN1_TIME_set(time.get(), one.when.time_since_epoch().count()) ||
		    X509_REVOKED_set_serialNumber(entry.get(), integer.get()) != 1 ||
		    X509_REVOKED_set_revocationDate(entry.get(), time.get()) != 1 ||
		    X509_CRL_add0_revoked(crl.get(), entry.get()) != 1)
			return openssl_failure("put a certificate on a revocation list");
		(void)entry.release(); /* the list has it */
	}
	const BioPointer bio(BIO_new(BIO_s_mem()));
	if (X509_CRL_sort(crl.get()) != 1 ||
	    X509_CRL_sign(crl.get(), key_.get(), EVP_sha256()) == 0 || !bio ||
	    PEM_write_bio_X509_CRL(bio.get(), crl.get()) != 1)
		return openssl_failure("sign a revocation list");
	return text_of(bio.get());
}

} /* namespace corbel::trust */
