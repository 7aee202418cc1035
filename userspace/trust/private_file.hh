/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * private_file.hh - files that only their owner may read, written so that whoever is killed
 * leaves the old content or the new one. All of it blocks on the file system.
 */
#pragma once

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace corbel::trust {

/* Called before each change of a file or folder; a test may die there. */
using Step = std::function<void()>;

/* EACCES: it is not for its owner alone, or that is somebody else. ENOENT, EIO. */
[[nodiscard]] Result<std::string> read_private(const std::filesystem::path &file);
/* EACCES as above, ENOENT, ENOTDIR. */
[[nodiscard]] Result<void> check_private_folder(const std::filesystem::path &folder);

/* A new content, on stable storage when it returns; there was a file or not. */
[[nodiscard]] Result<void> replace_private(const std::filesystem::path &file,
					   std::string_view bytes, const Step &step);

/* A folder that is made beside the place where it will be: there it is whole or not at all. */
class FolderInTheMaking {
public:
	/* EBUSY: somebody else makes the same one. What one who was killed left is removed. */
	[[nodiscard]] static Result<FolderInTheMaking> begin(const std::filesystem::path &folder,
							     const Step &step);
	[[nodiscard]] const std::filesystem::path &path() const { return path_; }
	/* EEXIST: there is one, and something in it. */
	[[nodiscard]] Result<void> finish(const Step &step);

private:
	FolderInTheMaking() = default;

	std::filesystem::path place_;
	std::filesystem::path path_;
	ScopedFd lock_;
};

/* One process at a time; waits for the others. Ends with the fd. */
[[nodiscard]] Result<ScopedFd> lock_folder(const std::filesystem::path &folder);

} /* namespace corbel::trust */
