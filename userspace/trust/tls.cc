// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls.hh"

#include "address.hh"
#include "alert.hh"
#include "socket_bio.hh"

#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>
#include <vector>

#include <fmt/format.h>

namespace corbel::trust {

namespace {

using Steady = std::chrono::steady_clock;
using ContextPointer = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using Judge = std::function<std::expected<Admitted, Refusal>(std::span<const Certificate>)>;

/* What the first byte of a TLS peer is. */
constexpr unsigned char handshake_record = 22;
constexpr unsigned char alert_record = 21;

constexpr char known_byte = 'k';
constexpr char stranger_byte = 's';

constexpr std::chrono::milliseconds farewell{1000};
constexpr std::size_t most_farewell = 65536;

/* One attempt, from its first byte to the last word about it. */
class Attempt {
public:
	Attempt(ScopedFd fd, bool is_server, std::chrono::milliseconds limit, Contact contact,
		Judge judge)
		: fd_(std::move(fd)),
		  is_server_(is_server),
		  until_(Steady::now() + limit),
		  contact_(std::move(contact)),
		  judge_(std::move(judge))
	{}

	[[nodiscard]] Handshake run(const Identity &identity)
	{
		auto done = greet(identity);

		if (!done) {
			say_farewell();
			return std::unexpected(std::move(done).error());
		}
		/* No certificate is asked for any more; the judge goes with this attempt. */
		SSL_CTX_set_cert_verify_callback(context_.get(), nullptr, nullptr);
		return Connection(std::move(fd_), std::move(ssl_),
				  {.host = std::move(admitted_->host),
				   .known = admitted_->known,
				   .knows_us = *done,
				   .remote = contact_.remote});
	}

private:
	/* Whether the other side knows this one. */
	std::expected<bool, Refusal> greet(const Identity &identity)
	{
		if (!prepare(identity))
			return contact_.refuse(Reason::protocol,
					       "OpenSSL cannot use the certificate of this host: "
					       "`corbel host rotate` makes a new one.");
		for (int code = 0; (code = SSL_do_handshake(ssl_.get())) != 1;)
			if (auto ready = wait(code); !ready)
				return std::unexpected(std::move(ready).error());
		/* OpenSSL has no handshake without both; this is the proof. */
		if (!admitted_ || SSL_version(ssl_.get()) != TLS1_3_VERSION)
			return contact_.refuse(Reason::no_certificate, no_certificate_text());
		return is_server_ ? say_how_it_is_taken() : hear_how_it_is_taken();
	}

	bool prepare(const Identity &identity)
	{
		const auto certificate = Certificate::of_pem(identity.certificate());
		const auto authority = Certificate::of_pem(identity.authority());
		const auto key = key_of_pem(identity.key());
		auto bio = socket_bio(fd_.get());

		context_.reset(SSL_CTX_new(is_server_ ? TLS_server_method() : TLS_client_method()));
		auto *context = context_.get();
		ERR_clear_error();
		if (!context || !bio || !certificate || !authority || !key ||
		    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
		    SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) != 1 ||
		    SSL_CTX_use_certificate(context, certificate->get()) != 1 ||
		    SSL_CTX_add1_chain_cert(context, authority->get()) != 1 ||
		    SSL_CTX_use_PrivateKey(context, key->get()) != 1 ||
		    SSL_CTX_set_num_tickets(context, 0) != 1)
			return false;
		/* Each connection is judged anew: there are no sessions. */
		SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
						  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
				   nullptr);
		SSL_CTX_set_cert_verify_callback(context, judge_chain, this);
		ssl_.reset(SSL_new(context), SSL_free);
		if (!ssl_)
			return false;
		bio_ = bio.release(); /* the connection has it, for both directions */
		SSL_set_bio(ssl_.get(), bio_, bio_);
		if (is_server_)
			SSL_set_accept_state(ssl_.get());
		else
			SSL_set_connect_state(ssl_.get());
		return true;
	}

