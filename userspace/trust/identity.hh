/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * identity.hh - who this host is: its id, its name, its authority, and its certificate.
 *
 * In a folder for its owner alone:
 *
 *   authority.pem  certificate and key of the authority, for 10 years
 *   host.pem       certificate and key of the host, for 90 days, and the authority's list of
 *                  those before it that no longer count: one rename replaces all three
 *
 * An Identity is what was read: a value that does not change and may be used by several
 * threads. The key of the authority is not in it; it is read when it is needed.
 */
#pragma once

#include "certificate.hh"

#include <filesystem>
#include <string>

namespace corbel::trust {

struct IdentityOptions {
	Clock now{}; /* empty: this host's */
	std::chrono::seconds authority_life = std::chrono::days(3650);
	std::chrono::seconds host_life = std::chrono::days(90);
	/* Called before each change of a file; for tests, which die there. */
	std::function<void()> step{};
};

class Identity {
public:
	/*
	 * A new one, in a @folder that is not there or empty. Whoever is killed meanwhile leaves
	 * none. EEXIST: there is one. EINVAL: @name is not a host's. EBUSY: another process is
	 * just making it. Blocks on the file system.
	 */
	[[nodiscard]] static Result<Identity> create(const std::filesystem::path &folder,
						     const std::string &name,
						     IdentityOptions options = {});
	/*
	 * ENOENT: there is none. EACCES: a file is not for its owner alone. EUCLEAN: one is
	 * damaged, or they do not belong together. A certificate that has expired is no error:
	 * rotate() replaces it. Blocks on the file system.
	 */
	[[nodiscard]] static Result<Identity> load(const std::filesystem::path &folder,
						   IdentityOptions options = {});
	/*
	 * A new key and certificate; the one in the folder goes on the list of those that no
	 * longer count. Whoever is killed meanwhile leaves the old state or the new one. This
	 * identity stays what it is: use the one that is returned for new connections, and give
	 * its crl() to the peers. Errors as of load(). Blocks, also on another who rotates.
	 */
	[[nodiscard]] Result<Identity> rotate() const;

	[[nodiscard]] const HostId &id() const { return id_; }
	[[nodiscard]] const std::string &name() const { return name_; }
	/* All PEM. */
	[[nodiscard]] const std::string &authority() const { return authority_; }
	[[nodiscard]] const std::string &certificate() const { return certificate_; }
	[[nodiscard]] const std::string &key() const { return key_; }
	[[nodiscard]] const std::string &crl() const { return crl_; }
	/* Of the authority. */
	[[nodiscard]] const Fingerprint &fingerprint() const { return fingerprint_; }
	/* Of the certificate. */
	[[nodiscard]] const std::string &serial() const { return serial_; }
	[[nodiscard]] Time not_after() const { return not_after_; }
	/*
	 * Less than a third of the certificate's life remains, or its life is yet to begin: it
	 * was renewed while the clock was ahead.
	 */
	[[nodiscard]] bool needs_rotation() const;
	/* By the clock of the options. */
	[[nodiscard]] Time now() const { return options_.now(); }

private:
	Identity() = default;

	[[nodiscard]] static Result<Identity> read(const std::filesystem::path &folder,
						   const IdentityOptions &options);

	std::filesystem::path folder_;
	IdentityOptions options_;
	HostId id_;
	std::string name_;
	std::string authority_;
	std::string certificate_;
	std::string key_;
	std::string crl_;
	Fingerprint fingerprint_;
	std::string serial_;
	Time not_before_{};
	Time not_after_{};
};

} /* namespace corbel::trust */
