// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe_job.hh"

#include "../rpc/status.hh"

#include <algorithm>
#include <cerrno>
#include <chrono>

#include <fmt/format.h>
#include <grpcpp/client_context.h>
#include <zlib.h>

namespace corbel::daemon {

namespace {

using jobs::Json;
using jobs::Work;
using Clock = std::chrono::steady_clock;

constexpr std::size_t chunk_size = 64 << 10;
constexpr unsigned greetings = 10;

double seconds_since(Clock::time_point begin)
{
	return std::chrono::duration<double>(Clock::now() - begin).count();
}

Result<void> measure_round_trip(Work &work, Hosts &hosts)
{
	const auto peer = CORBEL_EXPECT(hosts.records().find(work.argument().at("host")));
	double best = 0;

	for (unsigned i = 0; i < greetings; i++) {
		const auto begin = Clock::now();

		CORBEL_EXPECT(hosts.greet(peer));
		best = i == 0 ? seconds_since(begin) : std::min(best, seconds_since(begin));
	}
	work.data()["result"]["round_trip_us"] = static_cast<std::uint64_t>(best * 1e6);
	return {};
}

/* No two chunks alike, and nothing that could be made smaller on the way. */
void fill(std::string &data, std::uint64_t &state)
{
	for (std::size_t at = 0; at + sizeof(state) <= data.size(); at += sizeof(state)) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		std::copy_n(reinterpret_cast<const char *>(&state), sizeof(state), &data[at]);
	}
}

grpc::Status send_all(Work &work, v1::Peers::Stub &stub, std::uint64_t total, bool &interrupted)
{
	grpc::ClientContext context;
	v1::ProbeReply reply;
	v1::ProbeChunk chunk;
	std::uint64_t state = 0x9e3779b97f4a7c15, sent = 0;
	uLong checksum = ::crc32(0, nullptr, 0);
	const auto writer = stub.Probe(&context, &reply);

	chunk.mutable_data()->resize(chunk_size);
	while (sent < total) {
		auto &data = *chunk.mutable_data();

		interrupted = work.interrupted();
		if (interrupted)
			context.TryCancel();
		data.resize(std::min<std::uint64_t>(chunk_size, total - sent));
		fill(data, state);
		checksum = ::crc32_z(checksum, reinterpret_cast<const Bytef *>(data.data()),
				     data.size());
		if (!writer->Write(chunk))
			break;
		sent += data.size();
		work.progress(sent, total, "bytes");
	}
	writer->WritesDone();
	auto status = writer->Finish();
	if (!status.ok())
		return status;
	if (reply.bytes() == total && reply.checksum() == checksum)
		return status;
	return rpc::status_of({EIO, fmt::format("{} of {} bytes have come, with checksum {:08x} "
						"instead of {:08x}.",
						reply.bytes(), total, reply.checksum(), checksum)});
}

Result<void> send(Work &work, Hosts &hosts)
{
	const auto peer = CORBEL_EXPECT(hosts.records().find(work.argument().at("host")));
	const auto total = work.argument().at("bytes").get<std::uint64_t>();
	const auto begin = Clock::now();
	bool interrupted = false;

	CORBEL_EXPECT(hosts.call(peer, [&](v1::Peers::Stub &stub) {
		return send_all(work, stub, total, interrupted);
	}));
	const double seconds = seconds_since(begin);
	auto &result = work.data()["result"];
	result["bytes"] = total;
	result["seconds"] = seconds;
	result["bytes_per_s"] = static_cast<double>(total) / seconds;
	return {};
}

/* Who died after the renewal finds another certificate than was noted. */
Result<void> renew(Work &work, Hosts &hosts)
{
	const auto serial = CORBEL_EXPECT(hosts.identity())->serial();

	if (work.data().at("before") == serial)
		CORBEL_EXPECT(hosts.rotate());
	return {};
}

/* Who cannot be told learns it with the next greeting. */
Result<void> tell(Work &work, Hosts &hosts)
{
	const auto peers = CORBEL_EXPECT(hosts.records().list());
	std::uint64_t told = 0;

	for (const auto &peer : peers) {
		if (const auto greeted = hosts.greet(peer); !greeted)
			work.warn(jobs::Severity::warning,
				  fmt::format("Host {} does not know yet that the certificate "
					      "before is revoked: {}",
					      peer.name, greeted.error().sentence));
		work.progress(++told, peers.size(), "hosts");
	}
	const auto self = CORBEL_EXPECT(hosts.identity());
	work.data()["result"] = {{"serial", self->serial()},
				 {"expires", trust::text_of(self->not_after())}};
	return {};
}

} /* namespace */

jobs::JobKind probe_job(Hosts &hosts)
{
	return {.name = probe_kind,
		.steps = {{.name = "round-trip",
			   .run = [&](Work &work) { return measure_round_trip(work, hosts); }},
			  {.name = "send", .run = [&](Work &work) { return send(work, hosts); }}},
		.commit = 2};
}

jobs::JobKind rotate_job(Hosts &hosts)
{
	return {.name = rotate_kind,
		.steps = {{.name = "note",
			   .run = [&](Work &work) -> Result<void> {
				   work.data()["before"] =
					   CORBEL_EXPECT(hosts.identity())->serial();
				   return {};
			   }},
			  {.name = "renew", .run = [&](Work &work) { return renew(work, hosts); }},
			  {.name = "tell", .run = [&](Work &work) { return tell(work, hosts); }}},
		.commit = 1,
		.check = [&](const Json &) -> Result<void> {
			CORBEL_EXPECT(hosts.identity());
			return {};
		}};
}

} /* namespace corbel::daemon */
