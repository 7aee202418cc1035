// SPDX-License-Identifier: GPL-2.0-or-later
#include <libcorbel/module_file.hh>

#include <libcorbel/text_file.hh>

#include <elf.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include <fmt/format.h>

namespace corbel {

namespace {

constexpr std::string_view signature_marker = "~Module signature appended~\n";

/* A copy, as nothing in the file need be aligned; nothing if it ends too early. */
template <typename T>
std::optional<T> object_at(std::string_view bytes, std::uint64_t offset)
{
	T object;

	if (offset > bytes.size() || bytes.size() - offset < sizeof(T))
		return std::nullopt;
	std::memcpy(&object, bytes.data() + offset, sizeof(T));
	return object;
}

std::string_view piece(std::string_view bytes, std::uint64_t offset, std::uint64_t size)
{
	if (offset > bytes.size() || bytes.size() - offset < size)
		return {};
	return bytes.substr(offset, size);
}

/* The contents of a section, empty if there is none of that name. */
std::string_view section(std::string_view bytes, const Elf64_Ehdr &header, std::string_view name)
{
	auto header_at = [&](unsigned index) {
		return object_at<Elf64_Shdr>(bytes, header.e_shoff + std::uint64_t{index} *
									     sizeof(Elf64_Shdr));
	};
	auto names = header_at(header.e_shstrndx);

	if (!names)
		return {};
	auto strings = piece(bytes, names->sh_offset, names->sh_size);
	for (unsigned i = 0; i < header.e_shnum; i++) {
		auto entry = header_at(i);

		if (!entry || entry->sh_name >= strings.size())
			continue;
		auto text = strings.substr(entry->sh_name);
		if (text.substr(0, text.find('\0')) == name)
			return piece(bytes, entry->sh_offset, entry->sh_size);
	}
	return {};
}

void parse_modinfo(std::string_view text, ModuleFile &module)
{
	while (!text.empty()) {
		auto end = text.find('\0');
		auto entry = text.substr(0, end);
		auto equals = entry.find('=');

		if (equals != entry.npos)
			module.info.emplace(entry.substr(0, equals), entry.substr(equals + 1));
		text.remove_prefix(end == text.npos ? text.size() : end + 1);
	}
}

} /* namespace */

std::string ModuleFile::value(std::string_view key) const
{
	auto found = info.find(key);

	return found == info.end() ? std::string() : found->second;
}

std::string ModuleFile::release() const
{
	auto magic = value("vermagic");

	return magic.substr(0, magic.find(' '));
}

std::string build_id_of_note(std::string_view note)
{
	auto header = object_at<Elf64_Nhdr>(note, 0);
	std::string id;

	if (!header || header->n_type != NT_GNU_BUILD_ID)
		return id;
	auto name_room = (std::uint64_t{header->n_namesz} + 3) & ~std::uint64_t{3};
	for (unsigned char byte : piece(note, sizeof(*header) + name_room, header->n_descsz))
		id += fmt::format("{:02x}", byte);
	return id;
}

Result<ModuleFile> parse_module(std::string_view bytes)
{
	auto header = object_at<Elf64_Ehdr>(bytes, 0);
	ModuleFile module;

	if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
	    header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB)
		return failure(ENOEXEC, "it is not a 64-bit ELF object");
	auto modinfo = section(bytes, *header, ".modinfo");
	if (modinfo.empty())
		return failure(ENOEXEC, "it has no .modinfo section");

	parse_modinfo(modinfo, module);
	module.build_id = build_id_of_note(section(bytes, *header, ".note.gnu.build-id"));
	module.is_signed = bytes.ends_with(signature_marker);
	return module;
}

Result<ModuleFile> read_module(const std::filesystem::path &path)
{
	auto bytes = text_of_file(path);

	if (!bytes)
		return failure(errno, fmt::format("{} cannot be read: {}.", path.string(),
						  describe_errno(errno)));
	auto module = parse_module(*bytes);
	if (!module)
		return failure(module.error().number,
			       fmt::format("{} is no kernel module: {}.", path.string(),
					   module.error().sentence));
	return module;
}

} /* namespace corbel */
