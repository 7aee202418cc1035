/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BTF that lies: each shape that a reader has been known to fall for. Memory is held
 * to the byte by AddressSanitizer; that these cases end at all is the other point.
 */
#include "btf_blob.hh"
#include "random_stream.hh"

#include <gtest/gtest.h>

#include <cstring>

namespace {

using namespace corbel::compat;
using namespace corbel::unit;
using corbel::rt::Error;

/* Writes blobs that an encoder would not. */
class BlobBuilder {
public:
	std::uint32_t name(std::string_view text)
	{
		const auto at = static_cast<std::uint32_t>(strings_.size());

		strings_.append(text);
		strings_.push_back('\0');
		return at;
	}

	/* A type; returns its id. @extra: the words behind its fixed part. */
	std::uint32_t type(BtfKind kind, std::string_view type_name, std::uint32_t size_or_type,
			   std::vector<std::uint32_t> extra = {}, std::uint32_t count = 0)
	{
		types_.push_back(type_name.empty() ? 0 : name(type_name));
		types_.push_back(static_cast<std::uint32_t>(kind) << 24 | count);
		types_.push_back(size_or_type);
		types_.insert(types_.end(), extra.begin(), extra.end());
		return ++last_;
	}

	std::uint32_t next_id() const { return last_ + 1; }

