/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * options.hh - what a verb takes on the command line.
 *
 * A thin layer over CLI11, whose header is by far the largest here: only this
 * layer and the command line itself are compiled with it.
 */
#pragma once

#include <libcorbel/error.hh>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace corbel::cli {

class OptionSet {
public:
	/* An error is wrong usage; its sentence is shown. */
	using Check = std::function<Result<void>(const std::string &)>;

	explicit OptionSet(CLI::App &app) : app_(app) {}

	void flag(const char *name, bool &value, const char *help);
	void text(const char *name, std::string &value, const char *type, const std::string &help,
		  const Check &check = nullptr);
	/* May be given several times. */
	void texts(const char *name, std::vector<std::string> &values, const char *type,
		   const char *help);
	void choice(const char *name, std::string &value, std::vector<std::string> words,
		    const char *type, const char *help);
	void number(const char *name, std::uint32_t &value, std::uint32_t least, std::uint32_t most,
		    const char *type, const char *help);
	void number(const char *name, double &value, double least, double most, const char *type,
		    const char *help);
	void count(const char *name, std::uint64_t &value, const char *type, const char *help);

	/* The virtual machine to work on, which must be given. */
	void target(std::string &value);

	/* It, or the number of its attachment. */
	void target_or_id(std::string &value, std::uint64_t &vm_id);

private:
	CLI::App &app_;
};

} /* namespace corbel::cli */
