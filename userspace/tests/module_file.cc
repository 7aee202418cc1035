// SPDX-License-Identifier: GPL-2.0-or-later
#include <libcorbel/module_file.hh>

#include <gtest/gtest.h>

#include <elf.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace std::string_literals;

template <typename T>
std::string bytes_of(const T &object)
{
	return {reinterpret_cast<const char *>(&object), sizeof(object)};
}

std::string build_id_note()
{
	Elf64_Nhdr note{4, 4, NT_GNU_BUILD_ID};

	return bytes_of(note) + "GNU\0"s + "\xde\xad\xbe\xef"s;
}

/* An object with the sections given, and one of their names. */
std::string elf(const std::vector<std::pair<std::string, std::string>> &sections)
{
	Elf64_Ehdr header{};
	std::string names(1, '\0'), contents;
	std::vector<Elf64_Shdr> table(1);

	auto add = [&](const std::string &name, const std::string &data) {
		Elf64_Shdr entry{};

		entry.sh_name = static_cast<Elf64_Word>(names.size());
		entry.sh_offset = sizeof(header) + contents.size();
		names += name + '\0';
		entry.sh_size = name == ".shstrtab" ? names.size() : data.size();
		contents += name == ".shstrtab" ? names : data;
		table.push_back(entry);
	};
	for (const auto &[name, data] : sections)
		add(name, data);
	add(".shstrtab", "");

	std::memcpy(header.e_ident, ELFMAG, SELFMAG);
	header.e_ident[EI_CLASS] = ELFCLASS64;
	header.e_ident[EI_DATA] = ELFDATA2LSB;
	header.e_shoff = sizeof(header) + contents.size();
	header.e_shnum = static_cast<Elf64_Half>(table.size());
	header.e_shstrndx = static_cast<Elf64_Half>(table.size() - 1);

	std::string object = bytes_of(header) + contents;
	for (const auto &entry : table)
		object += bytes_of(entry);
	return object;
}

std::string sample_module()
{
	return elf({{".text", "code"},
		    {".modinfo", "license=GPL\0srcversion=0123ABC\0depends=kvm\0"
				 "vermagic=6.1.0-42-amd64 SMP preempt mod_unload \0"
				 "alias=a\0alias=b=c\0"s},
		    {".note.gnu.build-id", build_id_note()}});
}

TEST(module_file, reads_what_modinfo_reads)
{
	auto module = corbel::parse_module(sample_module());

	ASSERT_TRUE(module) << module.error().sentence;
	EXPECT_EQ(module->value("license"), "GPL");
	EXPECT_EQ(module->value("srcversion"), "0123ABC");
	EXPECT_EQ(module->value("alias"), "a");
	EXPECT_EQ(module->info.count("alias"), 2U);
	EXPECT_EQ(module->value("nothing"), "");
	EXPECT_EQ(module->release(), "6.1.0-42-amd64");
	EXPECT_EQ(module->build_id, "deadbeef");
	EXPECT_FALSE(module->is_signed);
}

TEST(module_file, sees_a_signature)
{
	auto module = corbel::parse_module(sample_module() + "....~Module signature appended~\n");

	ASSERT_TRUE(module);
	EXPECT_TRUE(module->is_signed);
}

TEST(module_file, refuses_what_is_no_module)
{
	EXPECT_FALSE(corbel::parse_module(""));
	EXPECT_FALSE(corbel::parse_module("\x7f"
					  "ELF"));
	EXPECT_FALSE(corbel::parse_module(std::string(4096, 'x')));
	EXPECT_FALSE(corbel::parse_module(elf({{".text", "code"}}))) << "no .modinfo";

	auto missing = corbel::read_module("/nonexistent/corbel.ko");
	ASSERT_FALSE(missing);
	EXPECT_EQ(missing.error().number, ENOENT);
	EXPECT_NE(missing.error().sentence.find("/nonexistent/corbel.ko"), std::string::npos);
}

/* Under a sanitizer this is what shows a read past the end. */
TEST(module_file, survives_every_truncation_and_every_wrong_byte)
{
	const auto whole = sample_module();
	unsigned parsed = 0;

	for (std::size_t size = 0; size < whole.size(); size++) {
		std::vector<char> exact(whole.begin(),
					whole.begin() + static_cast<std::ptrdiff_t>(size));
		parsed += corbel::parse_module({exact.data(), exact.size()}).has_value();
	}
	EXPECT_EQ(parsed, 0U) << "the section table is at the end, so no prefix is whole";

	for (std::size_t at = 0; at < whole.size(); at++)
		for (unsigned char value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
			auto wrong = whole;

			wrong[at] = static_cast<char>(value);
			parsed += corbel::parse_module(wrong).has_value();
		}
	EXPECT_GT(parsed, 0U) << "most bytes of the contents do not matter";
}

TEST(module_file, build_id_of_a_note)
{
	EXPECT_EQ(corbel::build_id_of_note(build_id_note()), "deadbeef");
	EXPECT_EQ(corbel::build_id_of_note(build_id_note().substr(0, 15)), "");
	EXPECT_EQ(corbel::build_id_of_note(""), "");

	Elf64_Nhdr huge{0xffffffff, 0xffffffff, NT_GNU_BUILD_ID};
	EXPECT_EQ(corbel::build_id_of_note(bytes_of(huge) + "GNU"), "");
}

} /* namespace */
