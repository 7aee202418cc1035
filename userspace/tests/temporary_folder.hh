/* SPDX-License-Identifier: GPL-2.0-or-later */
/* temporary_folder.hh - a folder that is gone after the test. */
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace corbel::test {

class TemporaryFolder {
public:
	TemporaryFolder()
	{
		std::string name = std::filesystem::temp_directory_path() / "corbel-unit-XXXXXX";

		if (!::mkdtemp(name.data()))
			throw std::runtime_error("no temporary folder: " + name);
		path_ = name;
	}
	~TemporaryFolder()
	{
		std::error_code ignored;

		std::filesystem::remove_all(path_, ignored);
	}
	TemporaryFolder(const TemporaryFolder &) = delete;
	TemporaryFolder &operator=(const TemporaryFolder &) = delete;

	[[nodiscard]] const std::filesystem::path &path() const { return path_; }

	/* Both make the folders on the way. */
	void write(const std::filesystem::path &below, std::string_view bytes) const
	{
		auto file = path_ / below;

		std::filesystem::create_directories(file.parent_path());
		std::ofstream(file, std::ios::binary) << bytes;
	}
	void link(const std::filesystem::path &below, const std::string &target) const
	{
		auto file = path_ / below;

		std::filesystem::create_directories(file.parent_path());
		std::filesystem::create_symlink(target, file);
	}

private:
	std::filesystem::path path_;
};

} /* namespace corbel::test */
