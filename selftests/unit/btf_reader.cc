/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The BTF reader on blobs made by pahole and by clang from C files whose layout
 * this compiler knows too.
 */
#include "btf/sample.h"
#include "btf_blob.hh"

#include <gtest/gtest.h>

#include <cstddef>

namespace {

using namespace corbel::compat;
using namespace corbel::unit;
using corbel::rt::Error;

class BtfBase : public testing::Test {
protected:
	OpenBtf open{read_blob(generated_blobs() / "base.btf")};
	Btf btf = open.open().value();
};

class BtfSplit : public testing::Test {
protected:
	OpenBtf open{read_blob(generated_blobs() / "base.btf"),
		     read_blob(generated_blobs() / "split.btf")};
	Btf btf = open.open().value();
};

class BtfTagged : public testing::Test {
protected:
	OpenBtf open{read_blob(generated_blobs() / "tagged.btf")};
	Btf btf = open.open().value();
};

#define EXPECT_OFFSET(type, member)                                                                \
	EXPECT_EQ(btf.member_offset(#type, #member).value(), offsetof(struct type, member))

TEST_F(BtfBase, offsets_are_those_of_the_compiler)
{
	EXPECT_OFFSET(sample_plain, first);
	EXPECT_OFFSET(sample_plain, second);
	EXPECT_OFFSET(sample_plain, third);
	EXPECT_OFFSET(sample_plain, fourth);
	EXPECT_OFFSET(sample_nested, before);
	EXPECT_OFFSET(sample_nested, inner);
	EXPECT_OFFSET(sample_nested, array);
	EXPECT_OFFSET(sample_nested, call);
	EXPECT_OFFSET(sample_nested, next);
	EXPECT_OFFSET(sample_nested, qualified);
}

TEST_F(BtfBase, anonymous_members_are_looked_through)
{
	EXPECT_OFFSET(sample_nested, number);
	EXPECT_OFFSET(sample_nested, low);
	EXPECT_OFFSET(sample_nested, high);
	EXPECT_OFFSET(sample_nested, bytes);
}

TEST_F(BtfBase, a_path_leads_through_named_members)
{
	EXPECT_OFFSET(sample_nested, inner.third);
	EXPECT_OFFSET(sample_nested, named.a);
	EXPECT_OFFSET(sample_nested, named.deep.b);
	EXPECT_OFFSET(sample_nested, named.deep.c);
}

TEST_F(BtfBase, a_path_stops_where_there_is_no_struct)
{
	EXPECT_EQ(btf.member_offset("sample_nested", "next.before").error(), Error::not_found);
	EXPECT_EQ(btf.member_offset("sample_nested", "before.x").error(), Error::not_found);
	EXPECT_EQ(btf.member_offset("sample_nested", "deep").error(), Error::not_found);
	EXPECT_EQ(btf.member_offset("sample_nested", "inner.").error(), Error::invalid);
	EXPECT_EQ(btf.member_offset("sample_nested", ".inner").error(), Error::invalid);
	EXPECT_EQ(btf.member_offset("sample_nested", "").error(), Error::invalid);
}

TEST_F(BtfBase, bitfields_have_no_byte_offset)
{
	EXPECT_EQ(btf.member_offset("sample_bits", "one").error(), Error::not_supported);
	EXPECT_EQ(btf.member_offset("sample_bits", "after_padding").error(), Error::not_supported);
	EXPECT_EQ(btf.member_offset("sample_bits", "flags").error(), Error::not_supported);
	EXPECT_OFFSET(sample_bits, whole);
	EXPECT_OFFSET(sample_bits, word);

	const auto id = btf.find(BtfKind::struct_, "sample_bits").value();
	const auto seven = btf.member(id, "seven").value();
	EXPECT_EQ(seven.bit_offset, 1U);
	EXPECT_EQ(seven.bitfield_size, 7U);
	const auto after = btf.member(id, "after_padding").value();
	EXPECT_EQ(after.bit_offset, 12U);
	EXPECT_EQ(after.bitfield_size, 4U);
}

TEST_F(BtfBase, sizes_are_those_of_the_compiler)
{
	EXPECT_EQ(btf.struct_size("sample_plain").value(), sizeof(sample_plain));
	EXPECT_EQ(btf.struct_size("sample_nested").value(), sizeof(sample_nested));
	EXPECT_EQ(btf.struct_size("sample_bits").value(), sizeof(sample_bits));
}

TEST_F(BtfBase, what_is_not_there_is_not_found)
{
	EXPECT_EQ(btf.find(BtfKind::struct_, "sample_plai").error(), Error::not_found);
	EXPECT_EQ(btf.find(BtfKind::struct_, "sample_plainx").error(), Error::not_found);
	EXPECT_EQ(btf.find(BtfKind::union_, "sample_plain").error(), Error::not_found);
	EXPECT_EQ(btf.find(BtfKind::struct_, "").error(), Error::invalid);
	EXPECT_EQ(btf.member_offset("", "first").error(), Error::invalid);
	EXPECT_EQ(btf.member_offset("sample_plain", "fifth").error(), Error::not_found);
	/* Declared and never defined. */
	EXPECT_EQ(btf.struct_size("sample_other").error(), Error::not_found);
	EXPECT_TRUE(btf.find(BtfKind::forward, "sample_other").ok());
}

TEST_F(BtfBase, prototypes_read_as_in_c)
{
	auto proto = [&](std::string_view name) {
		return printed(btf, btf.function_proto(text(name)));
	};

	EXPECT_EQ(proto("sample_add"), "int (int, long int)");
	EXPECT_EQ(proto("sample_nothing"), "void (void)");
	EXPECT_EQ(proto("sample_format"), "int (const char *, ...)");
	EXPECT_EQ(proto("sample_find"), "struct sample_plain *(struct sample_nested *, "
					"const struct sample_plain *, enum sample_enum, _Bool)");
	EXPECT_EQ(proto("sample_register"),
		  "void (void (*)(void *, int), struct sample_plain **, const char *const *, "
		  "sample_plain_cv *)");
	EXPECT_EQ(proto("sample_choose"), "int (*(int))(int, long int)");
	EXPECT_EQ(proto("sample_missing"), "[-2]");
}

TEST_F(BtfBase, parameters_have_names_and_types)
{
	const auto proto = btf.function_proto("sample_find").value();

	EXPECT_EQ(btf.type(proto).value().count, 4U);
	EXPECT_EQ(string(btf.parameter(proto, 2).value().name), "how");
	EXPECT_EQ(printed(btf, btf.parameter(proto, 2).value().type), "enum sample_enum");
	EXPECT_EQ(btf.parameter(proto, 4).error(), Error::invalid);
	EXPECT_EQ(btf.parameter(BtfTypeId{0}, 0).error(), Error::invalid);
}

TEST_F(BtfBase, member_types_read_as_in_c)
{
	const auto id = btf.find(BtfKind::struct_, "sample_nested").value();
	auto type = [&](std::string_view path) {
		return printed(btf, btf.member(id, text(path)).value().type);
	};

	EXPECT_EQ(type("bytes"), "unsigned char[2]");
	EXPECT_EQ(type("array"), "struct sample_plain[3]");
	EXPECT_EQ(type("call"), "void (*)(struct sample_nested *, int)");
	EXPECT_EQ(type("next"), "struct sample_nested *");
	EXPECT_EQ(type("named"), "struct (anonymous)");
	EXPECT_EQ(type("inner.third"), "sample_word");
	EXPECT_EQ(type("inner.fourth"), "double");
}

TEST_F(BtfBase, tracepoints_are_found_by_their_typedef)
{
	EXPECT_EQ(printed(btf, btf.tracepoint_proto("sample_event")),
		  "void (void *, struct sample_plain *, _Bool, sample_word)");
	EXPECT_EQ(btf.tracepoint_proto("not_a_function").error(), Error::bad_message);
	EXPECT_EQ(btf.tracepoint_proto("sample").error(), Error::not_found);
	EXPECT_EQ(btf.tracepoint_proto("").error(), Error::invalid);
}

TEST_F(BtfBase, comparison_with_a_text_is_exact)
{
	const auto proto = btf.function_proto("sample_add").value();

	EXPECT_TRUE(btf.prints_as(proto, "int (int, long int)").value());
	EXPECT_FALSE(btf.prints_as(proto, "int (int, long int) ").value());
	EXPECT_FALSE(btf.prints_as(proto, "int (int, long)").value());
	EXPECT_FALSE(btf.prints_as(proto, "").value());
}

TEST_F(BtfBase, a_buffer_that_is_too_small_is_an_error)
{
	const auto proto = btf.function_proto("sample_add").value();
	const std::string_view whole = "int (int, long int)";
	std::vector<char> buffer(whole.size());

	EXPECT_EQ(string(btf.print(proto, buffer).value()), whole);
	while (!buffer.empty()) {
		buffer.pop_back();
		EXPECT_EQ(btf.print(proto, buffer).error(), Error::no_space);
	}
}

TEST_F(BtfSplit, finds_in_both_halves)
{
	EXPECT_EQ(btf.member_offset("sample_module", "private").value(),
		  sizeof(long) + sizeof(sample_plain));
	EXPECT_EQ(btf.member_offset("sample_module", "private.owner").value(),
		  sizeof(long) + sizeof(sample_plain) + 8);
	/* From a type of the split half into one of the base. */
	EXPECT_EQ(btf.member_offset("sample_module", "plain.fourth").value(),
		  sizeof(long) + offsetof(sample_plain, fourth));
	EXPECT_OFFSET(sample_nested, named.deep.c);
	EXPECT_EQ(printed(btf, btf.function_proto("sample_module_check")),
		  "_Bool (struct sample_module *, struct sample_nested *)");
	EXPECT_EQ(printed(btf, btf.function_proto("sample_nothing")), "void (void)");
	EXPECT_EQ(printed(btf, btf.tracepoint_proto("sample_module_event")),
		  "void (void *, struct sample_module *, _Bool)");
	EXPECT_EQ(printed(btf, btf.tracepoint_proto("sample_event")),
		  "void (void *, struct sample_plain *, _Bool, sample_word)");
}

TEST_F(BtfSplit, every_type_has_a_name_that_can_be_read)
{
	for (BtfTypeId id{0}; id.value < btf.type_count(); id.value++) {
		const auto type = btf.type(id);
		ASSERT_TRUE(type.ok());
		EXPECT_TRUE(btf.name(type.value()).ok()) << id.value;
	}
	EXPECT_EQ(btf.type({btf.type_count()}).error(), Error::bad_message);
}

TEST(Btf, split_without_its_base_is_refused)
{
	OpenBtf open(read_blob(generated_blobs() / "split.btf"));
	auto btf = open.open();

	/* Its strings start in the middle of the base's, so it is no base. */
	EXPECT_FALSE(btf.ok());
}

TEST(Btf, an_index_that_is_too_small_is_refused)
{
	const auto base = read_blob(generated_blobs() / "base.btf");
	std::vector<std::uint32_t> index(Btf::count_types(base, {}).value());

	EXPECT_TRUE(Btf::open(base, {}, index).ok());
	index.pop_back();
	EXPECT_EQ(Btf::open(base, {}, index).error(), Error::no_space);
	EXPECT_EQ(Btf::open(base, {}, {}).error(), Error::no_space);
}

TEST_F(BtfTagged, has_the_kinds_that_it_is_here_for)
{
	unsigned seen[20] = {};

	for (BtfTypeId id{0}; id.value < btf.type_count(); id.value++)
		seen[static_cast<unsigned>(btf.type(id).value().kind)]++;
	for (auto kind : {BtfKind::variable, BtfKind::data_section, BtfKind::decl_tag,
			  BtfKind::type_tag, BtfKind::enum64, BtfKind::floating})
		EXPECT_NE(seen[static_cast<unsigned>(kind)], 0U) << static_cast<unsigned>(kind);
}

TEST_F(BtfTagged, tags_are_looked_through_and_not_printed)
{
	EXPECT_EQ(btf.member_offset("sample_tagged", "number").value(), 8U);
	EXPECT_EQ(btf.member_offset("sample_tagged", "real").value(), 16U);
	EXPECT_EQ(printed(btf, btf.function_proto("sample_read")),
		  "int (struct sample_tagged *, int *)");
}

} // namespace
