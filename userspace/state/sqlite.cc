// SPDX-License-Identifier: GPL-2.0-or-later
#include "sqlite.hh"

#include <libcorbel/scoped_fd.hh>

#include <fcntl.h>
#include <sqlite3.h>

#include <cerrno>
#include <utility>

#include <fmt/format.h>

namespace corbel::state {

namespace {

constexpr int patience_ms = 5000;

struct Cause {
	int number;
	const char *advice;
};

Cause cause_of(int code)
{
	switch (code & 0xff) {
	case SQLITE_FULL:
		return {ENOSPC, "nothing was changed: make room on its file system"};
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return {EBUSY, "another program holds it: see who has it open with `fuser`"};
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return {EUCLEAN, "keep the file for examination and put a copy in its place"};
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return {EACCES, "see that it and its folder may be written"};
	case SQLITE_CANTOPEN:
		return {ENOENT, "see that its folder is there and may be written"};
	case SQLITE_NOMEM:
		return {ENOMEM, "there is no memory left"};
	default:
		return {EIO, "see what the kernel log says of its disk"};
	}
}

std::unexpected<Error> fail(sqlite3 *database, int code)
{
	const auto [number, advice] = cause_of(code);
	const char *path = database ? sqlite3_db_filename(database, "main") : nullptr;
	const char *text = database ? sqlite3_errmsg(database) : sqlite3_errstr(code);

	return failure(number, fmt::format("The state in {} cannot be used ({}): {}.",
					   path && *path ? path : "memory", text, advice));
}

} /* namespace */

/* ---- one statement --------------------------------------------------------------- */

void Query::Finalize::operator()(sqlite3_stmt *statement) const
{
	sqlite3_finalize(statement);
}

Query &Query::bind(std::int64_t value)
{
	const int code = sqlite3_bind_int64(statement_.get(), next_++, value);

	refused_ = refused_ ? refused_ : code;
	return *this;
}

Query &Query::bind(std::string_view bytes)
{
	/* A null pointer would be NULL, and an empty view may have one. */
	const char *data = bytes.empty() ? "" : bytes.data();
	const int code = sqlite3_bind_blob64(statement_.get(), next_++, data, bytes.size(),
					     SQLITE_TRANSIENT);

	refused_ = refused_ ? refused_ : code;
	return *this;
}

Query &Query::bind_null()
{
	const int code = sqlite3_bind_null(statement_.get(), next_++);

	refused_ = refused_ ? refused_ : code;
	return *this;
}

Result<bool> Query::step()
{
	if (refused_)
		return fail(database_, refused_);
	const int code = sqlite3_step(statement_.get());

	if (code == SQLITE_ROW)
		return true;
	if (code == SQLITE_DONE)
		return false;
	return fail(database_, code);
}

Result<void> Query::run()
{
	while (CORBEL_EXPECT(step()))
		;
	return {};
}

std::int64_t Query::number(int column) const
{
	return sqlite3_column_int64(statement_.get(), column);
}

std::string Query::bytes(int column) const
{
	const auto *data = static_cast<const char *>(sqlite3_column_blob(statement_.get(), column));
	const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));

	return data ? std::string(data, size) : std::string();
}

bool Query::is_null(int column) const
{
	return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

/* ---- the file -------------------------------------------------------------------- */

void Database::Close::operator()(sqlite3 *database) const
{
	sqlite3_close_v2(database);
}

Database::Database(sqlite3 *database, std::string path)
	: database_(database), path_(std::make_unique<std::string>(std::move(path)))
{}

Result<Database> Database::open(const std::string &path)
{
	constexpr int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX |
			      SQLITE_OPEN_EXRESCODE;
	sqlite3 *opened = nullptr;
	/* SQLite gives its other files the mode of this one. */
	const ScopedFd made(
		::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
	const int code = sqlite3_open_v2(path.c_str(), &opened, flags, nullptr);
	Database database(opened, path);

	if (code != SQLITE_OK)
		return failure(cause_of(code).number,
			       fmt::format("The state cannot be opened: {}: {}; {}.", path,
					   sqlite3_errstr(code), cause_of(code).advice));
	sqlite3_busy_timeout(opened, patience_ms);
	return database;
}

Result<Query> Database::query(const char *sql) const
{
	Query query;
	sqlite3_stmt *statement = nullptr;
	const int code = sqlite3_prepare_v2(database_.get(), sql, -1, &statement, nullptr);

	query.database_ = database_.get();
	query.statement_.reset(statement);
	if (code != SQLITE_OK)
		return fail(database_.get(), code);
	return query;
}

Result<void> Database::execute(const char *sql) const
{
	const int code = sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr);

	if (code != SQLITE_OK)
		return fail(database_.get(), code);
	return {};
}

Result<std::int64_t> Database::number(const char *sql) const
{
	auto query = CORBEL_EXPECT(this->query(sql));

	if (!CORBEL_EXPECT(query.step()))
		return fail(database_.get(), SQLITE_CORRUPT);
	return query.number(0);
}

std::int64_t Database::changed_rows() const
{
	return sqlite3_changes64(database_.get());
}

Result<void> Database::copy_to(const Database &target,
			       const std::function<bool(std::uint64_t, std::uint64_t)> &go_on) const
{
	constexpr int pages = 64; /* at a time */
	struct Finish {
		void operator()(sqlite3_backup *backup) const { sqlite3_backup_finish(backup); }
	};
	/* Else whatever is written meanwhile would have it begin anew. */
	CORBEL_EXPECT(execute("BEGIN"));
	struct End {
		const Database &database;
		~End() { (void)database.execute("ROLLBACK"); }
	} const end{*this};
	CORBEL_EXPECT(number("SELECT count(*) FROM sqlite_schema"));
	const std::unique_ptr<sqlite3_backup, Finish> backup(
		sqlite3_backup_init(target.database_.get(), "main", database_.get(), "main"));
	int code = backup ? SQLITE_OK : sqlite3_extended_errcode(target.database_.get());

	while (code == SQLITE_OK) {
		code = sqlite3_backup_step(backup.get(), pages);
		const auto total =
			static_cast<std::uint64_t>(sqlite3_backup_pagecount(backup.get()));
		const auto left =
			static_cast<std::uint64_t>(sqlite3_backup_remaining(backup.get()));
		if (code == SQLITE_OK && !go_on(total - left, total))
			return failure(ECANCELED, "The copy was cancelled.");
	}
	if (code != SQLITE_DONE)
		return failure(cause_of(code).number,
			       fmt::format("{} cannot be copied to {}: {}; {}.", path(),
					   target.path(), sqlite3_errstr(code),
					   cause_of(code).advice));
	return {};
}

/* ---- a transaction ---------------------------------------------------------------- */

Result<WriteTransaction> WriteTransaction::begin(const Database &database)
{
	CORBEL_EXPECT(database.execute("BEGIN IMMEDIATE"));
	return WriteTransaction(database);
}

WriteTransaction::WriteTransaction(WriteTransaction &&other) noexcept
	: database_(std::exchange(other.database_, nullptr))
{}

WriteTransaction::~WriteTransaction()
{
	/* SQLite may have done so itself: then this is refused, which is no matter. */
	if (database_)
		(void)database_->execute("ROLLBACK");
}

Result<void> WriteTransaction::commit()
{
	CORBEL_EXPECT(database_->execute("COMMIT"));
	database_ = nullptr;
	return {};
}

} /* namespace corbel::state */
