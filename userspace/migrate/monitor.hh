/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * monitor.hh - what a move asks of QEMU.
 *
 * A QEMU whose guest waits for a missing page may not answer: nothing that must be done
 * depends on an answer there.
 */
#pragma once

#include "../qemu/qmp.hh"
#include "../qemu/runtime.hh"

#include <string>
#include <vector>

namespace corbel::migrate {

struct Transfer {
	std::string status; /* of query-migrate: "active", "completed", "failed"; empty: none */
	std::string error;
	std::uint64_t done = 0, total = 0; /* bytes of RAM */
	std::uint64_t downtime_ms = 0;
};

/* A disk that is copied to the destination while the guest writes to it here. */
struct Mirror {
	std::string name; /* of the job in QEMU */
	std::string status; /* of query-jobs: "ready": only what is written now is missing */
	std::string error;
	std::uint64_t done = 0, total = 0; /* bytes */
};

class Monitor {
public:
	[[nodiscard]] static Result<Monitor> connect(const qemu::Runtime &runtime,
						     const qemu::Launch &launch);

	/* "running", "paused", "inmigrate". */
	[[nodiscard]] Result<std::string> status();
	/* Whether the guest runs, of such a status. */
	[[nodiscard]] static bool runs(const std::string &status);
	[[nodiscard]] Result<void> stop();
	[[nodiscard]] Result<void> go();

	/* Why it cannot be moved; empty: it can. */
	[[nodiscard]] Result<std::vector<std::string>> blockers();
	/*
	 * Before a transfer, at both ends. @own_memory: the memory is QEMU's own and goes with
	 * it; else it is an object, of which nothing goes. The source stops when all is sent, and
	 * waits for finish().
	 */
	[[nodiscard]] Result<void> set_up(bool own_memory, bool source);
	/* Begins; what comes of it is seen by transfer(). QEMU gets a copy of @fd. */
	[[nodiscard]] Result<void> send_to(int fd);
	[[nodiscard]] Result<void> receive_from(int fd);
	[[nodiscard]] Result<void> finish();
	/* The guest goes on if it was stopped for it. */
	[[nodiscard]] Result<void> cancel();
	[[nodiscard]] Result<Transfer> transfer();
	/* Something has happened since this connection was made, or @limit has passed. */
	[[nodiscard]] Result<void> wait_for_event(std::chrono::milliseconds limit);

	/*
	 * At the destination: who connects to @socket reads and writes those disks, by their
	 * names as nodes. What is so already stays so.
	 */
	[[nodiscard]] Result<void> serve_disks(const std::filesystem::path &socket,
					       const std::vector<std::string> &nodes);
	[[nodiscard]] Result<void> end_serving();
	/* At the source: begins to copy @node by the connection @fd, to the same node there. */
	[[nodiscard]] Result<void> begin_mirror(const std::string &name, const std::string &node,
						int fd);
	[[nodiscard]] Result<std::vector<Mirror>> mirrors();
	/* One that is ready ends when all that was written is there: "concluded". */
	[[nodiscard]] Result<void> end_mirror(const std::string &name);
	/* Its connection breaks; it is soon "concluded". */
	[[nodiscard]] Result<void> break_mirror(const std::string &name);
	/* Of one that is concluded nothing stays. */
	[[nodiscard]] Result<void> forget_mirror(const std::string &name);

private:
	explicit Monitor(qemu::Qmp qmp) : qmp_(std::move(qmp)) {}
	[[nodiscard]] Result<void> tell(const std::string &command,
					const qemu::Json &arguments = qemu::Json::object(),
					std::chrono::milliseconds limit = std::chrono::seconds(5));

	qemu::Qmp qmp_;
};

} /* namespace corbel::migrate */
