// SPDX-License-Identifier: GPL-2.0-or-later
#include "sha256.hh"

#include <fmt/format.h>
#include <openssl/evp.h>

namespace corbel::vmm {

/* OpenSSL fails here only without memory, and then makes a sum that nothing agrees with. */
Sha256::Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free)
{
	EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
}

void Sha256::add(std::string_view bytes)
{
	EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
}

std::string Sha256::text()
{
	unsigned char sum[EVP_MAX_MD_SIZE] = {};
	unsigned size = 0;
	std::string text;

	EVP_DigestFinal_ex(context_.get(), sum, &size);
	for (unsigned i = 0; i < size; i++)
		text += fmt::format("{:02x}", sum[i]);
	return text;
}

} /* namespace corbel::vmm */
