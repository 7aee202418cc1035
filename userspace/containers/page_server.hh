/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * page_server.hh - who brings a restored container the pages that it misses.
 *
 *   memory object        page server                          the container's processes
 *    |  <-- the pager      |  <-- userfaultfds, by CRIU ------- |
 *    |                     |  <-- a page is touched ----------- |  who touched it waits
 *    |  <-- read(2) ------ |                                    |
 *    |  ---- page -------> |  --- UFFDIO_COPY ----------------> |  goes on
 *    |                     |  <-- fork, mremap, madvise ------- |
 *
 * It speaks what `criu restore --lazy-pages` speaks to its own `criu lazy-pages`, on
 * FOLDER/images/lazy-pages.socket. Once all pages are in the memory object it copies those that
 * nobody has asked for, and ends.
 *
 * Nobody is ever shown zeros in place of a page. A page that does not come for a second freezes
 * the container, until it is there; one that will not come (the memory object has failed) for
 * good. So does one that there is no room for, reserve.hh, at once and until there is. The server itself is two processes that have the same descriptors: where the serving one
 * ends before it is done, the other one freezes the container and takes over. While either of
 * them lives, whoever touches what is missing waits.
 */
#pragma once

#include <libcorbel/error.hh>

#include <cstdint>
#include <filesystem>
#include <string>

namespace corbel::containers {

/* Files of the folder that say how far it is, and to what end. */
inline constexpr const char *loading_mark = "loading"; /* CRIU was begun */
inline constexpr const char *loaded_mark = "loaded"; /* it has ended well; all stands still */
inline constexpr const char *went_mark = "went"; /* it may run */
inline constexpr const char *over_mark = "over"; /* the server shall end */
inline constexpr const char *refused_mark = "refused"; /* it has not begun; says why */
inline constexpr const char *stalled_mark = "stalled"; /* the server has frozen it; says why */
inline constexpr const char *served_mark = "served"; /* nothing is missing any more */
/* Locked while one of the two processes lives. */
inline constexpr const char *server_lock = "server";

[[nodiscard]] bool has_mark(const std::filesystem::path &folder, const char *mark);
[[nodiscard]] Result<void> set_mark(const std::filesystem::path &folder, const char *mark,
				    const std::string &text = {});

struct PageServer {
	std::filesystem::path folder;
	std::uint32_t memory = 0; /* number of the memory object */
	std::filesystem::path group; /* of the container */

	/* Returns when it listens, and holds its reserve. ENOMEM: there is not as much.
	   @program: how, by its option --serve-container. */
	[[nodiscard]] Result<void> start(const std::string &program) const;
	[[nodiscard]] bool is_alive() const;
	/* Has it end, and waits for that. */
	[[nodiscard]] Result<void> end() const;
};

/* What that process does; exit status. @journal, @reserve: -1, or what was handed down. */
[[nodiscard]] int serve_container(const PageServer &server, int journal, int reserve);

} /* namespace corbel::containers */
