// SPDX-License-Identifier: GPL-2.0
/*
 * btf.cc - the sections, the index, and lookups by name.
 */
#include "btf.hh"

namespace corbel::compat {

namespace {

constexpr std::size_t header_words = 6;
constexpr std::size_t header_size = 24;
constexpr std::uint32_t magic_and_version = 0x0001eb9f; /* and no flags */
constexpr std::size_t type_size = 12;

/* The kernel's own limit, BTF_MAX_TYPE: ids fit into 20 bits. */
constexpr std::uint32_t max_types = 0xfffff;

/* Longest chain of typedefs and qualifiers that is followed. */
constexpr unsigned max_chain = 32;

std::uint32_t read_word(const std::byte *from)
{
	std::uint32_t value;

	/* Blobs need not be aligned; this is one load. */
	__builtin_memcpy(&value, from, sizeof(value));
	return value;
}

/* Bytes behind the fixed part of a type, or -1 for a kind unknown here. */
int extra_size(BtfKind kind, std::uint32_t count)
{
	switch (kind) {
	case BtfKind::void_:
		return -1; /* is no record: it is what id 0 means */
	case BtfKind::integer:
	case BtfKind::variable:
	case BtfKind::decl_tag:
		return 4;
	case BtfKind::array:
		return 12;
	case BtfKind::struct_:
	case BtfKind::union_:
	case BtfKind::data_section:
	case BtfKind::enum64:
		return static_cast<int>(12 * count);
	case BtfKind::enum_:
	case BtfKind::function_proto:
		return static_cast<int>(8 * count);
	case BtfKind::pointer:
	case BtfKind::forward:
	case BtfKind::typedef_:
	case BtfKind::volatile_:
	case BtfKind::const_:
	case BtfKind::restrict_:
	case BtfKind::function:
	case BtfKind::floating:
	case BtfKind::type_tag:
		return 0;
	}
	return -1;
}

Result<Btf::Type> read_type(const BtfSections &sections, std::uint32_t position)
{
	const auto name = CORBEL_TRY(sections.word(position));
	const auto info = CORBEL_TRY(sections.word(position + 4));
	const auto size_or_type = CORBEL_TRY(sections.word(position + 8));

	return Btf::Type{
		.name = name,
		.size_or_type = size_or_type,
		.position = position,
		.count = static_cast<std::uint16_t>(info),
		.kind = static_cast<BtfKind>(info >> 24 & 0x1f),
		.kind_flag = info >> 31 != 0,
		.in_split = false,
	};
}

/* @found(position) for each record of a type section; the count of records. */
template <typename Found>
Result<std::uint32_t> walk_types(const BtfSections &sections, Found &&found)
{
	std::uint32_t count = 0;
	std::size_t position = 0;

	while (position < sections.types_size()) {
		const auto here = static_cast<std::uint32_t>(position);
		const auto type = CORBEL_TRY(read_type(sections, here));
		const int extra = extra_size(type.kind, type.count);

		if (extra < 0)
			return Error::not_supported;
		position += type_size + static_cast<std::size_t>(extra);
		if (position > sections.types_size() || count == max_types)
			return Error::bad_message;
		CORBEL_TRY(found(here));
		count++;
	}
	return count;
}

bool has_members(BtfKind kind)
{
	return kind == BtfKind::struct_ || kind == BtfKind::union_;
}

} /* namespace */

Result<BtfSections> BtfSections::parse(Blob blob, bool is_split)
{
	std::uint32_t header[header_words];

	if (blob.size() < header_size)
		return Error::bad_message;
	for (std::size_t i = 0; i < header_words; i++)
		header[i] = read_word(blob.data() + 4 * i);
	const auto [magic, header_length, type_offset, type_length, string_offset, string_length] =
		header;

	if (magic != magic_and_version)
		return Error::not_supported;
	if (header_length < header_size || header_length > blob.size())
		return Error::bad_message;

	/* Offsets count from the end of the header. Both are 32 bits: no overflow. */
	const auto body = blob.subspan(header_length);
	const std::uint64_t type_end = std::uint64_t{type_offset} + type_length;
	const std::uint64_t string_end = std::uint64_t{string_offset} + string_length;
	if (type_end > body.size() || string_end > body.size() || type_length % 4 != 0)
		return Error::bad_message;

	const BtfSections sections(body.subspan(type_offset, type_length),
				   body.subspan(string_offset, string_length));
	const auto &strings = sections.strings_;
	if (strings.empty() ? !is_split : strings.back() != std::byte{0})
		return Error::bad_message;
	/* Offset 0 is the empty name, which a split blob takes from the base. */
	if (!is_split && strings.front() != std::byte{0})
		return Error::bad_message;
	return sections;
}

Result<std::uint32_t> BtfSections::word(std::size_t offset) const
{
	if (types_.size() < 4 || offset > types_.size() - 4)
		return Error::bad_message;
	return read_word(types_.data() + offset);
}

Result<Text> BtfSections::string(std::size_t offset) const
{
	std::size_t end = offset;

	/* The end is checked, though parse() saw a NUL there: memory can change. */
	while (end < strings_.size() && strings_[end] != std::byte{0})
		end++;
	if (end >= strings_.size())
		return Error::bad_message;
	return Text(reinterpret_cast<const char *>(strings_.data()) + offset, end - offset);
}

Result<std::uint32_t> Btf::count_types(Blob base, Blob split)
{
	const auto ignore = [](std::uint32_t) -> Result<void> { return {}; };
	const auto sections = CORBEL_TRY(BtfSections::parse(base, false));
	auto count = 1 + CORBEL_TRY(walk_types(sections, ignore));

	if (!split.empty()) {
		const auto more = CORBEL_TRY(BtfSections::parse(split, true));
		count += CORBEL_TRY(walk_types(more, ignore));
	}
	return count;
}

Result<Btf> Btf::open(Blob base, Blob split, std::span<std::uint32_t> index)
{
	Btf btf;
	std::uint32_t next = 1;
	const auto add = [&](std::uint32_t position) -> Result<void> {
		if (next >= index.size())
			return Error::no_space;
		index[next++] = position;
		return {};
	};

	btf.base_ = CORBEL_TRY(BtfSections::parse(base, false));
	CORBEL_TRY(walk_types(btf.base_, add));
	btf.split_start_ = next;
	if (!split.empty()) {
		btf.split_ = CORBEL_TRY(BtfSections::parse(split, true));
		CORBEL_TRY(walk_types(btf.split_, add));
	}
	btf.index_ = index.data();
	btf.type_count_ = next;
	return btf;
}

Result<Btf::Type> Btf::type(BtfTypeId id) const
{
	if (id.value == 0)
		return Type{};
	if (id.value >= type_count_)
		return Error::bad_message;

	const bool in_split = id.value >= split_start_;
	auto type = CORBEL_TRY(read_type(in_split ? split_ : base_, index_[id.value]));
	type.in_split = in_split;
	return type;
}

Result<std::uint32_t> Btf::extra(const Type &type, std::uint32_t word) const
{
	/* @word is below 3 * 65536 and the position within 32 bits of a section. */
	const auto offset = std::size_t{type.position} + type_size + std::size_t{word} * 4;

	return (type.in_split ? split_ : base_).word(offset);
}

Result<Text> Btf::string(std::uint32_t offset) const
{
	if (offset < base_.strings_size())
		return base_.string(offset);
	return split_.string(offset - base_.strings_size());
}

Result<BtfTypeId> Btf::strip(BtfTypeId id) const
{
	for (unsigned i = 0; i < max_chain; i++) {
		const auto type = CORBEL_TRY(this->type(id));

		switch (type.kind) {
		case BtfKind::typedef_:
		case BtfKind::const_:
		case BtfKind::volatile_:
		case BtfKind::restrict_:
		case BtfKind::type_tag:
			id = {type.size_or_type};
			break;
		default:
			return id;
		}
	}
	return Error::bad_message;
}

Result<bool> Btf::is_named(const Type &type, Text prefix, Text name) const
{
	const auto own = CORBEL_TRY(string(type.name));

	return own.starts_with(prefix) && own.after(prefix.size()) == name;
}

Result<BtfTypeId> Btf::find_in(std::uint32_t first, std::uint32_t end, BtfKind kind, Text prefix,
			       Text name) const
{
	BtfTypeId found;

	for (BtfTypeId id{first}; id.value < end; id.value++) {
		const auto type = CORBEL_TRY(this->type(id));

		if (type.kind != kind || !CORBEL_TRY(is_named(type, prefix, name)))
			continue;
		if (found.value != 0)
			return Error::not_unique;
		found = id;
	}
	if (found.value == 0)
		return Error::not_found;
	return found;
}

Result<BtfTypeId> Btf::find_prefixed(BtfKind kind, Text prefix, Text name) const
{
	if (name.empty())
		return Error::invalid;

	auto found = find_in(split_start_, type_count_, kind, prefix, name);
	if (found.ok() || found.error() != Error::not_found)
		return found;
	return find_in(1, split_start_, kind, prefix, name);
}

Result<BtfTypeId> Btf::find(BtfKind kind, Text name) const
{
	return find_prefixed(kind, {}, name);
}

/*
 * Looks through one struct and the anonymous ones in it. The stack is the nesting
 * that is followed; the budget bounds the work when a hostile blob nests a struct
 * in itself many times over.
 */
class BtfMemberSearch {
public:
	explicit BtfMemberSearch(const Btf &btf) : btf_(btf) {}

