// SPDX-License-Identifier: GPL-2.0-or-later
#include "sqlite_store.hh"

#include "sqlite.hh"

#include <libcorbel/text_file.hh>

#include <array>
#include <cerrno>
#include <ctime>
#include <mutex>
#include <span>

#include <fmt/format.h>

namespace corbel::state {

namespace {

using std::chrono::milliseconds;

/* PRAGMA application_id: "Crbl". */
constexpr std::int64_t application = 0x4372626c;

/* Number n brings a file of version n to n + 1. Never changed once released. */
constexpr std::array migrations{
	"CREATE TABLE store ("
	"	only INTEGER PRIMARY KEY CHECK (only = 1),"
	"	version INTEGER NOT NULL,"
	"	forgotten INTEGER NOT NULL);" /* changes up to this version are gone */
	"INSERT INTO store VALUES (1, 0, 0);"
	"CREATE TABLE lease ("
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,"
	"	length_ms INTEGER NOT NULL,"
	"	end_ms INTEGER NOT NULL,"
	"	boot BLOB NOT NULL);"
	"CREATE TABLE entry ("
	"	key BLOB PRIMARY KEY,"
	"	value BLOB NOT NULL,"
	"	created INTEGER NOT NULL,"
	"	changed INTEGER NOT NULL,"
	"	lease INTEGER REFERENCES lease (id)) WITHOUT ROWID;"
	"CREATE INDEX entry_of_lease ON entry (lease) WHERE lease IS NOT NULL;"
	"CREATE TABLE change ("
	"	version INTEGER NOT NULL,"
	"	key BLOB NOT NULL,"
	"	value BLOB," /* NULL: the key is gone */
	"	PRIMARY KEY (version, key)) WITHOUT ROWID;",
};

Result<void> check_file(const Database &database)
{
	const auto known = static_cast<std::int64_t>(migrations.size());
	const auto id = CORBEL_EXPECT(database.number("PRAGMA application_id"));
	const auto version = CORBEL_EXPECT(database.number("PRAGMA user_version"));
	const auto tables = CORBEL_EXPECT(database.number("SELECT count(*) FROM sqlite_schema"));

	if (id == 0 && version == 0 && tables == 0)
		return {};
	if (id != application)
		return failure(EINVAL, fmt::format("{} is a database, but not one of Corbel's: it "
						   "was not touched.",
						   database.path()));
	if (version > known)
		return failure(EPROTO,
			       fmt::format("The state in {} was written by a newer version of "
					   "Corbel (schema {}, this one knows {}): it was not "
					   "touched. Install that version again.",
					   database.path(), version, known));
	auto check = CORBEL_EXPECT(database.query("PRAGMA quick_check(1)"));
	if (!CORBEL_EXPECT(check.step()) || check.bytes(0) != "ok")
		return failure(EUCLEAN, fmt::format("The state in {} is damaged ({}): keep it for "
						    "examination and put a copy in its place.",
						    database.path(), check.bytes(0)));
	return {};
}

Result<void> migrate(const Database &database)
{
	auto transaction = CORBEL_EXPECT(WriteTransaction::begin(database));
	/* Looked at again: another process may have been faster. */
	const auto version = CORBEL_EXPECT(database.number("PRAGMA user_version"));

	for (const auto *migration :
	     std::span(migrations).subspan(static_cast<std::size_t>(version)))
		CORBEL_EXPECT(database.execute(migration));
	CORBEL_EXPECT(database.execute(fmt::format("PRAGMA application_id = {};"
						   "PRAGMA user_version = {}",
						   application, migrations.size())
					       .c_str()));
	return transaction.commit();
}

std::int64_t signed_of(std::uint64_t number)
{
	return static_cast<std::int64_t>(number);
}

std::uint64_t unsigned_of(std::int64_t number)
{
	return static_cast<std::uint64_t>(number);
}

Entry entry_in(const Query &row)
{
	return {.key = row.bytes(0),
		.value = row.bytes(1),
		.created = unsigned_of(row.number(2)),
		.changed = unsigned_of(row.number(3)),
		.lease = unsigned_of(row.number(4))};
}

class SqliteStore final : public Store {
public:
	SqliteStore(Database database, SqliteOptions options)
		: database_(std::move(database)), options_(std::move(options))
	{}

