// SPDX-License-Identifier: GPL-2.0-or-later
#include "../lib/base64.hh"

#include "block/base64.hh"
#include "block/words.hh"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <string>

namespace {

using corbel::block::decode_base64;
using corbel::rt::Error;
using corbel::selftest::encode_base64;

std::optional<std::string> decoded(std::string text)
{
	const auto bytes = decode_base64(text.data(), text.size());

	if (!bytes.ok()) {
		EXPECT_EQ(bytes.error(), Error::bad_message);
		return std::nullopt;
	}
	return text.substr(0, bytes.value());
}

TEST(Base64, examples_of_the_rfc)
{
	EXPECT_EQ(decoded(""), "");
	EXPECT_EQ(decoded("Zg=="), "f");
	EXPECT_EQ(decoded("Zm8="), "fo");
	EXPECT_EQ(decoded("Zm9v"), "foo");
	EXPECT_EQ(decoded("Zm9vYg=="), "foob");
	EXPECT_EQ(decoded("Zm9vYmE="), "fooba");
	EXPECT_EQ(decoded("Zm9vYmFy"), "foobar");
	EXPECT_EQ(encode_base64("foobar", 4), "Zm9vYg==");
}

TEST(Base64, any_bytes_come_back)
{
	std::mt19937_64 random(1);

	for (unsigned round = 0; round < 2000; round++) {
		std::string data(random() % 70, 0);
		for (char &c : data)
			c = static_cast<char>(random());
		ASSERT_EQ(decoded(encode_base64(data.data(), data.size())), data);
	}
}

TEST(Base64, nothing_else_is_taken)
{
	/* The last two have bits that are in no byte. */
	for (const char *text :
	     {"Z", "Zg", "Zg=", "Zg===", "=", "====", "Z===", "Zg==Zg==", "Zm=v", "Zm8=\n", "Zm8 ",
	      " Zm8", "Zm-_", "Zg==\n\n\n\n", "Zm9v=", "Zm9v====", "Zh==", "Zm9="})
		EXPECT_FALSE(decoded(text)) << text;
	/* Whatever single character is not of the alphabet. */
	for (unsigned c = 0; c < 256; c++) {
		std::string text = "AAAAAAAA";
		text[2] = static_cast<char>(c);
		const bool is_digit = std::isalnum(static_cast<int>(c)) || c == '+' || c == '/';
		EXPECT_EQ(decoded(text).has_value(), is_digit) << c;
	}
}

TEST(Reply, a_number_is_put_in_front)
{
	char text[64];
	corbel::block::Reply reply(text, sizeof(text));

	reply.insert(0, 7);
	EXPECT_STREQ(text, "7");
	reply << " 16:1 17:2";
	reply.insert(1, 123456);
	EXPECT_STREQ(text, "7123456 16:1 17:2");
	reply.insert(reply.size(), 0);
	EXPECT_STREQ(text, "7123456 16:1 17:20");
	EXPECT_EQ(reply.size(), 18U);
	EXPECT_FALSE(reply.is_full());
}

struct Command {
	corbel::rt::Text name, usage;
	corbel::block::u32 least, most;
};

/* As device-mapper has them: the reply begins a little before the message. */
TEST(Reply, lies_where_the_message_does)
{
	static constexpr Command commands[] = {{"first", "A", 1, 1}, {"second", "", 0, 0}};
	char memory[256] = "12345678wrong\0and more";
	char *argv[] = {memory + 8, memory + 14};
	corbel::block::Reply reply(memory, sizeof(memory));

	EXPECT_EQ(corbel::block::find_command(commands, "who", 2, argv, reply), nullptr);
	EXPECT_STREQ(memory, "who: there is no message 'wrong'; there are: first second");
}

} // namespace
