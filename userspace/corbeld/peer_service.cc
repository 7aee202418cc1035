// SPDX-License-Identifier: GPL-2.0-or-later
#include "peer_service.hh"

#include "../rpc/status.hh"

#include <cerrno>
#include <chrono>

#include <fmt/format.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_context.h>
#include <grpcpp/server_posix.h>
#include <zlib.h>

namespace corbel::daemon {

namespace {

using namespace std::chrono_literals;

constexpr int most_threads = 8;
/* The state of a VM's devices is in one. */
constexpr int largest_message = 64 << 20;

template <typename T>
grpc::Status answer(Result<T> result, T *reply)
{
	if (!result)
		return rpc::status_of(result.error());
	*reply = *std::move(result);
	return grpc::Status::OK;
}

class PairedService final : public v1::Peers::Service {
public:
	PairedService(PeerHandler &handler, trust::HostId host)
		: handler_(handler), host_(std::move(host))
	{}

	grpc::Status Hello(grpc::ServerContext *, const v1::HostCard *card,
			   v1::HostCard *reply) override
	{
		return answer(handler_.hello(host_, *card), reply);
	}

	grpc::Status Leave(grpc::ServerContext *, const v1::LeaveRequest *,
			   v1::LeaveReply *) override
	{
		handler_.leave(host_);
		return grpc::Status::OK;
	}

	grpc::Status Probe(grpc::ServerContext *, grpc::ServerReader<v1::ProbeChunk> *reader,
			   v1::ProbeReply *reply) override
	{
		v1::ProbeChunk chunk;
		std::uint64_t bytes = 0;
		uLong checksum = ::crc32(0, nullptr, 0);

		while (reader->Read(&chunk)) {
			const auto &data = chunk.data();

			bytes += data.size();
			checksum = ::crc32_z(checksum, reinterpret_cast<const Bytef *>(data.data()),
					     data.size());
		}
		reply->set_bytes(bytes);
		reply->set_checksum(static_cast<std::uint32_t>(checksum));
		return grpc::Status::OK;
	}

	grpc::Status Migrate(grpc::ServerContext *, const v1::MigrateOrder *order,
			     v1::MigrateAnswer *reply) override
	{
		return forward(&MigrationPeer::order, *order, reply);
	}

	grpc::Status MigrateConnect(grpc::ServerContext *, const v1::MigrateConnectRequest *request,
				    v1::MigrateConnectReply *reply) override
	{
		return forward(&MigrationPeer::connect, *request, reply);
	}

	grpc::Status MigrateAsk(grpc::ServerContext *, const v1::MigrateAskRequest *request,
				v1::MigrateAskReply *reply) override
	{
		return forward(&MigrationPeer::ask, *request, reply);
	}

private:
	template <typename Request, typename Reply>
	grpc::Status forward(Result<Reply> (MigrationPeer::*how)(const trust::HostId &,
								 const Request &),
			     const Request &request, Reply *reply)
	{
		const auto migrations = handler_.migrations();

		if (!migrations)
			return rpc::status_of({ENOSYS, "This host does not move VMs now."});
		return answer(((*migrations).*how)(host_, request), reply);
	}

	PeerHandler &handler_;
	trust::HostId host_;
};

class PairingService final : public v1::Pairing::Service {
public:
	PairingService(PeerHandler &handler, trust::Presented host)
		: handler_(handler), host_(std::move(host))
	{}

	grpc::Status Join(grpc::ServerContext *, const v1::JoinRequest *request,
			  v1::HostCard *reply) override
	{
		return answer(handler_.join(host_, *request), reply);
	}

private:
	PeerHandler &handler_;
	trust::Presented host_;
};

} /* namespace */

Result<std::unique_ptr<PeerServer>> PeerServer::start(PeerHandler &handler,
						      const trust::Presented &host, bool known)
{
	std::unique_ptr<PeerServer> server(new PeerServer);
	grpc::ServerBuilder builder;
	grpc::ResourceQuota quota(host.id.uuid);

	if (known)
		server->service_ = std::make_unique<PairedService>(handler, host.id);
	else
		server->service_ = std::make_unique<PairingService>(handler, host);
	quota.SetMaxThreads(most_threads);
	builder.SetResourceQuota(quota);
	builder.SetMaxReceiveMessageSize(largest_message);
	builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
	builder.RegisterService(server->service_.get());
	server->server_ = builder.BuildAndStart();
	if (!server->server_)
		return failure(ENOMEM, fmt::format("No gRPC server can be started for host {}.",
						   host.name));
	return server;
}

PeerServer::~PeerServer()
{
	if (server_)
		server_->Shutdown(std::chrono::system_clock::now() + 1s);
}

void PeerServer::add(ScopedFd connection)
{
	/* Which closes it. */
	grpc::AddInsecureChannelFromFd(server_.get(), connection.release());
}

} /* namespace corbel::daemon */
