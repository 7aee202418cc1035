// SPDX-License-Identifier: GPL-2.0-or-later
//
// disk-layout - what the library of extents finds, for tests from outside, in lines of JSON:
//
//   disk-layout show [--no-sync] PATH LUN       the layout, and then each of its extents
//   disk-layout partition PATH KIND NUMBER      where a partition of the disk is
//   disk-layout watch PERIOD_MS PATH...         a line whenever one may lie elsewhere
#include "../../extents/layout.hh"
#include "../../extents/watch.hh"

#include <nlohmann/json.hpp>

#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <span>

namespace {

using namespace corbel;
using namespace corbel::extents;
using Json = nlohmann::ordered_json;

int failed(const Error &error)
{
	std::cerr << error.sentence << '\n';
	return 1;
}

int show(const std::string &path, const std::string &lun, bool sync)
{
	const auto layout = find_layout(path, lun, sync);

	if (!layout)
		return failed(layout.error());
	std::cout << Json{{"kind", layout->kind},
			  {"bytes", layout->bytes},
			  {"remarks", layout->remarks}}
		  << '\n';
	for (const auto &each : layout->extents)
		std::cout << Json{{"offset", each.offset}, {"at", each.at}, {"bytes", each.bytes}}
			  << '\n';
	return 0;
}

int partition(const std::string &path, const std::string &kind, unsigned number)
{
	const auto found = find_partition(path, kind, number);

	if (!found)
		return failed(found.error());
	std::cout << Json{{"first", found->first}, {"bytes", found->second}} << '\n';
	return 0;
}

/* Until it is ended. */
int watch(unsigned period, std::span<char *> paths)
{
	Watch watch(std::chrono::milliseconds(period), [](const std::string &path) {
		std::cout << Json{{"changed", path}} << std::endl;
	});

	for (const char *path : paths)
		if (const auto added = watch.add(path); !added)
			return failed(added.error());
	std::cout << Json{{"watching", paths.size()}} << std::endl;
	for (;;)
		::pause();
}

} /* namespace */

int main(int argc, char **argv)
{
	const auto arguments = std::span(argv, static_cast<std::size_t>(argc)).subspan(1);
	const std::string verb = arguments.empty() ? "" : arguments[0];

	if (verb == "show" && arguments.size() == 3)
		return show(arguments[1], arguments[2], true);
	if (verb == "show" && arguments.size() == 4 && arguments[1] == std::string("--no-sync"))
		return show(arguments[2], arguments[3], false);
	if (verb == "partition" && arguments.size() == 4)
		return partition(arguments[1], arguments[2],
				 static_cast<unsigned>(std::strtoul(arguments[3], nullptr, 10)));
	if (verb == "watch" && arguments.size() >= 3)
		return watch(static_cast<unsigned>(std::strtoul(arguments[1], nullptr, 10)),
			     arguments.subspan(2));
	std::cerr << "usage: see the head of userspace/tests/disk-layout/main.cc\n";
	return 2;
}
