/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * criu.hh - CRIU as the program that takes processes apart and puts them together.
 *
 *   FOLDER/images    what it makes, or is to be given; its logs
 *   FOLDER/busy      locked while one is at work here, whether who began it lives or not
 *
 * It is never ended while it takes a container apart: it would leave it in pieces. Who comes
 * after somebody that was killed waits until it is through.
 */
#pragma once

#include "group.hh"

#include <chrono>

namespace corbel::containers {

/* "3.17.1". ENOENT: it is not installed. */
[[nodiscard]] Result<std::string> criu_version();

/* Of a frozen container, which stays as it is. @first: its first process. */
[[nodiscard]] Result<void> dump(const Group &group, pid_t first,
				const std::filesystem::path &folder);

/*
 * From images without lazy pages, which are in the memory object of that number: pages that
 * CRIU wants at once are put into the images first. On return all processes are there, in @group,
 * and stand still. @program: how, by its option --restore-container.
 */
[[nodiscard]] Result<void> restore(const Group &group, const std::filesystem::path &folder,
				   std::uint32_t memory, const std::string &program,
				   std::chrono::milliseconds limit);

/* What that process does until it becomes CRIU; exit status if it does not. */
[[nodiscard]] int restore_container(const std::filesystem::path &folder, std::uint32_t memory,
				    const std::filesystem::path &group);

} /* namespace corbel::containers */
