// SPDX-License-Identifier: GPL-2.0-or-later
#include "identity.hh"

#include "authority.hh"
#include "private_file.hh"

#include <cerrno>

#include <fmt/format.h>

namespace corbel::trust {

namespace {

namespace fs = std::filesystem;

constexpr const char *authority_file = "authority.pem";
constexpr const char *host_file = "host.pem";

IdentityOptions completed(IdentityOptions options)
{
	if (!options.now)
		options.now = now_here;
	if (!options.step)
		options.step = [] {};
	return options;
}

/* The first block of @kind, such as "CERTIFICATE", with its lines; empty: there is none. */
std::string block_of(const std::string &pem, std::string_view kind)
{
	const auto begin = pem.find(fmt::format("-----BEGIN {}-----\n", kind));
	const auto last = fmt::format("-----END {}-----\n", kind);
	const auto end = pem.find(last, begin == std::string::npos ? pem.size() : begin);

	return end == std::string::npos ? std::string()
					: pem.substr(begin, end + last.size() - begin);
}

std::unexpected<Error> damaged(const fs::path &file, std::string_view why)
{
	return failure(EUCLEAN,
		       fmt::format("{} cannot be used: {}. Put it back from a backup; without one "
				   "this host needs a new identity and must be paired anew.",
				   file.string(), why));
}

/* The Result of what is in @file, with its name in the sentence. */
template <typename T>
Result<T> in(const fs::path &file, Result<T> result)
{
	if (!result)
		return damaged(file, result.error().sentence);
	return result;
}

struct Authorities {
	std::string pem;
	Authority authority;
};

Result<Authorities> read_authority(const fs::path &folder)
{
	const auto file = folder / authority_file;
	const auto text = CORBEL_EXPECT(read_private(file));
	auto pem = block_of(text, "CERTIFICATE");
	auto authority = CORBEL_EXPECT(in(file, Authority::of(pem, text)));

	return Authorities{std::move(pem), std::move(authority)};
}

} /* namespace */

Result<Identity> Identity::create(const fs::path &folder, const std::string &name,
				  IdentityOptions options)
{
	options = completed(std::move(options));
	if (!is_host_name(name))
		return failure(EINVAL,
			       "A host's name has 1 to 64 letters, digits, dots, hyphens and "
			       "underscores.");
	std::error_code ignored;
	const auto there = failure(EEXIST, fmt::format("There is an identity of this host in {}: "
						       "`corbel host rotate` gives it a new key; "
						       "remove the folder to begin anew.",
						       folder.string()));
	if (fs::exists(folder / authority_file, ignored))
		return there;
	auto made = CORBEL_EXPECT(FolderInTheMaking::begin(folder, options.step));
	const auto now = options.now();
	const auto id = CORBEL_EXPECT(random_host_id());
	const auto own = CORBEL_EXPECT(Authority::make(id, name, now, options.authority_life));
	const auto authority = CORBEL_EXPECT(Authority::of(own.certificate, own.key));
	const auto host = CORBEL_EXPECT(authority.issue(name, now, options.host_life));
	const auto crl = CORBEL_EXPECT(authority.list({}, 1, now));

	CORBEL_EXPECT(replace_private(made.path() / authority_file, own.certificate + own.key,
				      options.step));
	CORBEL_EXPECT(replace_private(made.path() / host_file, host.certificate + host.key + crl,
				      options.step));
	const auto finished = made.finish(options.step);
	if (!finished && finished.error().number == EEXIST)
		return there;
	CORBEL_EXPECT(finished);
	return read(folder, options);
}

Result<Identity> Identity::load(const fs::path &folder, IdentityOptions options)
{
	std::error_code ignored;

	if (!fs::exists(folder, ignored) || fs::is_empty(folder, ignored))
		return failure(ENOENT, fmt::format("There is no identity of this host in {}: "
						   "`corbel host init` makes one.",
						   folder.string()));
	return read(folder, completed(std::move(options)));
}

Result<Identity> Identity::read(const fs::path &folder, const IdentityOptions &options)
{
	Identity identity;

	CORBEL_EXPECT(check_private_folder(folder));
	const auto [pem, authority] = CORBEL_EXPECT(read_authority(folder));
	const auto file = folder / host_file;
	const auto text = CORBEL_EXPECT(read_private(file));
	identity.certificate_ = block_of(text, "CERTIFICATE");
	identity.key_ = block_of(text, "PRIVATE KEY");
	identity.crl_ = block_of(text, "X509 CRL");
	const auto host = CORBEL_EXPECT(in(file, Certificate::of_pem(identity.certificate_)));
	const auto key = CORBEL_EXPECT(in(file, key_of_pem(identity.key_)));
	const auto list = CORBEL_EXPECT(in(file, RevocationList::of_pem(identity.crl_)));

	CORBEL_EXPECT(in(file, host.check_leaf()));
	if (!host.has_key(key.get()))
		return damaged(file, "the key in it is not that of the certificate in it");
	if (!host.is_signed_by(authority.certificate()) ||
	    host.host_id() != authority.certificate().host_id())
		return damaged(file, fmt::format("its certificate is not by the authority in {}",
						 authority_file));
	if (!list.is_signed_by(authority.certificate()))
		return damaged(file,
			       fmt::format("its revocation list is not by the authority in {}",
					   authority_file));
	identity.folder_ = folder;
	identity.options_ = options;
	identity.id_ = *host.host_id();
	identity.name_ = *host.name();
	identity.authority_ = pem;
	identity.fingerprint_ = authority.certificate().fingerprint();
	identity.serial_ = host.serial();
	identity.not_before_ = *host.not_before();
	identity.not_after_ = *host.not_after();
	return identity;
}

Result<Identity> Identity::rotate() const
{
	const auto lock = CORBEL_EXPECT(lock_folder(folder_));
	/* Another process may have rotated since this one was read. */
	const auto held = CORBEL_EXPECT(read(folder_, options_));
	const auto authority = CORBEL_EXPECT(read_authority(folder_)).authority;
	const auto list = CORBEL_EXPECT(RevocationList::of_pem(held.crl_));
	const auto now = options_.now();
	auto revoked = list.revoked();

	revoked.push_back({held.serial_, now});
	const auto crl = CORBEL_EXPECT(authority.list(revoked, list.number() + 1, now));
	const auto host = CORBEL_EXPECT(authority.issue(held.name_, now, options_.host_life));
	CORBEL_EXPECT(replace_private(folder_ / host_file, host.certificate + host.key + crl,
				      options_.step));
	return read(folder_, options_);
}

bool Identity::needs_rotation() const
{
	return now() < not_before_ || (not_after_ - now()) * 3 < not_after_ - not_before_;
}

} /* namespace corbel::trust */
