/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store.hh - what the daemon must not forget: keys, values, leases.
 *
 * An interface that a file on one host and a consensus service among several can both
 * keep: it has what etcd's does (Range, Txn, Lease, Watch) and no more. Whoever needs an
 * order among hosts gets it from compare-and-swap and leases, and not from a clock.
 *
 * Keys and values are bytes. Keys are ordered as memcmp() orders them.
 *
 * Every function may block on storage, may be called from any thread, and either did all
 * that it says or nothing. Errors: EINVAL (a limit below), ENOSPC, EIO, EBUSY (somebody
 * else holds the store for longer than it is waited for), EUCLEAN (it is damaged).
 */
#pragma once

#include <libcorbel/error.hh>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace corbel::state {

inline constexpr std::size_t longest_key = 1024; /* at least 1 */
inline constexpr std::size_t longest_value = std::size_t{1} << 20;
inline constexpr std::size_t most_operations = 128; /* of a transaction */
inline constexpr std::chrono::milliseconds shortest_lease{100};
inline constexpr std::chrono::milliseconds longest_lease{std::chrono::hours(24)};

/* Of the store: one more with each commit that changed something. */
using Version = std::uint64_t;
/* 0: none. */
using LeaseId = std::uint64_t;

struct Entry {
	std::string key;
	std::string value;
	Version created; /* when the key came to be */
	Version changed; /* when it last got a value, the same one too */
	LeaseId lease;

	bool operator==(const Entry &) const = default;
};

/* That a key was last changed then; with 0 that there is none. */
struct Condition {
	std::string key;
	Version changed;
};

struct Put {
	std::string key;
	std::string value;
	LeaseId lease = 0; /* with which the key ends; ENOENT if there is none such */
};

struct Erase {
	std::string key;
};

/* No key is changed twice by one: EINVAL. */
struct Transaction {
	std::vector<Condition> conditions;
	std::vector<std::variant<Put, Erase>> changes;
};

struct Outcome {
	bool committed; /* else one of the conditions does not hold, and nothing was done */
	Version version; /* of the store now */
};

struct Change {
	Version version;
	std::string key;
	std::optional<std::string> value; /* none: it is gone */

	bool operator==(const Change &) const = default;
};

class Store {
public:
	Store() = default;
	Store(const Store &) = delete;
	virtual ~Store() = default;

	[[nodiscard]] virtual Result<Version> version() = 0;
	[[nodiscard]] virtual Result<std::optional<Entry>> get(std::string_view key) = 0;
	/* Those that begin with @prefix and come after @after, in order, at most @limit. */
	[[nodiscard]] virtual Result<std::vector<Entry>>
	list(std::string_view prefix, std::string_view after = {}, std::size_t limit = 1000) = 0;
	/* On stable storage when it returns. */
	[[nodiscard]] virtual Result<Outcome> commit(const Transaction &transaction) = 0;

	/* For @length from now on; a lease that has passed takes its keys with it. */
	[[nodiscard]] virtual Result<LeaseId> grant(std::chrono::milliseconds length) = 0;
	/* For as long again. ENOENT: it has passed. */
	[[nodiscard]] virtual Result<void> keep_alive(LeaseId lease) = 0;
	/* Now, with its keys. ENOENT: it has passed. */
	[[nodiscard]] virtual Result<void> revoke(LeaseId lease) = 0;

	/*
	 * What became of keys with @prefix after version @since, in order; all of a version
	 * or nothing of it, so there can be more than @limit. ESTALE: that is too long ago,
	 * so list() anew.
	 */
	[[nodiscard]] virtual Result<std::vector<Change>>
	changes(std::string_view prefix, Version since, std::size_t limit = 1000) = 0;
};

/* EINVAL and what is wrong with @transaction by the limits above. */
[[nodiscard]] Result<void> check(const Transaction &transaction);

/* All that begin with @prefix, in order, page by page: what changes meanwhile may be in it. */
[[nodiscard]] Result<std::vector<Entry>> list_all(Store &store, std::string_view prefix);

/* The first key after all that begin with @prefix; empty: there is none. */
[[nodiscard]] std::string end_of(std::string_view prefix);

} /* namespace corbel::state */
