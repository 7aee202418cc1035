/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: page maps of CRIU's, of anything. What is read must be pages that can be,
 * in order, and no more of them than a memory object has. The rest of the input are events of a
 * process that misses those pages: whatever they are, each page of the object is missing at most
 * once, and what was dropped is not missing.
 */
#include <containers/images.hh>
#include <containers/missing.hh>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>

using namespace corbel::containers;

namespace {

void require(bool condition, const char *what)
{
	if (condition)
		return;
	std::fprintf(stderr, "page maps: %s\n", what);
	std::abort();
}

struct Step {
	std::uint8_t what, from, to, pages;
};

std::uint64_t address(std::uint8_t page)
{
	return (std::uint64_t{page} + 16) * page_size;
}

void try_events(const std::uint8_t *data, std::size_t size)
{
	Missing missing;

	missing.add({address(0), 64, 0});
	missing.add({address(128), 64, 64});
	for (; size >= sizeof(Step); data += sizeof(Step), size -= sizeof(Step)) {
		Step step{};
		std::set<std::uint64_t> seen;

		std::memcpy(&step, data, sizeof(step));
		const auto bytes = (step.pages % 64 + 1) * page_size;
		if (step.what % 2) {
			missing.move(address(step.from), address(step.to), bytes);
		} else {
			missing.drop(address(step.from), address(step.from) + bytes);
			require(!missing.at(address(step.from)), "what was dropped is missing");
		}
		std::uint64_t pages = 0;
		for (std::uint64_t page = 0; page < 512; page++)
			if (const auto run = missing.at(page * page_size)) {
				require(run->address == page * page_size, "another page is found");
				require(run->page < 128, "a page is none of the object");
				require(seen.insert(run->page).second, "a page is missing twice");
				pages++;
			}
		require(pages == missing.pages(), "pages are counted otherwise");
	}
}

} /* namespace */

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
	const auto map = page_map_of({reinterpret_cast<const char *>(data), size}, "input");

	if (map) {
		std::uint64_t end = 0, pages = 0;

		for (const auto &run : map->runs) {
			require(run.address % page_size == 0 && run.address >= end, "order");
			require(run.pages != 0, "an empty run");
			end = run.address + run.pages * page_size;
			require(end > run.address, "the end of all addresses");
			pages += run.pages;
		}
		require(pages <= std::uint64_t{1} << 28, "more pages than can be");
	}
	try_events(data, size);
	return 0;
}
