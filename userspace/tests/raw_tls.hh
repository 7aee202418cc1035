/* SPDX-License-Identifier: GPL-2.0-or-later */
/* raw_tls.hh - a peer that does with TLS what no host that runs Corbel would. */
#pragma once

#include "../trust/socket_bio.hh"
#include "trust_hosts.hh"

#include <openssl/ssl.h>
#include <poll.h>

namespace corbel::test {

struct RawIdentity {
	std::string certificate, key, authority; /* PEM; no authority: it is not shown */
	int most = TLS1_3_VERSION;
};

inline RawIdentity raw_identity(const TestHost &host)
{
	return {host.identity.certificate(), host.identity.key(), host.identity.authority()};
}

/* A certificate for @other that the authority of @host signed. */
inline RawIdentity forged_identity(const TestHost &host, const TestHost &other)
{
	const auto leaf = must(trust::Certificate::of_pem(other.identity.certificate()));
	const auto authority = must(trust::Certificate::of_pem(host.identity.authority()));
	std::ifstream file(host.path() / "authority.pem");
	const std::string text(std::istreambuf_iterator<char>(file), {});
	const auto key = must(trust::key_of_pem(text));
	const trust::X509Pointer forged(X509_dup(leaf.get()));

	X509_set_issuer_name(forged.get(), X509_get_subject_name(authority.get()));
	X509_sign(forged.get(), key.get(), EVP_sha256());
	return {trust::Certificate::of(forged.get()).pem(), other.identity.key(),
		host.identity.authority()};
}

/* Whether it got a byte after its handshake. It takes whatever the other side shows. */
inline bool speak_raw(ScopedFd fd, bool is_server, const RawIdentity *identity)
{
	using Context = std::unique_ptr<SSL_CTX, trust::Freed<SSL_CTX_free>>;
	using Ssl = std::unique_ptr<SSL, trust::Freed<SSL_free>>;
	const Context context(SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method()));

	if (identity) {
		const auto leaf = must(trust::Certificate::of_pem(identity->certificate));

		SSL_CTX_use_certificate(context.get(), leaf.get());
		SSL_CTX_use_PrivateKey(context.get(), must(trust::key_of_pem(identity->key)).get());
		if (!identity->authority.empty())
			SSL_CTX_add1_chain_cert(
				context.get(),
				must(trust::Certificate::of_pem(identity->authority)).get());
		SSL_CTX_set_max_proto_version(context.get(), identity->most);
	}
	if (is_server)
		SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
	SSL_CTX_set_cert_verify_callback(
		context.get(), [](X509_STORE_CTX *, void *) { return 1; }, nullptr);
	const Ssl ssl(SSL_new(context.get()));
	auto *bio = trust::socket_bio(fd.get()).release();
	SSL_set_bio(ssl.get(), bio, bio);
	if (is_server)
		SSL_set_accept_state(ssl.get());
	else
		SSL_set_connect_state(ssl.get());
	for (;;) {
		char byte = 0;
		const int got = SSL_read(ssl.get(), &byte, 1);
		const int error = SSL_get_error(ssl.get(), got);
		pollfd wanted{.fd = fd.get(), .events = POLLIN, .revents = 0};

		if (got == 1)
			return true;
		if (error != SSL_ERROR_WANT_READ || ::poll(&wanted, 1, 30000) <= 0)
			break;
	}
	ERR_clear_error();
	return false;
}

struct RawMeeting {
	trust::Handshake judge;
	bool heard; /* by the raw side */
};

inline RawMeeting accept_raw(const trust::Identity &server, const trust::ServerOptions &options,
			     const RawIdentity *client)
{
	auto pair = tcp_pair();
	auto heard = std::async(std::launch::async,
				[&] { return speak_raw(std::move(pair.client), false, client); });
	auto judge = trust::accept_host(std::move(pair.server), server, options);

	return {std::move(judge), heard.get()};
}

inline RawMeeting connect_raw(const trust::Identity &client, const trust::PeerTrust &expected,
			      const RawIdentity *server)
{
	auto pair = tcp_pair();
	auto heard = std::async(std::launch::async,
				[&] { return speak_raw(std::move(pair.server), true, server); });
	auto judge = trust::connect_host(std::move(pair.client), client, expected);

	return {std::move(judge), heard.get()};
}

} /* namespace corbel::test */
