// SPDX-License-Identifier: GPL-2.0-or-later
#include "images.hh"

#include <libcorbel/number.hh>
#include <libcorbel/text_file.hh>

#include <algorithm>
#include <cerrno>
#include <optional>

#include <fmt/format.h>

namespace corbel::containers {

namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t common_magic = 0x54564319, page_map_magic = 0x56084025;
/* Bits of an entry's flags. */
constexpr std::uint64_t in_parent = 1, lazy = 2, present = 4;
constexpr std::uint64_t most_pages = std::uint64_t{1} << 28; /* of a memory object */
constexpr std::size_t largest_map = std::size_t{64} << 20;

/* What comes next; once something is wrong nothing does any more. */
class Reader {
public:
	explicit Reader(std::string_view bytes) : left_(bytes) {}

	[[nodiscard]] bool at_end() const { return left_.empty(); }

	std::optional<std::uint32_t> fixed32()
	{
		std::uint32_t value = 0;

		if (left_.size() < 4)
			return std::nullopt;
		for (unsigned i = 0; i < 4; i++)
			value |= std::uint32_t{static_cast<unsigned char>(left_[i])} << 8 * i;
		left_.remove_prefix(4);
		return value;
	}

	std::optional<std::string_view> take(std::uint64_t size)
	{
		if (size > left_.size())
			return std::nullopt;
		const auto taken = left_.substr(0, size);
		left_.remove_prefix(size);
		return taken;
	}

	/* Of protobuf: seven bits in each byte, the lowest first. */
	std::optional<std::uint64_t> varint()
	{
		std::uint64_t value = 0;

		for (unsigned shift = 0; shift < 64 && !left_.empty(); shift += 7) {
			const auto byte = static_cast<unsigned char>(left_.front());

			left_.remove_prefix(1);
			value |= std::uint64_t{byte & 0x7fU} << shift;
			if (!(byte & 0x80U))
				return value;
		}
		return std::nullopt;
	}

private:
	std::string_view left_;
};

/* Numbers of a message, by field; those that are not known here are passed over. */
using Fields = std::map<std::uint64_t, std::uint64_t>;

std::optional<Fields> fields_of(std::string_view message)
{
	Reader reader(message);
	Fields fields;

	while (!reader.at_end()) {
		const auto tag = reader.varint();

		if (!tag)
			return std::nullopt;
		switch (*tag & 7) {
		case 0: {
			const auto value = reader.varint();
			if (!value)
				return std::nullopt;
			fields[*tag >> 3] = *value;
			break;
		}
		case 1:
			if (!reader.take(8))
				return std::nullopt;
			break;
		case 2: {
			const auto size = reader.varint();
			if (!size || !reader.take(*size))
				return std::nullopt;
			break;
		}
		case 5:
			if (!reader.take(4))
				return std::nullopt;
			break;
		default:
			return std::nullopt;
		}
	}
	return fields;
}

/* With its size in front. */
std::optional<Fields> next_message(Reader &reader)
{
	const auto size = reader.fixed32();
	const auto bytes = size ? reader.take(*size) : std::nullopt;

	return bytes ? fields_of(*bytes) : std::nullopt;
}

std::optional<std::uint64_t> field(const Fields &fields, std::uint64_t number)
{
	const auto found = fields.find(number);

	return found == fields.end() ? std::nullopt : std::optional(found->second);
}

/* "pagemap-12.img": 12; "pagemap-shmem-7.img": 0. */
std::optional<pid_t> process_of(std::string_view name)
{
	constexpr std::string_view prefix = "pagemap-", shared = "shmem-", suffix = ".img";

	if (!name.starts_with(prefix) || !name.ends_with(suffix) ||
	    name.size() < prefix.size() + suffix.size())
		return std::nullopt;
	name.remove_prefix(prefix.size());
	name.remove_suffix(suffix.size());
	if (name.starts_with(shared))
		return 0;
	const auto process = number_of<pid_t>(name);
	return process && *process > 0 ? process : std::nullopt;
}

} /* namespace */

std::string pages_file(std::uint32_t number)
{
	return fmt::format("pages-{}.img", number);
}

bool is_pages_file(std::string_view name)
{
	return name.starts_with("pages-") && name.ends_with(".img");
}

Result<PageMap> page_map_of(std::string_view bytes, const std::string &name)
{
	const auto bad = [&](std::string_view why) {
		return failure(EBADMSG, fmt::format("{} is no page map of CRIU's: {}.", name, why));
	};
	Reader reader(bytes);
	std::uint64_t end = 0, pages = 0;
	PageMap map;

	if (reader.fixed32() != common_magic || reader.fixed32() != page_map_magic)
		return bad("it begins with something else");
	const auto head = next_message(reader);
	const auto file = head ? field(*head, 1) : std::nullopt;
	if (!file || *file > UINT32_MAX)
		return bad("it does not say where its pages are");
	map.file = static_cast<std::uint32_t>(*file);
	while (!reader.at_end()) {
		const auto entry = next_message(reader);
		const auto address = entry ? field(*entry, 1) : std::nullopt;
		const auto count = entry ? field(*entry, 2) : std::nullopt;

		if (!address || !count)
			return bad("an entry cannot be read");
		/* Before there were flags, what is not in a parent is here. */
		const auto flags = field(*entry, 4).value_or(
			field(*entry, 3).value_or(0) ? in_parent : present);
		if (flags & in_parent)
			return bad("it is of an incremental dump, and part of it is elsewhere");
		if (*address % page_size || *address < end || *count == 0 ||
		    *count > most_pages - pages || *address > UINT64_MAX - *count * page_size)
			return bad("an entry is of pages that cannot be");
		end = *address + *count * page_size;
		if (!(flags & present))
			continue;
		pages += *count;
		map.runs.push_back({*address, *count, (flags & lazy) != 0});
	}
	return map;
}

Result<Layout> layout_of(const fs::path &folder)
{
	std::error_code error;
	std::vector<std::string> names;
	Layout layout;

	for (const auto &entry : fs::directory_iterator(folder, error))
		if (auto name = entry.path().filename().string(); process_of(name))
			names.push_back(std::move(name));
	if (error || names.empty())
		return failure(ENOENT, fmt::format("There are no page maps of CRIU's in {}.",
						   folder.string()));
	std::ranges::sort(names);
	for (const auto &name : names) {
		const auto bytes = text_of_file(folder / name, largest_map);
		if (!bytes)
			return failure(EIO,
				       fmt::format("{} cannot be read.", (folder / name).string()));
		const auto map = CORBEL_EXPECT(page_map_of(*bytes, name));

		for (const auto &run : map.runs) {
			auto &in_file = layout.files[map.file];

			if (run.pages > most_pages - layout.pages)
				return failure(EFBIG,
					       fmt::format("The images in {} have more pages than "
							   "a memory object can.",
							   folder.string()));
			layout.runs.push_back(
				{run, *process_of(name), map.file, in_file, layout.pages});
			in_file += run.pages;
			layout.pages += run.pages;
		}
	}
	return layout;
}

} /* namespace corbel::containers */
