/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BTF for tests: read from files, and opened with an index of its own.
 */
#pragma once

#include "compat/btf.hh"

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace corbel::unit {

/* Run-time strings as the reader takes them. */
inline rt::Text text(std::string_view view)
{
	return {view.data(), view.size()};
}

inline std::string string(rt::Text text)
{
	return {text.data(), text.size()};
}

inline std::vector<std::byte> read_blob(const std::filesystem::path &path)
{
	std::ifstream file(path, std::ios::binary);
	if (!file)
		throw std::runtime_error("cannot read " + path.string());
	const std::string bytes{std::istreambuf_iterator<char>(file), {}};
	const auto *data = reinterpret_cast<const std::byte *>(bytes.data());

	return {data, data + bytes.size()};
}

/* The directory that the build put generated blobs into: <OUT>/btf. */
inline std::filesystem::path generated_blobs()
{
	return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "btf";
}

/* Owns the blobs and the index. */
class OpenBtf {
public:
	explicit OpenBtf(std::vector<std::byte> base, std::vector<std::byte> split = {})
		: base_(std::move(base)), split_(std::move(split))
	{}

	rt::Result<compat::Btf> open()
	{
		index_.assign(CORBEL_TRY(compat::Btf::count_types(base_, split_)), 0);
		return compat::Btf::open(base_, split_, index_);
	}

private:
	std::vector<std::byte> base_, split_;
	std::vector<std::uint32_t> index_;
};

/* What print() writes, or the name of its error in brackets. */
inline std::string printed(const compat::Btf &btf, rt::Result<compat::BtfTypeId> id)
{
	char buffer[512];

	if (!id.ok())
		return "[" + std::to_string(id.to_errno()) + "]";
	const auto out = btf.print(id.value(), buffer);
	return out.ok() ? string(out.value()) : "[" + std::to_string(out.to_errno()) + "]";
}

} // namespace corbel::unit