	/* Nothing that is thrown may pass through OpenSSL. */
	std::expected<Admitted, Refusal> judge(std::span<const Certificate> chain)
	{
		try {
			return judge_(chain);
		} catch (const std::exception &error) {
			return contact_.refuse(Reason::malformed,
					       fmt::format("It cannot be found out whether {} may "
							   "connect: {}.",
							   contact_.remote, error.what()));
		}
	}

	/* OpenSSL asks whether the chain is to be taken, and makes an alert of the answer. */
	static int judge_chain(X509_STORE_CTX *store, void *argument)
	{
		auto *attempt = static_cast<Attempt *>(argument);
		auto *shown = X509_STORE_CTX_get0_untrusted(store);
		std::vector<Certificate> chain;

		chain.reserve(static_cast<std::size_t>(std::max(sk_X509_num(shown), 0)));
		for (int i = 0; i < sk_X509_num(shown); i++)
			chain.push_back(Certificate::of(sk_X509_value(shown, i)));
		auto judged = attempt->judge(chain);
		if (judged) {
			attempt->admitted_ = *std::move(judged);
			X509_STORE_CTX_set_error(store, X509_V_OK);
			return 1;
		}
		X509_STORE_CTX_set_error(store, verify_error_of(judged.error().reason));
		attempt->refusal_ = std::move(judged).error();
		return 0;
	}

	/* After a call that came to @code: until it makes sense to try again. */
	std::expected<void, Refusal> wait(int code)
	{
		const int error = SSL_get_error(ssl_.get(), code);

		if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
			return std::unexpected(why(error));
		const short events = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
		if (wait_until(events, until_))
			return {};
		if (is_plaintext())
			return contact_.refuse(Reason::plaintext, plaintext_text());
		return contact_.refuse(
			Reason::timeout,
			fmt::format("{} did not finish to say who it is in time: see "
				    "that Corbel's daemon runs there, and the network.",
				    contact_.remote));
	}

	/* Whether there was one of @events. */
	[[nodiscard]] bool wait_until(short events, Steady::time_point until) const
	{
		for (;;) {
			const auto left =
				std::chrono::ceil<std::chrono::milliseconds>(until - Steady::now());
			pollfd wanted{.fd = fd_.get(), .events = events, .revents = 0};

			if (left.count() <= 0)
				return false;
			const int ready = ::poll(&wanted, 1, static_cast<int>(left.count()));
			if (ready > 0)
				return true;
			if (ready < 0 && errno != EINTR)
				return false;
		}
	}

