/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * images.hh - what CRIU's images say of the memory of a container.
 *
 *   pagemap-PID.img        of a process: which pages it has, and in which file they are
 *   pagemap-shmem-ID.img   the same of memory that processes share
 *   pages-N.img            the pages, one behind the other
 *
 * Both ends of a move work out from the same page maps where in the memory object each page is:
 * all of them in a row, by the names of the maps.
 */
#pragma once

#include <libcorbel/error.hh>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace corbel::containers {

inline constexpr std::uint64_t page_size = 4096;

/* Pages that are one behind the other in memory and in the file. */
struct PageRun {
	std::uint64_t address = 0; /* bytes; of shared memory: within it */
	std::uint64_t pages = 0;
	bool lazy = false; /* the process may run before they are there */

	bool operator==(const PageRun &) const = default;
};

struct PageMap {
	std::uint32_t file = 0; /* the number of pages-N.img */
	std::vector<PageRun> runs; /* in the order of the file, and of their addresses */
};

/* @name: of the file, for what is said if it is none. EBADMSG. */
[[nodiscard]] Result<PageMap> page_map_of(std::string_view bytes, const std::string &name);

struct PlacedRun {
	PageRun run;
	pid_t process = 0; /* as it is numbered in the container; 0: shared memory */
	std::uint32_t file = 0;
	std::uint64_t file_page = 0; /* in it, of the first one */
	std::uint64_t page = 0; /* in the memory object */
};

struct Layout {
	std::vector<PlacedRun> runs;
	std::map<std::uint32_t, std::uint64_t> files; /* pages in each */
	std::uint64_t pages = 0;
};

/* Of the images in @folder. ENOENT: there are none. */
[[nodiscard]] Result<Layout> layout_of(const std::filesystem::path &folder);

/* "pages-3.img" */
[[nodiscard]] std::string pages_file(std::uint32_t number);
[[nodiscard]] bool is_pages_file(std::string_view name);

} /* namespace corbel::containers */
