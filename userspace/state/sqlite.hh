/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sqlite.hh - a database file and its statements, each ended with its owner. */
#pragma once

#include <libcorbel/error.hh>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace corbel::state {

/* One statement, run from its first row to its last. */
class Query {
public:
	[[nodiscard]] Query &bind(std::int64_t value);
	[[nodiscard]] Query &bind(std::string_view bytes);
	[[nodiscard]] Query &bind_null();

	/* Whether there is a (next) row. */
	[[nodiscard]] Result<bool> step();
	/* For those without rows. */
	[[nodiscard]] Result<void> run();

	[[nodiscard]] std::int64_t number(int column) const;
	[[nodiscard]] std::string bytes(int column) const;
	[[nodiscard]] bool is_null(int column) const;

private:
	friend class Database;
	struct Finalize {
		void operator()(sqlite3_stmt *statement) const;
	};

	sqlite3 *database_ = nullptr;
	std::unique_ptr<sqlite3_stmt, Finalize> statement_;
	int next_ = 1;
	int refused_ = 0; /* why a value could not be bound */
};

class Database {
public:
	/* Made if it is not there, for nobody else to read. */
	[[nodiscard]] static Result<Database> open(const std::string &path);

	[[nodiscard]] Result<Query> query(const char *sql) const;
	/* One or several statements without parameters and rows that matter. */
	[[nodiscard]] Result<void> execute(const char *sql) const;
	/* The number in the first column of the first row. */
	[[nodiscard]] Result<std::int64_t> number(const char *sql) const;
	/*
	 * The pages of this one, as they are at one moment, into @target, which is written
	 * over. @go_on is told how many are done of how many; false: ECANCELED.
	 */
	[[nodiscard]] Result<void>
	copy_to(const Database &target,
		const std::function<bool(std::uint64_t done, std::uint64_t total)> &go_on) const;
	/* Rows that the last statement changed. */
	[[nodiscard]] std::int64_t changed_rows() const;
	[[nodiscard]] const std::string &path() const { return *path_; }

private:
	struct Close {
		void operator()(sqlite3 *database) const;
	};
	Database(sqlite3 *database, std::string path);

	std::unique_ptr<sqlite3, Close> database_;
	std::unique_ptr<std::string> path_;
};

/* BEGIN IMMEDIATE; rolled back unless committed. */
class WriteTransaction {
public:
	[[nodiscard]] static Result<WriteTransaction> begin(const Database &database);
	WriteTransaction(WriteTransaction &&other) noexcept;
	WriteTransaction &operator=(WriteTransaction &&) = delete;
	WriteTransaction(const WriteTransaction &) = delete;
	~WriteTransaction();

	[[nodiscard]] Result<void> commit();

private:
	explicit WriteTransaction(const Database &database) : database_(&database) {}

	const Database *database_;
};

} /* namespace corbel::state */
