/* SPDX-License-Identifier: GPL-2.0 */
/*
 * btf.hh - reads BTF, the type information that a running kernel carries.
 *
 * Where a private struct's member lies, and what a private function or a
 * tracepoint takes, changes inside a stable series. BTF tells for the kernel that
 * runs, so that nothing is assumed from headers of another one.
 *
 * There is a base blob (vmlinux) and, for a module, a split one that continues
 * its numbering of types and its strings. Type 0 is void; with n types in the
 * base, the split blob's first one is n + 1.
 *
 * The blobs are not believed: each read is checked against its section, chains
 * of types are followed to a limit, searches have a budget. A blob that lies
 * yields an error (bad_message) or a wrong answer, and never a read outside of it.
 * Nothing is allocated: the caller lends an index of one word a type, which must
 * outlive the reader like the blobs.
 *
 *	auto count = CORBEL_TRY(Btf::count_types(vmlinux, kvm));
 *	... allocate count words ...
 *	auto btf = CORBEL_TRY(Btf::open(vmlinux, kvm, index));
 *	auto offset = CORBEL_TRY(btf.member_offset("kvm_lapic", "regs"));
 *
 * Not thread-safe to open; lookups are const and may run side by side. A lookup
 * scans all names of a blob (a few ms for vmlinux): meant for module load.
 */
#pragma once

#include "../rt/result.hh"
#include "../rt/text.hh"

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>

namespace corbel::compat {

using rt::Error;
using rt::Result;
using rt::Text;

using Blob = std::span<const std::byte>;

enum class BtfKind : std::uint8_t {
	void_ = 0,
	integer = 1,
	pointer = 2,
	array = 3,
	struct_ = 4,
	union_ = 5,
	enum_ = 6,
	forward = 7,
	typedef_ = 8,
	volatile_ = 9,
	const_ = 10,
	restrict_ = 11,
	function = 12,
	function_proto = 13,
	variable = 14,
	data_section = 15,
	floating = 16,
	decl_tag = 17,
	type_tag = 18,
	enum64 = 19,
};

struct BtfTypeId {
	std::uint32_t value = 0;

	auto operator<=>(const BtfTypeId &) const = default;
};

/* One blob's sections, found to lie within it. */
class BtfSections {
public:
	/* @is_split: the string section continues another one. */
	static Result<BtfSections> parse(Blob blob, bool is_split);

	/* The little-endian word at @offset of the type section. */
	Result<std::uint32_t> word(std::size_t offset) const;
	/* The string at @offset of the string section. */
	Result<Text> string(std::size_t offset) const;

	std::size_t types_size() const { return types_.size(); }
	std::size_t strings_size() const { return strings_.size(); }

private:
	BtfSections(Blob types, Blob strings) : types_(types), strings_(strings) {}
	friend class Btf;
	BtfSections() = default;

	Blob types_;
	Blob strings_; /* empty, or ends in NUL */
};

class Btf {
public:
	/* A type's fixed part; what follows it is read by extra(). */
	struct Type {
		std::uint32_t name;
		std::uint32_t size_or_type;
		std::uint32_t position; /* in the section it is of */
		std::uint16_t count; /* members, parameters, values */
		BtfKind kind;
		bool kind_flag;
		bool in_split;
	};

	struct Member {
		std::uint32_t bit_offset; /* from the start of the struct asked about */
		std::uint32_t bitfield_size; /* in bits; 0: not a bitfield */
		BtfTypeId type;
	};

	struct Parameter {
		Text name;
		BtfTypeId type; /* void in the last place: variadic */
	};

	/* How many words of index open() needs. An empty @split: there is none. */
	static Result<std::uint32_t> count_types(Blob base, Blob split);
	static Result<Btf> open(Blob base, Blob split, std::span<std::uint32_t> index);

	/* Types including void: ids are below this. */
	std::uint32_t type_count() const { return type_count_; }

	Result<Type> type(BtfTypeId id) const;
	Result<Text> name(const Type &type) const { return string(type.name); }

	/*
	 * The type of that kind and name, in the split blob before the base. Two of
	 * them in one blob: not_unique, for which is meant cannot be known.
	 */
	Result<BtfTypeId> find(BtfKind kind, Text name) const;

	/*
	 * A member of a struct or union, also inside of anonymous ones. @path may
	 * lead through members that are structs: "arch.apic_base".
	 */
	Result<Member> member(BtfTypeId type, Text path) const;

	/*
	 * The byte offset of a member in the struct called @name. If several structs
	 * of one blob have the name they must agree about the member (not_unique).
	 * A bitfield has no byte offset: not_supported.
	 */
	Result<std::uint32_t> member_offset(Text name, Text path) const;

	/* Size in bytes of the struct called @name. */
	Result<std::uint32_t> struct_size(Text name) const;

	/* The function_proto of a function, of a tracepoint (btf_trace_@name). */
	Result<BtfTypeId> function_proto(Text name) const;
	Result<BtfTypeId> tracepoint_proto(Text name) const;
	Result<Parameter> parameter(BtfTypeId proto, std::uint32_t i) const;

	/*
	 * Writes @id as C would write it, without a NUL, and returns what was written:
	 *	"bool", "const struct kvm_lapic_irq *", "u8[16]", "void (*)(int, ...)"
	 * and a function_proto as "int (struct kvm_vcpu *, u32)", "void (void)".
	 * Type and declaration tags are left out. no_space if @out is too small.
	 */
	Result<Text> print(BtfTypeId id, std::span<char> out) const;

	/* Whether print() would write @text, of up to 256 characters. */
	Result<bool> prints_as(BtfTypeId id, Text text) const;

	/* Past typedefs, const, volatile, restrict and type tags. */
	Result<BtfTypeId> strip(BtfTypeId id) const;

private:
	friend class BtfPrinter;
	friend class BtfMemberSearch;

	Btf() = default;

	Result<Text> string(std::uint32_t offset) const;
	Result<std::uint32_t> extra(const Type &type, std::uint32_t word) const;
	Result<bool> is_named(const Type &type, Text prefix, Text name) const;
	Result<BtfTypeId> find_in(std::uint32_t first, std::uint32_t end, BtfKind kind, Text prefix,
				  Text name) const;
	Result<BtfTypeId> find_prefixed(BtfKind kind, Text prefix, Text name) const;
	Result<std::uint32_t> offset_in(std::uint32_t first, std::uint32_t end, Text name,
					Text path) const;

	BtfSections base_;
	BtfSections split_;
	const std::uint32_t *index_ = nullptr;
	std::uint32_t type_count_ = 1;
	std::uint32_t split_start_ = 1; /* first id of the split blob */
};

} /* namespace corbel::compat */
