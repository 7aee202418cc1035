/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * data_socket.hh - the two connections that carry what a VM's memory holds.
 *
 *   source                                  destination
 *     |  connect? ------------ mTLS ------->  |  listens at a port of its own, makes keys
 *     |    <-- port, keys ---- mTLS --------  |
 *     |  TCP: session, which of the two --->  |
 *     |  TLS by the kernel from here on ===>  |
 *
 * The keys are made by the destination for these connections alone, one for each direction,
 * and go over the connection on which both hosts have proved who they are. What comes first on
 * a TCP connection is no secret: who guesses it has no key.
 */
#pragma once

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include "../trust/address.hh"

#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>

namespace corbel::migrate {

using Session = std::array<std::uint8_t, 16>;

/* Of a uuid. EINVAL: it is none. */
[[nodiscard]] Result<Session> session_of(const std::string &uuid);

/* AES-256-GCM as the kernel's TLS 1.3 takes it: key, salt, nonce. */
inline constexpr std::size_t direction_size = 32 + 4 + 8;

/* Wiped with its owner. */
class DataKeys {
public:
	static constexpr std::size_t size = 4 * direction_size;

	[[nodiscard]] static Result<DataKeys> make();
	/* EINVAL: not that many bytes. */
	[[nodiscard]] static Result<DataKeys> of(std::string_view bytes);
	DataKeys(DataKeys &&other) noexcept;
	DataKeys &operator=(DataKeys &&) = delete;
	~DataKeys();

	[[nodiscard]] std::string_view bytes() const;
	using Direction = std::span<const std::uint8_t, direction_size>;
	[[nodiscard]] Direction to_destination(unsigned stream) const;
	[[nodiscard]] Direction to_source(unsigned stream) const;

private:
	DataKeys() = default;
	[[nodiscard]] Direction part(unsigned number) const;

	std::array<std::uint8_t, size> bytes_{};
};

/* Of a pager; QEMU's own migration has the first one alone. */
struct DataSockets {
	ScopedFd demand, push;
};

/* False: its kernel has no TLS (module tls). */
[[nodiscard]] bool kernel_has_tls();

/* What a kernel without TLS says. */
[[nodiscard]] std::unexpected<Error> no_kernel_tls();

/* From here on all that is written is encrypted with @send, and what comes with @receive. */
[[nodiscard]] Result<void> encrypt(int fd, DataKeys::Direction send, DataKeys::Direction receive);

/* At the source; @keys null: in the clear. Blocking sockets. */
[[nodiscard]] Result<DataSockets> connect_data(const trust::Address &address,
					       const Session &session, unsigned streams,
					       const DataKeys *keys,
					       std::chrono::milliseconds limit);

/* At the destination; whoever does not say @session first is sent away. */
[[nodiscard]] Result<DataSockets> accept_data(const ScopedFd &listener, const Session &session,
					      unsigned streams, const DataKeys *keys,
					      std::chrono::milliseconds limit);

} /* namespace corbel::migrate */