	Result<Version> version() override;
	Result<std::optional<Entry>> get(std::string_view key) override;
	Result<std::vector<Entry>> list(std::string_view prefix, std::string_view after,
					std::size_t limit) override;
	Result<Outcome> commit(const Transaction &transaction) override;
	Result<LeaseId> grant(milliseconds length) override;
	Result<void> keep_alive(LeaseId lease) override;
	Result<void> revoke(LeaseId lease) override;
	Result<std::vector<Change>> changes(std::string_view prefix, Version since,
					    std::size_t limit) override;

private:
	/* All of these within a transaction, those that change something in a writing one. */
	Result<Version> version_now();
	Result<bool> holds(const Condition &condition);
	Result<bool> lives(LeaseId lease);
	Result<void> put(const Put &put, Version version);
	Result<bool> erase(std::string_view key, Version version);
	Result<void> note(std::string_view key, const std::string *value, Version version);
	Result<void> set_version(Version version);
	Result<void> end_lease(LeaseId lease);

	Result<void> end_what_has_passed();

	std::mutex lock_;
	Database database_;
	SqliteOptions options_;
};

Result<Version> SqliteStore::version_now()
{
	return unsigned_of(CORBEL_EXPECT(database_.number("SELECT version FROM store")));
}

/* Before anything is read or decided: what a lease kept is not there any more. */
Result<void> SqliteStore::end_what_has_passed()
{
	auto passed = CORBEL_EXPECT(
		database_.query("SELECT id FROM lease WHERE boot <> ? OR end_ms <= ?"));
	std::vector<LeaseId> leases;

	(void)passed.bind(options_.boot_id).bind(options_.now().count());
	while (CORBEL_EXPECT(passed.step()))
		leases.push_back(unsigned_of(passed.number(0)));
	if (leases.empty())
		return {};
	auto transaction = CORBEL_EXPECT(WriteTransaction::begin(database_));
	for (const auto lease : leases)
		/* Another process may have ended it, or have kept it alive, meanwhile. */
		if (!CORBEL_EXPECT(lives(lease)))
			CORBEL_EXPECT(end_lease(lease));
	return transaction.commit();
}

Result<bool> SqliteStore::lives(LeaseId lease)
{
	auto query = CORBEL_EXPECT(
		database_.query("SELECT 1 FROM lease WHERE id = ? AND boot = ? AND end_ms > ?"));

	(void)query.bind(signed_of(lease)).bind(options_.boot_id).bind(options_.now().count());
	return query.step();
}

Result<void> SqliteStore::end_lease(LeaseId lease)
{
	auto keys = CORBEL_EXPECT(database_.query("SELECT key FROM entry WHERE lease = ?"));
	const auto version = CORBEL_EXPECT(version_now()) + 1;
	std::vector<std::string> ended;

	(void)keys.bind(signed_of(lease));
	while (CORBEL_EXPECT(keys.step()))
		ended.push_back(keys.bytes(0));
	for (const auto &key : ended)
		CORBEL_EXPECT(erase(key, version));
	if (!ended.empty())
		CORBEL_EXPECT(set_version(version));
	auto remove = CORBEL_EXPECT(database_.query("DELETE FROM lease WHERE id = ?"));
	return remove.bind(signed_of(lease)).run();
}

Result<void> SqliteStore::set_version(Version version)
{
	auto update = CORBEL_EXPECT(database_.query("UPDATE store SET version = ?"));

	CORBEL_EXPECT(update.bind(signed_of(version)).run());
	if (version <= options_.kept_versions)
		return {};
	const auto forgotten = signed_of(version - options_.kept_versions);
	auto remove = CORBEL_EXPECT(database_.query("DELETE FROM change WHERE version <= ?"));
	CORBEL_EXPECT(remove.bind(forgotten).run());
	/* Never less: another process may keep more. */
	auto forget =
		CORBEL_EXPECT(database_.query("UPDATE store SET forgotten = max(forgotten, ?)"));
	return forget.bind(forgotten).run();
}

Result<void> SqliteStore::note(std::string_view key, const std::string *value, Version version)
{
	auto insert = CORBEL_EXPECT(database_.query("INSERT INTO change VALUES (?, ?, ?)"));

	(void)insert.bind(signed_of(version)).bind(key);
	return (value ? insert.bind(*value) : insert.bind_null()).run();
}

Result<void> SqliteStore::put(const Put &put, Version version)
{
	auto insert = CORBEL_EXPECT(database_.query(
		"INSERT INTO entry VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
		"value = excluded.value, changed = excluded.changed, lease = excluded.lease"));
	const auto number = signed_of(version);

	if (put.lease && !CORBEL_EXPECT(lives(put.lease)))
		return failure(ENOENT, fmt::format("Lease {}, with which '{}' shall end, has "
						   "passed.",
						   put.lease, put.key));
	(void)insert.bind(put.key).bind(put.value).bind(number).bind(number);
	CORBEL_EXPECT((put.lease ? insert.bind(signed_of(put.lease)) : insert.bind_null()).run());
	return note(put.key, &put.value, version);
}

/* Whether it was there. */
Result<bool> SqliteStore::erase(std::string_view key, Version version)
{
	auto remove = CORBEL_EXPECT(database_.query("DELETE FROM entry WHERE key = ?"));

	CORBEL_EXPECT(remove.bind(key).run());
	if (database_.changed_rows() == 0)
		return false;
	CORBEL_EXPECT(note(key, nullptr, version));
	return true;
}

Result<bool> SqliteStore::holds(const Condition &condition)
{
	auto query = CORBEL_EXPECT(database_.query("SELECT changed FROM entry WHERE key = ?"));
	const bool found = CORBEL_EXPECT(query.bind(condition.key).step());

	return condition.changed == (found ? unsigned_of(query.number(0)) : 0);
}

Result<Version> SqliteStore::version()
{
	const std::lock_guard guard(lock_);

	CORBEL_EXPECT(end_what_has_passed());
	return version_now();
}

Result<std::optional<Entry>> SqliteStore::get(std::string_view key)
{
	const std::lock_guard guard(lock_);

	CORBEL_EXPECT(end_what_has_passed());
	auto query = CORBEL_EXPECT(database_.query(
		"SELECT key, value, created, changed, lease FROM entry WHERE key = ?"));
	if (!CORBEL_EXPECT(query.bind(key).step()))
		return std::nullopt;
	return entry_in(query);
}

Result<std::vector<Entry>> SqliteStore::list(std::string_view prefix, std::string_view after,
					     std::size_t limit)
{
	const std::lock_guard guard(lock_);
	const auto end = end_of(prefix);
	std::vector<Entry> entries;

	CORBEL_EXPECT(end_what_has_passed());
	auto query = CORBEL_EXPECT(database_.query(
		"SELECT key, value, created, changed, lease FROM entry "
		"WHERE key >= ?1 AND key > ?2 AND (?3 = x'' OR key < ?3) ORDER BY key LIMIT ?4"));
	(void)query.bind(prefix).bind(after).bind(end).bind(signed_of(limit));
	while (CORBEL_EXPECT(query.step()))
		entries.push_back(entry_in(query));
	return entries;
}

Result<Outcome> SqliteStore::commit(const Transaction &transaction)
{
	CORBEL_EXPECT(check(transaction));
	const std::lock_guard guard(lock_);

	CORBEL_EXPECT(end_what_has_passed());
	auto write = CORBEL_EXPECT(WriteTransaction::begin(database_));
	const auto before = CORBEL_EXPECT(version_now());
	bool changed = false;

	for (const auto &condition : transaction.conditions)
		if (!CORBEL_EXPECT(holds(condition)))
			return Outcome{.committed = false, .version = before};
	for (const auto &change : transaction.changes) {
		if (const auto *put_one = std::get_if<Put>(&change)) {
			CORBEL_EXPECT(put(*put_one, before + 1));
			changed = true;
		} else {
			changed |= CORBEL_EXPECT(erase(std::get<Erase>(change).key, before + 1));
		}
	}
	if (!changed)
		return Outcome{.committed = true, .version = before};
	CORBEL_EXPECT(set_version(before + 1));
	CORBEL_EXPECT(write.commit());
	return Outcome{.committed = true, .version = before + 1};
}

Result<LeaseId> SqliteStore::grant(milliseconds length)
{
	if (length < shortest_lease || length > longest_lease)
		return failure(EINVAL, fmt::format("A lease is for {} ms to {} ms, not {}.",
						   shortest_lease.count(), longest_lease.count(),
						   length.count()));
	const std::lock_guard guard(lock_);
	auto transaction = CORBEL_EXPECT(WriteTransaction::begin(database_));
	auto insert = CORBEL_EXPECT(
		database_.query("INSERT INTO lease (length_ms, end_ms, boot) VALUES (?, ?, ?)"));

	(void)insert.bind(length.count())
		.bind((options_.now() + length).count())
		.bind(options_.boot_id);
	CORBEL_EXPECT(insert.run());
	const auto id = CORBEL_EXPECT(database_.number("SELECT last_insert_rowid()"));
	CORBEL_EXPECT(transaction.commit());
	return unsigned_of(id);
}

Result<void> SqliteStore::keep_alive(LeaseId lease)
{
	const std::lock_guard guard(lock_);
	auto transaction = CORBEL_EXPECT(WriteTransaction::begin(database_));

	if (!CORBEL_EXPECT(lives(lease)))
		return failure(ENOENT, fmt::format("Lease {} has passed.", lease));
	auto update = CORBEL_EXPECT(
		database_.query("UPDATE lease SET end_ms = ? + length_ms WHERE id = ?"));
	CORBEL_EXPECT(update.bind(options_.now().count()).bind(signed_of(lease)).run());
	return transaction.commit();
}

Result<void> SqliteStore::revoke(LeaseId lease)
{
	const std::lock_guard guard(lock_);
	auto transaction = CORBEL_EXPECT(WriteTransaction::begin(database_));

	if (!CORBEL_EXPECT(lives(lease)))
		return failure(ENOENT, fmt::format("Lease {} has passed.", lease));
	CORBEL_EXPECT(end_lease(lease));
	return transaction.commit();
}

Result<std::vector<Change>> SqliteStore::changes(std::string_view prefix, Version since,
						 std::size_t limit)
{
	const std::lock_guard guard(lock_);
	std::vector<Change> changes;

	CORBEL_EXPECT(end_what_has_passed());
	/* One statement, so that nobody forgets changes between two. */
	auto query = CORBEL_EXPECT(database_.query(
		"SELECT version, key, value, (SELECT forgotten FROM store) FROM change "
		"WHERE version > ?1 AND key >= ?2 AND (?3 = x'' OR key < ?3) "
		"UNION ALL SELECT 0, x'', NULL, forgotten FROM store ORDER BY 1, 2"));
	const auto end = end_of(prefix);
	(void)query.bind(signed_of(since)).bind(prefix).bind(end);
	while (CORBEL_EXPECT(query.step())) {
		if (since < unsigned_of(query.number(3)))
			return failure(ESTALE,
				       fmt::format("The changes after version {} are no longer "
						   "known, those after {} are.",
						   since, query.number(3)));
		const auto version = unsigned_of(query.number(0));
		if (version == 0)
			continue;
		if (changes.size() >= limit && changes.back().version != version)
			break;
		changes.push_back(
			{version, query.bytes(1),
			 query.is_null(2) ? std::nullopt : std::optional(query.bytes(2))});
	}
	return changes;
}

} /* namespace */

Result<SqliteOptions> options_for(std::string path)
{
	auto boot = text_of_file("/proc/sys/kernel/random/boot_id");

	if (!boot)
		return failure(errno, fmt::format("The id of this boot cannot be read: {}.",
						  describe_errno(errno)));
	return SqliteOptions{.path = std::move(path),
			     .now =
				     [] {
					     timespec time{};

					     ::clock_gettime(CLOCK_BOOTTIME, &time);
					     return milliseconds(time.tv_sec * 1000 +
								 time.tv_nsec / 1'000'000);
				     },
			     .boot_id = std::move(*boot)};
}

Result<std::unique_ptr<Store>> open_sqlite_store(SqliteOptions options)
{
	auto database = CORBEL_EXPECT(Database::open(options.path));

	CORBEL_EXPECT(check_file(database));
	CORBEL_EXPECT(database.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
				       "PRAGMA foreign_keys = ON"));
	CORBEL_EXPECT(migrate(database));
	return std::make_unique<SqliteStore>(std::move(database), std::move(options));
}

} /* namespace corbel::state */