	std::vector<std::byte> blob() const
	{
		const auto type_bytes = static_cast<std::uint32_t>(types_.size() * 4);
		const std::uint32_t header[] = {
			0x0001eb9f, 24,		0,
			type_bytes, type_bytes, static_cast<std::uint32_t>(strings_.size())};
		std::vector<std::byte> bytes(sizeof(header) + type_bytes + strings_.size());

		std::memcpy(bytes.data(), header, sizeof(header));
		std::memcpy(bytes.data() + sizeof(header), types_.data(), type_bytes);
		std::memcpy(bytes.data() + sizeof(header) + type_bytes, strings_.data(),
			    strings_.size());
		return bytes;
	}

private:
	std::vector<std::uint32_t> types_;
	std::string strings_{'\0'};
	std::uint32_t last_ = 0;
};

void set_word(std::vector<std::byte> &blob, std::size_t offset, std::uint32_t value)
{
	std::memcpy(blob.data() + offset, &value, sizeof(value));
}

std::vector<std::byte> small_blob()
{
	BlobBuilder builder;

	builder.type(BtfKind::integer, "int", 4, {32});
	builder.type(BtfKind::struct_, "s", 8, {builder.name("member"), 1, 0}, 1);
	return builder.blob();
}

TEST(BtfHostile, every_truncation_is_refused)
{
	const auto whole = small_blob();

	ASSERT_TRUE(Btf::count_types(whole, {}).ok());
	for (std::size_t size = 0; size < whole.size(); size++) {
		/* A copy of its own, so that a read past it is a read past an allocation. */
		const std::vector<std::byte> part(whole.begin(),
						  whole.begin() + static_cast<long>(size));
		EXPECT_FALSE(Btf::count_types(part, {}).ok()) << size;
	}
}

TEST(BtfHostile, headers_that_point_outside_are_refused)
{
	const auto good = small_blob();
	const std::uint32_t wild[] = {1U << 31,	  0xffffffff,
				      0xfffffff0, 0xfffffffc,
				      100000,	  static_cast<std::uint32_t>(good.size())};

	for (std::size_t field = 4; field < 24; field += 4)
		for (auto value : wild) {
			auto blob = good;
			set_word(blob, field, value);
			EXPECT_FALSE(Btf::count_types(blob, {}).ok()) << field << " " << value;
		}
	auto blob = good;
	set_word(blob, 0, 0x00019feb); /* the other byte order */
	EXPECT_EQ(Btf::count_types(blob, {}).error(), Error::not_supported);
	blob = good;
	set_word(blob, 0, 0x0002eb9f); /* a version to come */
	EXPECT_EQ(Btf::count_types(blob, {}).error(), Error::not_supported);
}

TEST(BtfHostile, strings_without_an_end_are_refused)
{
	auto blob = small_blob();

	blob.back() = std::byte{'x'};
	EXPECT_EQ(Btf::count_types(blob, {}).error(), Error::bad_message);
}

TEST(BtfHostile, kinds_that_nobody_knows_are_refused)
{
	for (unsigned kind : {0U, 20U, 31U}) {
		BlobBuilder builder;
		builder.type(static_cast<BtfKind>(kind), "x", 0);
		EXPECT_EQ(Btf::count_types(builder.blob(), {}).error(), Error::not_supported)
			<< kind;
	}
}

TEST(BtfHostile, a_count_that_reaches_past_the_section_is_refused)
{
	for (auto kind : {BtfKind::struct_, BtfKind::union_, BtfKind::enum_,
			  BtfKind::function_proto, BtfKind::data_section, BtfKind::enum64}) {
		BlobBuilder builder;
		builder.type(kind, "x", 0, {}, 0xffff);
		EXPECT_EQ(Btf::count_types(builder.blob(), {}).error(), Error::bad_message);
	}
}

TEST(BtfHostile, names_outside_of_the_strings_are_errors)
{
	auto blob = small_blob();
	const std::size_t second = 24 + 16;

	set_word(blob, second, 0x7fffffff);
	OpenBtf open(blob);
	auto btf = open.open().value();
	EXPECT_EQ(btf.find(BtfKind::struct_, "s").error(), Error::bad_message);
}

TEST(BtfHostile, ids_that_do_not_exist_are_errors)
{
	BlobBuilder builder;
	const auto pointer = builder.type(BtfKind::pointer, "", 77);
	builder.type(BtfKind::struct_, "s", 8, {builder.name("m"), 0xffffffff, 0}, 1);
	builder.type(BtfKind::function, "f", 0xffffffff);
	builder.type(BtfKind::function, "g", pointer);
	OpenBtf open(builder.blob());
	auto btf = open.open().value();
	char out[64];

	EXPECT_EQ(btf.print({pointer}, out).error(), Error::bad_message);
	EXPECT_EQ(btf.member_offset("s", "m.n").error(), Error::bad_message);
	EXPECT_EQ(btf.function_proto("f").error(), Error::bad_message);
	EXPECT_EQ(btf.function_proto("g").error(), Error::bad_message);
}

TEST(BtfHostile, chains_that_bite_their_tail_end)
{
	for (auto kind : {BtfKind::pointer, BtfKind::const_, BtfKind::typedef_, BtfKind::type_tag,
			  BtfKind::volatile_, BtfKind::restrict_}) {
		BlobBuilder builder;
		const auto self = builder.type(kind, "t", builder.next_id());
		builder.type(BtfKind::struct_, "s", 8, {builder.name("m"), self, 0, 0, self, 0}, 2);
		OpenBtf open(builder.blob());
		auto btf = open.open().value();
		char out[4096];

		/* A typedef prints as its name; all else never comes to one. */
		EXPECT_EQ(btf.print({self}, out).ok(), kind == BtfKind::typedef_);
		EXPECT_FALSE(btf.member_offset("s", "m.n").ok());
		EXPECT_FALSE(btf.member_offset("s", "other").ok());
	}
}

TEST(BtfHostile, an_array_of_itself_ends)
{
	BlobBuilder builder;
	const auto self = builder.type(BtfKind::array, "", 0, {builder.next_id(), 0, 3});
	OpenBtf open(builder.blob());
	char out[4096];

	EXPECT_FALSE(open.open().value().print({self}, out).ok());
}

/* Without a budget 40 members that each hold the struct again take 40^8 steps. */
TEST(BtfHostile, a_struct_in_itself_many_times_over_ends_soon)
{
	BlobBuilder builder;
	const auto self = builder.next_id();
	std::vector<std::uint32_t> members;
	for (std::uint32_t i = 0; i < 0xffff; i++)
		members.insert(members.end(), {0, self, 0});
	builder.type(BtfKind::struct_, "s", 8, members, 0xffff);
	OpenBtf open(builder.blob());

	EXPECT_EQ(open.open().value().member_offset("s", "absent").error(), Error::bad_message);
}

/* The same for printing: functions that take themselves, many times over. */
TEST(BtfHostile, a_function_that_takes_itself_many_times_over_ends_soon)
{
	BlobBuilder builder;
	const auto self = builder.next_id();
	std::vector<std::uint32_t> parameters;
	for (std::uint32_t i = 0; i < 0xffff; i++)
		parameters.insert(parameters.end(), {0, self});
	builder.type(BtfKind::function_proto, "", 0, parameters, 0xffff);
	OpenBtf open(builder.blob());
	std::vector<char> out(1 << 16);

	EXPECT_FALSE(open.open().value().print({self}, out).ok());
}

TEST(BtfHostile, offsets_that_overflow_are_errors)
{
	BlobBuilder builder;
	const auto inner =
		builder.type(BtfKind::struct_, "inner", 8, {builder.name("m"), 0, 0xfffffff8}, 1);
	builder.type(BtfKind::struct_, "s", 8, {0, inner, 0xfffffff8, builder.name("i"), inner, 8},
		     2);
	OpenBtf open(builder.blob());
	auto btf = open.open().value();

	EXPECT_FALSE(btf.member_offset("s", "m").ok());
	EXPECT_FALSE(btf.member_offset("s", "i.m").ok());
}

TEST(BtfHostile, two_structs_of_a_name_must_agree)
{
	BlobBuilder builder;
	const auto number = builder.type(BtfKind::integer, "int", 4, {32});
	const auto same = builder.name("same"), different = builder.name("different");
	builder.type(BtfKind::struct_, "s", 8, {same, number, 0, different, number, 32}, 2);
	builder.type(BtfKind::struct_, "s", 8, {same, number, 0, different, number, 64}, 2);
	OpenBtf open(builder.blob());
	auto btf = open.open().value();

	EXPECT_EQ(btf.member_offset("s", "same").value(), 0U);
	EXPECT_EQ(btf.member_offset("s", "different").error(), Error::not_unique);
	EXPECT_EQ(btf.struct_size("s").error(), Error::not_unique);
}

/* Whatever is asked of a damaged blob, it answers, and reads nothing outside. */
void ask_everything(std::vector<std::byte> base, std::vector<std::byte> split)
{
	OpenBtf open(std::move(base), std::move(split));
	const auto opened = open.open();
	if (!opened.ok())
		return;
	const auto &btf = opened.value();
	char out[200];

	for (BtfTypeId id{0}; id.value < btf.type_count(); id.value++) {
		(void)btf.print(id, out).ok();
		(void)btf.member(id, "inner.third").ok();
		(void)btf.parameter(id, 1).ok();
	}
	(void)btf.member_offset("sample_nested", "named.deep.c").ok();
	(void)btf.function_proto("sample_register").ok();
	(void)btf.tracepoint_proto("sample_event").ok();
}

TEST(BtfHostile, random_damage_is_survived)
{
	RandomStream random(4000);
	const auto base = read_blob(generated_blobs() / "base.btf");
	const auto split = read_blob(generated_blobs() / "split.btf");

	while (random.more()) {
		auto bad_base = base;
		auto bad_split = split;
		auto &blob = random.below(3) == 0 ? bad_split : bad_base;

		for (auto count = 1 + random.below(4); count > 0; count--)
			blob[random.below(blob.size())] = static_cast<std::byte>(random.word());
		ask_everything(std::move(bad_base), std::move(bad_split));
	}
}

} // namespace