	Result<Btf::Member> find(BtfTypeId type, Text name)
	{
		CORBEL_TRY(push(type, 0));
		while (depth_ > 0) {
			auto &level = levels_[depth_ - 1];

			if (level.next == level.type.count) {
				depth_--;
				continue;
			}
			if (budget_-- == 0)
				return Error::bad_message;
			const auto found = CORBEL_TRY(visit(level, level.next++, name));
			if (found.type.value != 0)
				return found;
		}
		return Error::not_found;
	}

private:
	struct Level {
		Btf::Type type;
		std::uint32_t bit_offset;
		std::uint32_t next;
	};

	Result<void> push(BtfTypeId id, std::uint32_t bit_offset)
	{
		const auto type = CORBEL_TRY(btf_.type(id));

		if (!has_members(type.kind))
			return Error::not_found;
		if (depth_ == max_depth)
			return Error::bad_message;
		levels_[depth_++] = {type, bit_offset, 0};
		return {};
	}

	/* The member if it is the one; else void, having gone into it if anonymous. */
	Result<Btf::Member> visit(const Level &level, std::uint32_t i, Text name)
	{
		const auto member_name = CORBEL_TRY(btf_.extra(level.type, 3 * i));
		const BtfTypeId type{CORBEL_TRY(btf_.extra(level.type, 3 * i + 1))};
		const auto place = CORBEL_TRY(btf_.extra(level.type, 3 * i + 2));
		const auto own_name = CORBEL_TRY(btf_.string(member_name));
		const auto within = level.type.kind_flag ? place & 0xffffff : place;
		std::uint32_t bit_offset;

		if (__builtin_add_overflow(level.bit_offset, within, &bit_offset))
			return Error::bad_message;
		if (!own_name.empty()) {
			if (own_name != name)
				return Btf::Member{};
			if (type.value == 0)
				return Error::bad_message; /* no member is void */
			return Btf::Member{bit_offset, level.type.kind_flag ? place >> 24 : 0,
					   type};
		}
		/* An unnamed bitfield is padding, and not an anonymous struct. */
		const auto inner = CORBEL_TRY(btf_.strip(type));
		if (has_members(CORBEL_TRY(btf_.type(inner)).kind))
			CORBEL_TRY(push(inner, bit_offset));
		return Btf::Member{};
	}

