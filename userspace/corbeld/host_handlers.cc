// SPDX-License-Identifier: GPL-2.0-or-later
#include "host_handlers.hh"

#include "arguments.hh"
#include "job_handlers.hh"
#include "probe_job.hh"

#include "../corbel/quantity.hh"
#include "../trust/address.hh"
#include "../trust/token.hh"

#include <unistd.h>

#include <cerrno>
#include <climits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::daemon {

namespace {

using jobs::Engine;
using trust::PeerTrust;

constexpr std::uint64_t mebibyte = 1 << 20;

std::string name_of_host()
{
	char name[HOST_NAME_MAX + 1] = "";

	return ::gethostname(name, sizeof(name) - 1) == 0 ? name : "";
}

Result<Json> self_of(Hosts &hosts)
{
	const auto self = CORBEL_EXPECT(hosts.identity());

	return Json{{"name", self->name()},
		    {"id", self->id().uuid},
		    {"address", CORBEL_EXPECT(hosts.records().own_address())},
		    {"authority", text_of(self->fingerprint())},
		    {"serial", self->serial()},
		    {"expires", trust::text_of(self->not_after())}};
}

Json view_of(const PeerTrust &peer, const LastContact &contact)
{
	const bool ever = contact.at != std::chrono::system_clock::time_point();

	return {{"name", peer.name},
		{"id", peer.id.uuid},
		{"address", peer.address},
		{"version", contact.version},
		{"last_contact", ever ? Json(cli::show_time(contact.at)) : Json(nullptr)},
		{"error", contact.error}};
}

Result<Json> init(Hosts &hosts, const Json &arguments)
{
	const auto host = name_of_host();
	const auto before = CORBEL_EXPECT(hosts.records().own_address());
	const auto name = arguments.value("name", host);
	const auto address = arguments.value(
		"address", before.empty() ? fmt::format("{}:{}", host, hosts.port()) : before);
	const bool dry = is_dry(arguments);

	if (!trust::is_host_name(name))
		return failure(EINVAL,
			       fmt::format("'{}' cannot be the name of a host: take letters, "
					   "digits, dots and dashes with --name.",
					   name));
	if (!arguments.contains("address") && before.empty() && !trust::is_host_name(host))
		return failure(EINVAL, fmt::format("Others cannot reach this host as '{}': say how "
						   "they do with --address.",
						   host));
	(void)CORBEL_EXPECT(trust::address_of(address));
	Json answer{{"host", nullptr}, {"dry_run", dry}, {"changed", false}};
	if (dry)
		answer["changed"] = !hosts.identity();
	else
		answer["changed"] = CORBEL_EXPECT(hosts.init(name, address));
	if (auto self = self_of(hosts))
		answer["host"] = *std::move(self);
	return answer;
}

Result<Json> invite(Hosts &hosts, const Json &arguments)
{
	const auto minutes = arguments.value("minutes", 60U);
	Json answer{{"token", nullptr},
		    {"minutes", minutes},
		    {"dry_run", is_dry(arguments)},
		    {"changed", true}};

	CORBEL_EXPECT(hosts.identity());
	if (!is_dry(arguments))
		answer["token"] =
			trust::text_of(CORBEL_EXPECT(hosts.invite(std::chrono::minutes(minutes))));
	return answer;
}

Result<Json> join(Hosts &hosts, const Json &arguments)
{
	const auto token = CORBEL_EXPECT(trust::token_of(arguments.at("token").get<std::string>()));
	const auto address = trust::text_of(token.inviter);
	const bool dry = is_dry(arguments);

	CORBEL_EXPECT(hosts.identity());
	const bool changed = dry || CORBEL_EXPECT(hosts.join(token));
	Json answer{
		{"host", nullptr}, {"address", address}, {"dry_run", dry}, {"changed", changed}};
	for (const auto &peer : CORBEL_EXPECT(hosts.records().list()))
		if (!dry && peer.address == address) {
			(void)hosts.greet(peer);
			answer["host"] = view_of(peer, hosts.last_contact(peer.id));
		}
	return answer;
}

Result<Json> list(Hosts &hosts)
{
	auto self = self_of(hosts);
	auto peers = Json::array();

	for (const auto &peer : CORBEL_EXPECT(hosts.records().list()))
		peers.push_back(view_of(peer, hosts.last_contact(peer.id)));
	return Json{{"self", self ? *std::move(self) : Json(nullptr)}, {"hosts", std::move(peers)}};
}

Result<Json> remove(Hosts &hosts, const Json &arguments)
{
	const auto peer = CORBEL_EXPECT(hosts.records().find(arguments.at("host")));
	const bool dry = is_dry(arguments);

	if (!dry && !arguments.value("yes", false))
		return failure(EPERM, fmt::format("Host {} would have to be paired anew with a new "
						  "token: say --yes if that is meant.",
						  peer.name));
	if (!dry)
		CORBEL_EXPECT(hosts.remove(peer));
	return Json{{"host", view_of(peer, {})}, {"dry_run", dry}, {"changed", true}};
}

Result<Json> probe(Hosts &hosts, Engine &engine, const Json &arguments)
{
	const auto peer = CORBEL_EXPECT(hosts.records().find(arguments.at("host")));
	const auto size = arguments.value("size", 64U) * mebibyte;

	return begin_job(
		engine, probe_kind, {{"host", peer.id.uuid}, {"name", peer.name}, {"bytes", size}},
		arguments,
		fmt::format("Sends {} bytes to host {} at {}.", size, peer.name, peer.address));
}

} /* namespace */

void add_host_handlers(Dispatcher &dispatcher, Hosts &hosts, Engine &engine)
{
	dispatcher.add_object(cli::host_init_verb,
			      [&](const Json &arguments) { return init(hosts, arguments); });
	dispatcher.add_object(cli::host_invite_verb,
			      [&](const Json &arguments) { return invite(hosts, arguments); });
	dispatcher.add_object(cli::host_join_verb,
			      [&](const Json &arguments) { return join(hosts, arguments); });
	dispatcher.add_object(cli::host_list_verb, [&](const Json &) { return list(hosts); });
	dispatcher.add_object(cli::host_remove_verb,
			      [&](const Json &arguments) { return remove(hosts, arguments); });
	dispatcher.add_object(cli::host_rotate_verb, [&](const Json &arguments) {
		return begin_job(engine, rotate_kind, Json::object(), arguments,
				 "Gives this host a new certificate and tells its peers.");
	});
	dispatcher.add_object(cli::host_probe_verb, [&](const Json &arguments) {
		return probe(hosts, engine, arguments);
	});
}

} /* namespace corbel::daemon */
