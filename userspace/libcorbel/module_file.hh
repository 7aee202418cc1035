/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * module_file.hh - what a kernel module file says of itself.
 *
 * Reads an ELF64 object as modinfo(8) does, plus the build id, which tells two
 * builds apart even where the srcversion is the same.
 */
#pragma once

#include <libcorbel/error.hh>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace corbel {

struct ModuleFile {
	std::multimap<std::string, std::string, std::less<>> info; /* .modinfo */
	std::string build_id; /* hexadecimal; empty if the file has none */
	bool is_signed = false;

	/* The first value of @key, empty if there is none. */
	[[nodiscard]] std::string value(std::string_view key) const;

	/* The kernel release it was built for, from its vermagic. */
	[[nodiscard]] std::string release() const;
};

[[nodiscard]] Result<ModuleFile> parse_module(std::string_view bytes);
[[nodiscard]] Result<ModuleFile> read_module(const std::filesystem::path &path);

/* Of an ELF note section, as /sys/module/NAME/notes/.note.gnu.build-id. */
[[nodiscard]] std::string build_id_of_note(std::string_view note);

} /* namespace corbel */