	static constexpr unsigned max_depth = 8;
	static constexpr unsigned max_members = 1U << 17;

	const Btf &btf_;
	Level levels_[max_depth];
	unsigned depth_ = 0;
	unsigned budget_ = max_members;
};

Result<Btf::Member> Btf::member(BtfTypeId type, Text path) const
{
	Member found{0, 0, type};

	for (;;) {
		const auto dot = path.find('.');
		const auto name = path.first(dot);
		if (name.empty())
			return Error::invalid;

		BtfMemberSearch search(*this);
		const auto inner = CORBEL_TRY(search.find(CORBEL_TRY(strip(found.type)), name));
		if (__builtin_add_overflow(found.bit_offset, inner.bit_offset, &found.bit_offset))
			return Error::bad_message;
		found.bitfield_size = inner.bitfield_size;
		found.type = inner.type;
		if (dot == path.size())
			return found;
		path = path.after(dot + 1);
	}
}

Result<std::uint32_t> Btf::offset_in(std::uint32_t first, std::uint32_t end, Text name,
				     Text path) const
{
	std::uint32_t offset = 0;
	bool found = false;

	for (BtfTypeId id{first}; id.value < end; id.value++) {
		const auto type = CORBEL_TRY(this->type(id));

		if (type.kind != BtfKind::struct_ || !CORBEL_TRY(is_named(type, {}, name)))
			continue;
		const auto member = CORBEL_TRY(this->member(id, path));
		if (member.bitfield_size != 0 || member.bit_offset % 8 != 0)
			return Error::not_supported;
		if (found && member.bit_offset / 8 != offset)
			return Error::not_unique;
		offset = member.bit_offset / 8;
		found = true;
	}
	if (!found)
		return Error::not_found;
	return offset;
}

Result<std::uint32_t> Btf::member_offset(Text name, Text path) const
{
	if (name.empty())
		return Error::invalid;

	auto found = offset_in(split_start_, type_count_, name, path);
	if (found.ok() || found.error() != Error::not_found)
		return found;
	return offset_in(1, split_start_, name, path);
}

Result<std::uint32_t> Btf::struct_size(Text name) const
{
	const auto id = CORBEL_TRY(find(BtfKind::struct_, name));

	return CORBEL_TRY(type(id)).size_or_type;
}

Result<BtfTypeId> Btf::function_proto(Text name) const
{
	const auto id = CORBEL_TRY(find(BtfKind::function, name));
	const BtfTypeId proto{CORBEL_TRY(type(id)).size_or_type};

	if (CORBEL_TRY(type(proto)).kind != BtfKind::function_proto)
		return Error::bad_message;
	return proto;
}

Result<BtfTypeId> Btf::tracepoint_proto(Text name) const
{
	/* typedef void (*btf_trace_<name>)(void *, <arguments>); */
	const auto id = CORBEL_TRY(find_prefixed(BtfKind::typedef_, "btf_trace_", name));
	const BtfTypeId target{CORBEL_TRY(type(id)).size_or_type};
	const auto pointer = CORBEL_TRY(type(target));
	const BtfTypeId proto{pointer.size_or_type};

	if (pointer.kind != BtfKind::pointer ||
	    CORBEL_TRY(type(proto)).kind != BtfKind::function_proto)
		return Error::bad_message;
	return proto;
}

Result<Btf::Parameter> Btf::parameter(BtfTypeId proto, std::uint32_t i) const
{
	const auto type = CORBEL_TRY(this->type(proto));

	if (type.kind != BtfKind::function_proto || i >= type.count)
		return Error::invalid;
	const auto name = CORBEL_TRY(extra(type, 2 * i));
	return Parameter{CORBEL_TRY(string(name)), {CORBEL_TRY(extra(type, 2 * i + 1))}};
}

} /* namespace corbel::compat */
