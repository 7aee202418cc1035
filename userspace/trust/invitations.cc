// SPDX-License-Identifier: GPL-2.0-or-later
#include "invitations.hh"

#include <nlohmann/json.hpp>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <cerrno>

#include <fmt/format.h>

namespace corbel::trust {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view key_prefix = "trust/invitation/";
constexpr std::chrono::seconds kept = std::chrono::days(1);

struct Invitation {
	std::string hash; /* of the secret */
	Time expires{};
	unsigned wrong = 0; /* tries */
	bool revoked = false;
	std::string used_by{}; /* host id; empty: not used */
	Time used{};
};

std::string key_of(std::uint64_t invitation)
{
	return fmt::format("{}{:016x}", key_prefix, invitation);
}

/* The secret has 128 random bits: there is nothing to slow down who would guess it. */
std::string hash_of(const Token &token)
{
	std::string bytes = "corbel invitation ";

	bytes.append(token.secret.begin(), token.secret.end());
	return text_of(sha256(bytes));
}

std::int64_t seconds_of(Time time)
{
	return time.time_since_epoch().count();
}

std::string record_of(const Invitation &invitation)
{
	return Json{{"hash", invitation.hash},	     {"expires_s", seconds_of(invitation.expires)},
		    {"wrong", invitation.wrong},     {"revoked", invitation.revoked},
		    {"used_by", invitation.used_by}, {"used_s", seconds_of(invitation.used)}}
		.dump();
}

Result<Invitation> invitation_of(const std::string &text)
{
	const auto time = [](const Json &json) {
		return Time(std::chrono::seconds(json.get<std::int64_t>()));
	};

	try {
		const auto json = Json::parse(text);
		return Invitation{.hash = json.at("hash"),
				  .expires = time(json.at("expires_s")),
				  .wrong = json.at("wrong"),
				  .revoked = json.at("revoked"),
				  .used_by = json.at("used_by"),
				  .used = time(json.at("used_s"))};
	} catch (const std::exception &error) {
		return failure(EUCLEAN,
			       fmt::format("An invitation in the state cannot be read: {}.",
					   error.what()));
	}
}

bool same_secret(const Token &token, const Invitation &invitation)
{
	const auto hash = hash_of(token);

	return hash.size() == invitation.hash.size() &&
	       CRYPTO_memcmp(hash.data(), invitation.hash.data(), hash.size()) == 0;
}

/* Why it lets nobody in, whatever the secret. */
Result<void> check_open(const Invitation &invitation, Time now, unsigned tries)
{
	constexpr const char *advice = "make a new one with `corbel host invite`";

	if (!invitation.used_by.empty())
		return failure(EALREADY,
			       fmt::format("The token was used on {} by host {}, and each "
					   "counts once: {}.",
					   text_of(invitation.used), invitation.used_by, advice));
	if (invitation.revoked)
		return failure(EPERM, fmt::format("The token was taken back: {}.", advice));
	if (invitation.wrong >= tries)
		return failure(EPERM, fmt::format("The token is void after {} tries with a wrong "
						  "secret: {}.",
						  invitation.wrong, advice));
	if (now >= invitation.expires)
		return failure(ETIMEDOUT, fmt::format("The token expired on {}: {}.",
						      text_of(invitation.expires), advice));
	return {};
}

std::unexpected<Error> not_known()
{
	return failure(ENOENT,
		       "The token is not of this host, or it ended more than a day ago: make "
		       "a new one with `corbel host invite`.");
}

} /* namespace */

Invitations::Invitations(state::Store &store, InvitationOptions options)
	: store_(store), options_(std::move(options))
{
	if (!options_.now)
		options_.now = now_here;
}

Result<Token> Invitations::make(const Address &inviter, const Fingerprint &authority,
				std::chrono::seconds length)
{
	const auto now = options_.now();
	Token token{.inviter = inviter, .authority = authority, .expires = now + length};

	if (RAND_bytes(token.secret.data(), static_cast<int>(token.secret.size())) != 1 ||
	    RAND_bytes(reinterpret_cast<unsigned char *>(&token.invitation),
		       sizeof(token.invitation)) != 1)
		return failure(EIO, "There are no random bytes for a token.");
	for (const auto &entry : CORBEL_EXPECT(store_.list(key_prefix))) {
		const auto old = invitation_of(entry.value);

		/* Whoever is faster changed it: then it is kept for the next time. */
		if (old && now > old->expires + kept)
			(void)CORBEL_EXPECT(
				store_.commit({.conditions = {{entry.key, entry.changed}},
					       .changes = {state::Erase{entry.key}}}));
	}
	const auto key = key_of(token.invitation);
	const Invitation invitation{.hash = hash_of(token), .expires = token.expires};
	const auto outcome = CORBEL_EXPECT(store_.commit(
		{.conditions = {{key, 0}}, .changes = {state::Put{key, record_of(invitation)}}}));
	if (!outcome.committed)
		return failure(EIO, "Two tokens got the same random number.");
	return token;
}

/* Until nobody else changed it in between. */
Result<void> Invitations::use(const Token &token, const HostId &guest,
			      const std::vector<std::variant<state::Put, state::Erase>> &also)
{
	const auto key = key_of(token.invitation);

	for (;;) {
		const auto entry = CORBEL_EXPECT(store_.get(key));
		if (!entry)
			return not_known();
		auto invitation = CORBEL_EXPECT(invitation_of(entry->value));
		const auto now = options_.now();
		const bool right = same_secret(token, invitation);
		state::Transaction change{.conditions = {{key, entry->changed}}, .changes = {}};

		CORBEL_EXPECT(check_open(invitation, now, options_.tries));
		if (right) {
			invitation.used_by = guest.uuid;
			invitation.used = now;
			change.changes = also;
		} else {
			invitation.wrong++;
		}
		change.changes.emplace_back(state::Put{key, record_of(invitation)});
		if (!CORBEL_EXPECT(store_.commit(change)).committed)
			continue;
		if (right)
			return {};
		return failure(EACCES,
			       fmt::format("The secret of the token is wrong; after {} more "
					   "tries it is void.",
					   options_.tries - invitation.wrong));
	}
}

Result<void> Invitations::revoke(std::uint64_t invitation)
{
	const auto key = key_of(invitation);

	for (;;) {
		const auto entry = CORBEL_EXPECT(store_.get(key));
		if (!entry)
			return not_known();
		auto revoked = CORBEL_EXPECT(invitation_of(entry->value));
		revoked.revoked = true;
		if (CORBEL_EXPECT(store_.commit({.conditions = {{key, entry->changed}},
						 .changes = {state::Put{key, record_of(revoked)}}}))
			    .committed)
			return {};
	}
}

Result<bool> Invitations::any_open()
{
	std::string after;

	for (;;) {
		const auto entries = CORBEL_EXPECT(store_.list(key_prefix, after));

		for (const auto &entry : entries) {
			const auto invitation = invitation_of(entry.value);
			if (invitation &&
			    check_open(*invitation, options_.now(), options_.tries).has_value())
				return true;
			after = entry.key;
		}
		if (entries.empty())
			return false;
	}
}

} /* namespace corbel::trust */
