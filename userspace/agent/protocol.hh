/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * protocol.hh - what the host and the agent in a guest say to each other.
 *
 * A stream (vsock, the host connects to port agent_port) of messages, all numbers
 * little-endian:
 *
 *	u32 size	of what follows the head, at most max_payload
 *	u16 type	enum Type
 *	u16 zero
 *	u32 id		of the request; its reply has the same
 *	...		the payload
 *
 * The host asks, the agent gives one reply to each request and says nothing else. The
 * first request is hello. The head and the first eight bytes of hello are the same in
 * every version, so that two that do not fit can name each other's version.
 *
 * Neither trusts the other: a message that is longer than allowed, of a type that is
 * not expected, or that is not used up by what is read from it ends the connection.
 * Documentation/agent.md has the layout of each payload.
 */
#pragma once

#include <agent/cpu_set.hh>

#include <libcorbel/error.hh>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace corbel::agent {

inline constexpr std::uint32_t agent_port = 26722;
inline constexpr std::uint32_t host_cid = 2;

inline constexpr std::uint32_t magic = 0x6c627263; /* "crbl" */
inline constexpr std::uint16_t version_major = 1; /* another one does not fit */
inline constexpr std::uint16_t version_minor = 0; /* may differ: additions */

inline constexpr std::size_t head_size = 12;
inline constexpr std::size_t max_payload = 64 * 1024 - head_size;
inline constexpr std::size_t max_text = 256;
inline constexpr std::size_t max_irqs = 4096; /* of a guest */
inline constexpr std::size_t max_irqs_in_reply = 256;
inline constexpr std::size_t max_list_requests = 64; /* to learn of all of them */

enum class Type : std::uint16_t {
	hello = 1,
	list = 2,
	move = 3,
	restore = 4,
	keep = 5,
	hello_reply = 101,
	list_reply = 102,
	move_reply = 103,
	restore_reply = 104,
	keep_reply = 105,
	error_reply = 200,
};

struct Head {
	std::uint32_t size;
	Type type;
	std::uint32_t id;
};

struct Version {
	std::uint16_t major = version_major;
	std::uint16_t minor = version_minor;

	[[nodiscard]] std::string text() const;
};

struct Hello {
	Version version{};
};

struct Cpu {
	std::uint16_t number; /* as the guest's kernel counts */
	std::uint32_t apic_id;
};

struct HelloReply {
	Version version{};
	std::string program; /* Corbel's version */
	std::string kernel; /* release */
	std::vector<Cpu> online;
};

/* Interrupts whose number is at least @first. */
struct List {
	std::uint32_t first = 0;
};

struct CpuCount {
	std::uint16_t cpu;
	std::uint64_t count; /* not 0 */
};

struct GuestIrq {
	std::uint32_t number = 0;
	bool movable = false; /* as far as is known without trying */
	CpuSet affinity; /* where it may go */
	CpuSet effective; /* where it goes */
	std::string name; /* of those who handle it */
	std::vector<CpuCount> counts;
};

struct ListReply {
	std::uint32_t next = 0; /* to ask for; 0: that was all */
	std::vector<GuestIrq> irqs; /* by number */
};

struct MoveRequest {
	std::uint32_t number = 0;
	CpuSet affinity;
};

/* What the kernel made of it. */
struct MoveReply {
	CpuSet affinity;
	CpuSet effective;
};

/* Of all that were moved on this connection. */
struct RestoreReply {
	std::uint32_t restored = 0;
	std::uint32_t foreign = 0; /* somebody has set them to something else meanwhile */
	std::uint32_t failed = 0;
};

enum class Refusal : std::uint16_t {
	version = 1, /* the versions do not fit */
	malformed = 2, /* the request cannot be read */
	no_irq = 3, /* there is no such interrupt */
	no_cpu = 4, /* the set is empty, or one of it is not online */
	pinned = 5, /* the kernel does not let this interrupt be moved */
	kernel = 6, /* something else that the kernel said */
	too_many = 7, /* requests in too short a time, or interrupts moved */
};

struct ErrorReply {
	Refusal refusal = Refusal::malformed;
	std::string sentence;
};

/* A message with its head. */
[[nodiscard]] std::string message(Type type, std::uint32_t id, std::string_view payload = {});

[[nodiscard]] std::string encode(const Hello &hello);
[[nodiscard]] std::string encode(const HelloReply &reply);
[[nodiscard]] std::string encode(const List &list);
[[nodiscard]] std::string encode(const MoveRequest &move);
[[nodiscard]] std::string encode(const MoveReply &reply);
[[nodiscard]] std::string encode(const RestoreReply &reply);
[[nodiscard]] std::string encode(const ErrorReply &reply);

/* What @irq takes in a list reply. */
[[nodiscard]] std::string encode(const GuestIrq &irq);
/* @irqs are encoded, together no longer than max_payload allows. */
[[nodiscard]] std::string encode_list(std::uint32_t next, const std::vector<std::string> &irqs);
inline constexpr std::size_t list_room = max_payload - 6;

/* @bytes are head_size long. EPROTO, EMSGSIZE. */
[[nodiscard]] Result<Head> decode_head(std::string_view bytes);

/* EPROTO if @payload is not one, just one, and within the limits. */
template <typename T>
[[nodiscard]] Result<T> decode(std::string_view payload);

template <>
Result<Hello> decode(std::string_view payload);
template <>
Result<HelloReply> decode(std::string_view payload);
template <>
Result<List> decode(std::string_view payload);
template <>
Result<ListReply> decode(std::string_view payload);
template <>
Result<MoveRequest> decode(std::string_view payload);
template <>
Result<MoveReply> decode(std::string_view payload);
template <>
Result<RestoreReply> decode(std::string_view payload);
template <>
Result<ErrorReply> decode(std::string_view payload);

/* The version alone, which can be read of any Hello and HelloReply. */
[[nodiscard]] Result<Version> decode_version(std::string_view payload);

} /* namespace corbel::agent */