	Refusal why(int error)
	{
		const auto code = ERR_peek_error();
		const int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
		const char *text = ERR_reason_error_string(code);

		ERR_clear_error();
		const auto refuse = [&](Reason its, std::string sentence) {
			return Refusal{its, std::move(sentence), contact_.remote, contact_.now};
		};
		if (refusal_)
			return *std::move(refusal_);
		if (is_plaintext())
			return refuse(Reason::plaintext, plaintext_text());
		if (const auto alert = alert_of(reason))
			return refuse(Reason::refused_there, alert_text(contact_.remote, *alert));
		if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
			return refuse(Reason::no_certificate, no_certificate_text());
		if (error == SSL_ERROR_SYSCALL || error == SSL_ERROR_ZERO_RETURN ||
		    reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
			return refuse(
				Reason::closed,
				fmt::format("{} closed the connection before it was known who "
					    "it is: see what Corbel's daemon there logged.",
					    contact_.remote));
		return refuse(Reason::protocol,
			      fmt::format("{} does not speak TLS as Corbel does ({}): see that "
					  "Corbel's daemon is what runs there.",
					  contact_.remote, text ? text : "no reason given"));
	}

	[[nodiscard]] bool is_plaintext() const
	{
		const auto first = first_byte(bio_);

		return first && *first != handshake_record && *first != alert_record;
	}

	[[nodiscard]] std::string plaintext_text() const
	{
		return fmt::format("{} speaks without TLS: {}.", contact_.remote,
				   is_server_
					   ? "only hosts that run Corbel's daemon can connect here"
					   : "see that the address and port are those of "
					     "Corbel's daemon");
	}

	[[nodiscard]] std::string no_certificate_text() const
	{
		return fmt::format(
			"{} shows no certificate: only hosts that run Corbel's daemon can "
			"connect here.",
			contact_.remote);
	}

	std::expected<bool, Refusal> say_how_it_is_taken()
	{
		const char byte = admitted_->known ? known_byte : stranger_byte;
		std::size_t done = 0;

		for (int code = 0; (code = SSL_write_ex(ssl_.get(), &byte, 1, &done)) != 1;)
			if (auto ready = wait(code); !ready)
				return std::unexpected(std::move(ready).error());
		return true;
	}

	std::expected<bool, Refusal> hear_how_it_is_taken()
	{
		char byte = 0;
		std::size_t done = 0;

		for (int code = 0; (code = SSL_read_ex(ssl_.get(), &byte, 1, &done)) != 1;)
			if (auto ready = wait(code); !ready)
				return std::unexpected(std::move(ready).error());
		if (byte != known_byte && byte != stranger_byte)
			return contact_.refuse(Reason::protocol,
					       fmt::format("{} speaks a later protocol than this "
							   "Corbel: use the same version on both.",
							   contact_.remote));
		return byte == known_byte;
	}

	/* A socket closed with bytes unread is reset, and the alert might never arrive. */
	void say_farewell()
	{
		const auto until = Steady::now() + farewell;
		std::size_t read = 0;
		char ignored[4096];

		::shutdown(fd_.get(), SHUT_WR);
		while (read < most_farewell && wait_until(POLLIN, until)) {
			const auto got = ::recv(fd_.get(), ignored, sizeof(ignored), 0);

			if (got <= 0)
				return;
			read += static_cast<std::size_t>(got);
		}
	}

	ScopedFd fd_;
	bool is_server_;
	Steady::time_point until_;
	Contact contact_;
	Judge judge_;
	ContextPointer context_;
	std::shared_ptr<ssl_st> ssl_;
	BIO *bio_ = nullptr;
	std::optional<Admitted> admitted_;
	std::optional<Refusal> refusal_;
};

} /* namespace */

Handshake accept_host(ScopedFd fd, const Identity &identity, const ServerOptions &options)
{
	const Contact contact{.remote = address_there(fd.get()).host, .now = identity.now()};

	return Attempt(std::move(fd), true, options.limit, contact,
		       [&](std::span<const Certificate> chain) {
			       return admit(chain, options.lookup, options.pairing_open, contact);
		       })
		.run(identity);
}

Handshake connect_host(ScopedFd fd, const Identity &identity, const PeerTrust &expected,
		       std::chrono::milliseconds limit)
{
	const Contact contact{.remote = text_of(address_there(fd.get())), .now = identity.now()};

	const auto judge =
		[&](std::span<const Certificate> chain) -> std::expected<Admitted, Refusal> {
		auto host = verify(chain, expected, contact);
		if (!host)
			return std::unexpected(std::move(host).error());
		return Admitted{.host = *std::move(host), .known = true};
	};

	return Attempt(std::move(fd), false, limit, contact, judge).run(identity);
}

Handshake connect_inviter(ScopedFd fd, const Identity &identity, const Fingerprint &authority,
			  std::chrono::milliseconds limit)
{
	const Contact contact{.remote = text_of(address_there(fd.get())), .now = identity.now()};
	const auto judge =
		[&](std::span<const Certificate> chain) -> std::expected<Admitted, Refusal> {
		auto host = inspect(chain, contact);
		if (!host)
			return std::unexpected(std::move(host).error());
		if (host->fingerprint != authority)
			return contact.refuse(
				Reason::foreign_authority,
				fmt::format(
					"Host '{}' ({}) at {} is of authority {}, and the token is "
					"of authority {}: another host has that address, or "
					"somebody is in between.",
					host->name, host->id.uuid, contact.remote,
					text_of(host->fingerprint), text_of(authority)));
		return Admitted{.host = *std::move(host), .known = false};
	};

	return Attempt(std::move(fd), false, limit, contact, judge).run(identity);
}

} /* namespace corbel::trust */
