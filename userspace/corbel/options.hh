/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * options.hh - what a verb takes on the command line, as data.
 *
 * The command line, its help, the manual pages and the shells' completions are all made
 * from these.
 */
#pragma once

#include <libcorbel/error.hh>

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

namespace corbel::cli {

/* An error is wrong usage; its sentence is shown. */
using Check = std::function<Result<void>(const std::string &)>;

/* What a number may be, both ends included; @unit is "us", "s" or nothing. */
template <typename T>
struct Bounds {
	T least;
	T most;
	const char *unit = "";
};

struct Argument {
	/* Where the value goes, and so what kind of value it is. */
	using Place = std::variant<bool *, std::string *, std::vector<std::string> *,
				   std::uint32_t *, std::uint64_t *, double *>;

	std::string name; /* "vm", or "-o,--output" */
	std::string type; /* what stands for its value in the help; a flag has none */
	std::string help;
	Place place;
	std::vector<std::string> words{}; /* all that it may be, if these are all */
	double least = 0, most = 0; /* of a number, if not equal */
	std::string unit{};
	Check check{};
	bool required = false;
	bool one_of = false; /* just one of those that have this must be given */

	[[nodiscard]] bool is_option() const { return name.starts_with('-'); }
	[[nodiscard]] bool is_flag() const { return std::holds_alternative<bool *>(place); }
	[[nodiscard]] bool repeats() const
	{
		return std::holds_alternative<std::vector<std::string> *>(place);
	}
	/* "--output" of "-o,--output". */
	[[nodiscard]] std::string long_name() const;
	/* "-o", or nothing. */
	[[nodiscard]] std::string short_name() const;
};

class OptionSet {
public:
	[[nodiscard]] const std::vector<Argument> &arguments() const { return arguments_; }

	Argument &add(Argument argument);
	void flag(const char *name, bool &value, const char *help);
	void text(const char *name, std::string &value, const char *type, const std::string &help,
		  const Check &check = nullptr);
	/* May be given several times. */
	void texts(const char *name, std::vector<std::string> &values, const char *type,
		   const char *help, const Check &check = nullptr);
	void choice(const char *name, std::string &value, std::vector<std::string> words,
		    const char *type, const char *help);
	void number(const char *name, std::uint32_t &value, Bounds<std::uint32_t> bounds,
		    const char *type, const char *help);
	void number(const char *name, double &value, Bounds<double> bounds, const char *type,
		    const char *help);
	/* Above 0. */
	void count(const char *name, std::uint64_t &value, const char *type, const char *help);

	/* Just one of the arguments for which this is called must be given. */
	void last_is_alternative() { arguments_.back().one_of = true; }

	void last_is_required() { arguments_.back().required = true; }

	/* The virtual machine to work on, which must be given. */
	void target(std::string &value);
	/* It, or the number of its attachment. */
	void target_or_id(std::string &value, std::uint64_t &vm_id);

	/* The words of a verb; none: of all. */
	void verb(std::vector<std::string> &words);

	/* What a verb that can answer in JSON, and one that changes something, has. */
	void json(bool &value);
	void dry_run(bool &value);
	/* With which doing it again is known as such. */
	void key(std::string &value);
	/* Another host, which must be given. */
	void host(std::string &value);
	/* The number of a job, which must be given. */
	void job(std::uint64_t &value);

private:
	std::vector<Argument> arguments_;
};

} /* namespace corbel::cli */
