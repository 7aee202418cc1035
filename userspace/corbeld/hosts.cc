// SPDX-License-Identifier: GPL-2.0-or-later
#include "hosts.hh"

#include "log.hh"

#include "../rpc/status.hh"
#include "../trust/address.hh"

#include <corbel/version.h>

#include <cerrno>

#include <fmt/format.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel_posix.h>

namespace corbel::daemon {

namespace {

using namespace std::chrono_literals;
using trust::HostId;
using trust::Identity;
using trust::PeerTrust;

constexpr auto connect_limit = 5s;
constexpr auto call_limit = 10s;
constexpr std::size_t most_strangers = 4;

void limit(grpc::ClientContext &context)
{
	context.set_deadline(std::chrono::system_clock::now() + call_limit);
}

} /* namespace */

Hosts::Hosts(HostSettings settings, state::Store &store, Warnings &warnings)
	: settings_(std::move(settings)), warnings_(warnings), records_(store), invitations_(store)
{}

Result<std::unique_ptr<Hosts>> Hosts::start(HostSettings settings, state::Store &store,
					    Warnings &warnings)
{
	std::unique_ptr<Hosts> hosts(new Hosts(std::move(settings), store, warnings));

	hosts->tunnels_ = CORBEL_EXPECT(trust::Tunnels::start());
	auto identity = Identity::load(hosts->settings_.folder);
	if (identity) {
		hosts->identity_ = std::make_shared<const Identity>(*std::move(identity));
		if (const auto listens = hosts->listen(); !listens)
			warnings.add(jobs::Severity::error, listens.error().sentence);
	} else if (identity.error().number != ENOENT) {
		warnings.add(jobs::Severity::error, identity.error().sentence);
	}
	return hosts;
}

Hosts::~Hosts()
{
	acceptor_.reset();
	channels_.clear();
	servers_.clear();
	strangers_.clear();
	retired_.clear();
	tunnels_.reset();
}

std::uint16_t Hosts::port() const
{
	const auto address = trust::address_of(settings_.listen);

	return address ? address->port : usual_port;
}

Result<void> Hosts::listen()
{
	if (settings_.listen.empty())
		return {};
	auto socket =
		CORBEL_EXPECT(trust::listen_at(CORBEL_EXPECT(trust::address_of(settings_.listen))));
	acceptor_ = CORBEL_EXPECT(trust::Acceptor::start(
		std::move(socket),
		{.identity = [this] { return *identity(); },
		 .lookup = [this](const HostId &id) { return records_.standing(id); },
		 .pairing_open =
			 [this] {
				 const auto open = invitations_.any_open();
				 return open && *open;
			 },
		 .accepted = [this](trust::Connection connection) { take(std::move(connection)); },
		 .refused = [this](const trust::Refusal &refusal) { warn(refusal); }}));
	log(Level::notice, fmt::format("Other hosts are let in at {}.", settings_.listen));
	return {};
}

void Hosts::warn(const trust::Refusal &refusal)
{
	warnings_.add(jobs::Severity::warning,
		      fmt::format("{} ({})", refusal.sentence, name_of(refusal.reason)));
}

/* One of a host that was removed meanwhile is not carried. */
void Hosts::take(trust::Connection connection)
{
	const auto peer = connection.peer();
	const std::lock_guard guard(lock_);

	if (peer.known && !std::holds_alternative<PeerTrust>(records_.standing(peer.host.id)))
		return;
	std::unique_ptr<PeerServer> *server = nullptr;
	if (peer.known) {
		server = &servers_[peer.host.id];
	} else {
		if (strangers_.size() >= most_strangers) {
			retired_.push_back(std::move(strangers_.front()));
			strangers_.erase(strangers_.begin());
		}
		server = &strangers_.emplace_back();
	}
	if (!*server) {
		auto started = PeerServer::start(*this, peer.host, peer.known);
		if (!started) {
			log(Level::error, started.error().sentence);
			return;
		}
		*server = *std::move(started);
	}
	auto local = tunnels_->carry(std::move(connection));
	if (local)
		(*server)->add(*std::move(local));
	else
		log(Level::error, local.error().sentence);
}

Result<std::shared_ptr<const Identity>> Hosts::identity()
{
	const std::lock_guard guard(lock_);

	if (!identity_)
		return failure(ENOENT, "This host has no identity yet: `corbel host init` makes "
				       "one.");
	return identity_;
}

Result<bool> Hosts::init(const std::string &name, const std::string &address)
{
	const std::lock_guard changing(changing_);

	(void)CORBEL_EXPECT(trust::address_of(address));
	if (const auto before = identity()) {
		if ((*before)->name() != name)
			return failure(EEXIST, fmt::format("This host is called {} already; the "
							   "hosts it is paired with know it by "
							   "its identity, which stays.",
							   (*before)->name()));
		const bool moved = CORBEL_EXPECT(records_.own_address()) != address;
		if (moved)
			CORBEL_EXPECT(records_.set_own_address(address));
		return moved;
	}
	auto made = std::make_shared<const Identity>(
		CORBEL_EXPECT(Identity::create(settings_.folder, name)));
	CORBEL_EXPECT(records_.set_own_address(address));
	{
		const std::lock_guard guard(lock_);
		identity_ = std::move(made);
	}
	CORBEL_EXPECT(listen());
	return true;
}

Result<void> Hosts::rotate()
{
	const std::lock_guard changing(changing_);
	auto renewed = std::make_shared<const Identity>(
		CORBEL_EXPECT(CORBEL_EXPECT(identity())->rotate()));
	const std::lock_guard guard(lock_);

	identity_ = std::move(renewed);
	log(Level::notice,
	    fmt::format("This host has a new certificate, which ends on {}.",
			trust::text_of(identity_->not_after())),
	    {{"SERIAL", identity_->serial()}});
	return {};
}

Result<trust::Token> Hosts::invite(std::chrono::seconds length)
{
	const auto self = CORBEL_EXPECT(identity());
	const auto address =
		CORBEL_EXPECT(trust::address_of(CORBEL_EXPECT(records_.own_address())));

	if (settings_.listen.empty())
		return failure(EINVAL, "This daemon was told to let nobody in: start it without "
				       "`--listen ''`.");
	return invitations_.make(address, self->fingerprint(), length);
}

Result<v1::HostCard> Hosts::card()
{
	const auto self = CORBEL_EXPECT(identity());
	v1::HostCard card;

	card.set_name(self->name());
	card.set_address(CORBEL_EXPECT(records_.own_address()));
	card.set_crl(self->crl());
	card.set_version(CORBEL_VERSION);
	return card;
}

Result<bool> Hosts::join(const trust::Token &token)
{
	const auto self = CORBEL_EXPECT(identity());
	v1::JoinRequest request;
	v1::HostCard answer;

	if (token.authority == self->fingerprint())
		return failure(EINVAL, "The token is this host's own: use it on another one.");
	*request.mutable_card() = CORBEL_EXPECT(card());
	request.set_token(trust::text_of(token));
	auto connected = trust::connect_inviter(
		CORBEL_EXPECT(trust::connect_to(token.inviter, connect_limit)), *self,
		token.authority);
	if (!connected) {
		warn(connected.error());
		return failure(EACCES, connected.error().sentence);
	}
	const auto host = connected->peer().host;
	PeerTrust peer{.id = host.id,
		       .name = host.name,
		       .address = trust::text_of(token.inviter),
		       .authority = host.authority,
		       .crl = {}};
	/* So it is if whoever was joining died before he could write it down. */
	const bool known_there = connected->peer().knows_us;
	if (known_there && std::holds_alternative<PeerTrust>(records_.standing(host.id)))
		return false;
	if (!known_there) {
		const auto stub = v1::Pairing::NewStub(CORBEL_EXPECT(carry(*std::move(connected))));
		grpc::ClientContext context;

		limit(context);
		if (const auto status = stub->Join(&context, request, &answer); !status.ok())
			return std::unexpected(rpc::error_of(status));
		if (!answer.crl().empty())
			(void)CORBEL_EXPECT(adopt_crl(peer, answer.crl()));
	}
	CORBEL_EXPECT(records_.keep(peer));
	return true;
}

Result<v1::HostCard> Hosts::join(const trust::Presented &from, const v1::JoinRequest &request)
{
	PeerTrust peer{.id = from.id,
		       .name = from.name,
		       .address = request.card().address(),
		       .authority = from.authority,
		       .crl = {}};
	const auto token = CORBEL_EXPECT(trust::token_of(request.token()));

	if (!request.card().crl().empty())
		(void)CORBEL_EXPECT(adopt_crl(peer, request.card().crl()));
	CORBEL_EXPECT(check(peer));
	auto reply = CORBEL_EXPECT(card());
	CORBEL_EXPECT(invitations_.use(token, from.id, HostRecords::changes_to_keep(peer)));
	log(Level::notice, fmt::format("Host {} was let in by a token.", peer.name),
	    {{"HOST", peer.id.uuid}});
	return reply;
}

Result<Hosts::Channel> Hosts::carry(trust::Connection connection)
{
	auto local = CORBEL_EXPECT(tunnels_->carry(std::move(connection)));

	return grpc::CreateInsecureChannelFromFd("host", local.release());
}

Result<Hosts::Channel> Hosts::channel(const PeerTrust &peer, bool &fresh)
{
	fresh = false;
	{
		const std::lock_guard guard(lock_);
		const auto found = channels_.find(peer.id);
		if (found != channels_.end())
			return found->second;
	}
	const auto self = CORBEL_EXPECT(identity());
	auto connected = trust::connect_host(
		CORBEL_EXPECT(trust::connect_to(CORBEL_EXPECT(trust::address_of(peer.address)),
						connect_limit)),
		*self, peer);
	if (!connected) {
		warn(connected.error());
		return failure(EACCES, connected.error().sentence);
	}
	if (!connected->peer().knows_us)
		return failure(EACCES, fmt::format("Host {} is no longer paired with this one: "
						   "pair them anew.",
						   peer.name));
	auto made = CORBEL_EXPECT(carry(*std::move(connected)));
	const std::lock_guard guard(lock_);
	fresh = true;
	channels_[peer.id] = made;
	return made;
}

void Hosts::forget_channel(const HostId &id, const Channel &channel)
{
	const std::lock_guard guard(lock_);
	const auto found = channels_.find(id);

	if (found != channels_.end() && found->second == channel)
		channels_.erase(found);
}

Result<void> Hosts::call(const PeerTrust &peer,
			 const std::function<grpc::Status(v1::Peers::Stub &stub)> &how)
{
	for (;;) {
		bool fresh = false;
		const auto connection = CORBEL_EXPECT(channel(peer, fresh));
		const auto status = how(*v1::Peers::NewStub(connection));

		if (status.ok())
			return {};
		if (status.error_code() != grpc::StatusCode::UNAVAILABLE)
			return std::unexpected(rpc::error_of(status));
		forget_channel(peer.id, connection);
		if (fresh)
			return failure(ECONNRESET, fmt::format("The connection to host {} has "
							       "ended: {}.",
							       peer.name, status.error_message()));
	}
}

Result<void> Hosts::greet(const PeerTrust &peer)
{
	const auto request = CORBEL_EXPECT(card());
	v1::HostCard answer;
	auto greeted = call(peer, [&](v1::Peers::Stub &stub) {
		grpc::ClientContext context;

		limit(context);
		return stub.Hello(&context, request, &answer);
	});

	if (greeted)
		greeted = records_.update(peer.id, answer.name(), answer.address(), answer.crl());
	const std::lock_guard guard(lock_);
	auto &contact = contacts_[peer.id];
	contact.error = greeted ? "" : greeted.error().sentence;
	if (greeted) {
		contact.at = std::chrono::system_clock::now();
		contact.version = answer.version();
	}
	return greeted;
}

Result<v1::HostCard> Hosts::hello(const HostId &from, const v1::HostCard &card)
{
	const auto taken = records_.update(from, card.name(), card.address(), card.crl());

	if (!taken) {
		warnings_.add(jobs::Severity::warning,
			      fmt::format("Host {} ({}): {}", card.name().substr(0, 100), from.uuid,
					  taken.error().sentence));
		return std::unexpected(taken.error());
	}
	{
		const std::lock_guard guard(lock_);
		contacts_[from] = {std::chrono::system_clock::now(), card.version(), ""};
	}
	return this->card();
}

Result<void> Hosts::remove(const PeerTrust &peer)
{
	const auto told = call(peer, [](v1::Peers::Stub &stub) {
		grpc::ClientContext context;
		v1::LeaveReply reply;

		limit(context);
		return stub.Leave(&context, {}, &reply);
	});

	if (!told)
		warnings_.add(jobs::Severity::warning,
			      fmt::format("Host {} could not be told that it was removed and may "
					  "try to connect: {}",
					  peer.name, told.error().sentence));
	(void)CORBEL_EXPECT(records_.remove(peer, trust::now_here()));
	cut_off(peer.id);
	return {};
}

void Hosts::leave(const HostId &from)
{
	const auto standing = records_.standing(from);
	const auto *peer = std::get_if<PeerTrust>(&standing);

	if (!peer)
		return;
	const auto removed = records_.remove(*peer, trust::now_here());
	warnings_.add(jobs::Severity::warning,
		      removed ? fmt::format("Host {} has ended the pairing.", peer->name)
			      : removed.error().sentence);
	const std::lock_guard guard(lock_);
	channels_.erase(from);
	contacts_.erase(from);
	if (auto server = servers_.extract(from))
		retired_.push_back(std::move(server.mapped()));
}

void Hosts::cut_off(const HostId &id)
{
	tunnels_->drop(id);
	const std::lock_guard guard(lock_);
	channels_.erase(id);
	contacts_.erase(id);
	if (auto server = servers_.extract(id))
		retired_.push_back(std::move(server.mapped()));
}

std::shared_ptr<MigrationPeer> Hosts::migrations()
{
	const std::lock_guard guard(lock_);

	return migrations_;
}

void Hosts::set_migrations(std::shared_ptr<MigrationPeer> migrations)
{
	const std::lock_guard guard(lock_);

	migrations_ = std::move(migrations);
}

LastContact Hosts::last_contact(const HostId &id)
{
	const std::lock_guard guard(lock_);
	const auto found = contacts_.find(id);

	return found == contacts_.end() ? LastContact() : found->second;
}

void Hosts::tend(const std::stop_token &stop)
{
	std::vector<std::unique_ptr<PeerServer>> retired;
	{
		const std::lock_guard guard(lock_);
		retired.swap(retired_);
	}
	retired.clear();
	const auto self = identity();
	if (!self)
		return;
	if ((*self)->needs_rotation())
		if (const auto renewed = rotate(); !renewed)
			warnings_.add(jobs::Severity::error, renewed.error().sentence);
	const auto peers = records_.list();
	for (const auto &peer : peers ? *peers : std::vector<PeerTrust>()) {
		if (stop.stop_requested())
			return;
		if (const auto greeted = greet(peer); !greeted)
			log(Level::info,
			    fmt::format("Host {}: {}", peer.name, greeted.error().sentence));
	}
}

} /* namespace corbel::daemon */
