// SPDX-License-Identifier: GPL-2.0-or-later
/* Descriptions of VMs: what is in them, what is refused and how, and where they are kept. */
#include "../qemu/definitions.hh"
#include "../state/sqlite_store.hh"
#include "result.hh"
#include "temporary_folder.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include <fmt/format.h>

namespace corbel::test {

namespace {

using namespace corbel::qemu;
using testing::HasSubstr;

constexpr const char *whole = R"(# A web server.
name = "web-1"
uuid = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
vcpus = 4
memory = "2G"
machine = "pc-q35-7.2"
accelerator = "tcg"
kernel = "/boot/vmlinuz"
initrd = "/boot/initrd"
append = "console=ttyS0 quiet"
vsock = 7
extra = ["-device", "virtio-rng-pci"]

[[disks]]
path = "/srv/web,1.qcow2"
format = "qcow2"
interface = "scsi"

[[disks]]
path = "/srv/data"
read_only = true

[[nets]]
type = "user"
mac = "52:54:00:12:34:56"

[[nets]]
type = "tap"
interface = "tap0"
model = "e1000"

[console]
log = "/var/log/web.log"

[limits]
cpu_weight = 50
memory_max = "3G"
)";

Result<Description> parse(std::string_view text)
{
	return description_of(text, "vm.toml", FileCheck::no);
}

TEST(DescriptionText, is_read)
{
	const auto vm = must(parse(whole));

	EXPECT_EQ(vm.name, "web-1");
	EXPECT_EQ(vm.vcpus, 4U);
	EXPECT_EQ(vm.memory, std::uint64_t{2} << 30);
	EXPECT_EQ(vm.accelerator, "tcg");
	EXPECT_EQ(vm.append, "console=ttyS0 quiet");
	ASSERT_EQ(vm.disks.size(), 2U);
	EXPECT_EQ(vm.disks[0], (Disk{"/srv/web,1.qcow2", "qcow2", "scsi", false}));
	EXPECT_EQ(vm.disks[1], (Disk{"/srv/data", "raw", "virtio", true}));
	ASSERT_EQ(vm.nets.size(), 2U);
	EXPECT_EQ(vm.nets[1], (Net{"tap", "e1000", "", "tap0"}));
	EXPECT_EQ(vm.vsock, (Vsock{Vsock::Kind::fixed, 7}));
	EXPECT_EQ(vm.console_log, "/var/log/web.log");
	EXPECT_EQ(vm.cpu_weight, 50U);
	EXPECT_EQ(vm.memory_max, std::uint64_t{3} << 30);
	EXPECT_EQ(vm.extra.size(), 2U);
}

TEST(DescriptionText, is_the_same_in_json)
{
	const auto vm = must(parse(whole));
	const auto text = json_of(vm).dump();

	EXPECT_EQ(must(parse(text)), vm) << text;
	const auto small = must(parse("name = 'a'\nmemory = '16M'\nvsock = 'auto'"));
	EXPECT_EQ(small.accelerator, "kvm");
	EXPECT_EQ(must(parse(json_of(small).dump(2))), small);
}

struct Wrong {
	const char *name;
	std::string text;
	std::vector<const char *> says;
};

class WrongDescription : public testing::TestWithParam<Wrong> {};

TEST_P(WrongDescription, is_refused_and_told_where_and_why)
{
	const auto vm = parse(GetParam().text);

	ASSERT_FALSE(vm);
	for (const auto *words : GetParam().says)
		EXPECT_THAT(vm.error().sentence, HasSubstr(words));
}

/* A description that is whole, with @line at its line 3. */
std::string with(const std::string &line)
{
	return "name = \"a\"\nmemory = \"16M\"\n" + line + "\n";
}

INSTANTIATE_TEST_SUITE_P(
	, WrongDescription,
	testing::Values(
		Wrong{"no_toml", with("x = = 1"), {"vm.toml:3: it is no TOML"}},
		Wrong{"key_twice", with("name = \"b\""), {"vm.toml:3"}},
		Wrong{"unknown_key", with("colour = 1"), {"vm.toml:3: 'colour'", "vcpus"}},
		Wrong{"unknown_key_below",
		      with("[limits]\ncpu = 1"),
		      {"vm.toml:4: 'limits.cpu'", "cpu_weight, memory_max"}},
		Wrong{"other_type",
		      with("vcpus = \"2\""),
		      {"vm.toml:3: 'vcpus' must be a number from 1 to 1024"}},
		Wrong{"fraction", with("vcpus = 1.5"), {"'vcpus' must be a number"}},
		Wrong{"no_table", with("console = 1"), {"must be a table: [console]"}},
		Wrong{"no_tables", with("disks = 1"), {"[[disks]]"}},
		Wrong{"no_tables_in_it", with("disks = [1]"), {"[[disks]]"}},
		Wrong{"too_many_vcpus", with("vcpus = 1025"), {"'vcpus'", "1024"}},
		Wrong{"no_vcpus", with("vcpus = 0"), {"'vcpus'"}},
		Wrong{"negative", with("vcpus = -1"), {"'vcpus'"}},
		Wrong{"no_memory", "name = \"a\"", {"'memory' is missing"}},
		Wrong{"memory_without_unit",
		      "name = \"a\"\nmemory = \"512\"",
		      {"vm.toml:2: 'memory'", "\"512M\""}},
		Wrong{"memory_too_much", "name = \"a\"\nmemory = \"17T\"", {"at most 16384 GiB"}},
		Wrong{"memory_in_parts", "name = \"a\"\nmemory = \"1025K\"", {"whole MiB"}},
		Wrong{"no_name", "memory = \"16M\"", {"'name' is missing"}},
		Wrong{"name_as_path", "name = \"../a\"\nmemory = \"16M\"", {"vm.toml:1: 'name'"}},
		Wrong{"control_character", with("kernel = \"/a\\u0007\""), {"control characters"}},
		Wrong{"accelerator", with("accelerator = \"xen\""), {"one of kvm, tcg"}},
		Wrong{"relative_path", with("kernel = \"vmlinuz\""), {"a whole path"}},
		Wrong{"initrd_alone", with("initrd = \"/i\""), {"needs a 'kernel'"}},
		Wrong{"disk_without_path",
		      with("[[disks]]\nformat = \"raw\""),
		      {"'disks[0].path' is missing"}},
		Wrong{"disk_format",
		      with("[[disks]]\npath = \"/d\"\nformat = \"vmdk\""),
		      {"vm.toml:5: 'disks[0].format' is 'vmdk'", "raw, qcow2"}},
		Wrong{"disk_twice",
		      with("[[disks]]\npath = \"/d\"\n[[disks]]\npath = \"/d\""),
		      {"vm.toml:6: 'disks[1].path'", "read_only"}},
		Wrong{"tap_without_interface",
		      with("[[nets]]\ntype = \"tap\""),
		      {"'nets[0].interface' is missing"}},
		Wrong{"group_mac",
		      with("[[nets]]\ntype = \"user\"\nmac = \"53:54:00:12:34:56\""),
		      {"'nets[0].mac'"}},
		Wrong{"cid_of_the_host", with("vsock = 2"), {"from 3 to"}},
		Wrong{"cid_word", with("vsock = \"any\""), {"auto, none"}},
		Wrong{"less_than_memory",
		      with("[limits]\nmemory_max = \"8M\""),
		      {"vm.toml:4: 'limits.memory_max'"}},
		Wrong{"extra_in_the_way", with("extra = [\"--daemonize\"]"), {"-daemonize"}},
		Wrong{"uuid", with("uuid = \"6BA7B810-9dad-41d1-80b4-00c04fd430c8\""), {"'uuid'"}},
		Wrong{"json_null", R"({"name": "a", "memory": null})", {"null"}},
		Wrong{"json_cut", R"({"name": "a", )", {"no JSON", "line 1"}},
		Wrong{"json_twice", R"({"name": "a", "name": "b"})", {"'name' is there twice"}},
		Wrong{"json_key", R"({"name": "a", "memory": "16M", "x": 1})", {"vm.toml: 'x'"}},
		Wrong{"too_long", std::string(longest_description + 1, '\n'), {"at most 65536"}}),
	[](const auto &param) { return param.param.name; });

TEST(DescriptionText, names_files_that_are_not_there)
{
	const TemporaryFolder folder;

	folder.write("vm.toml", with("kernel = \"/nowhere/vmlinuz\""));
	const auto vm = read_description(folder.path() / "vm.toml");
	ASSERT_FALSE(vm);
	EXPECT_THAT(vm.error().sentence, HasSubstr("vm.toml:3: 'kernel' names /nowhere/vmlinuz"));
	EXPECT_EQ(error_of(read_description(folder.path() / "none")), ENOENT);
}

/* Whatever is read can be written and read again. */
TEST(DescriptionText, of_any_bytes_is_read_or_refused)
{
	const std::string texts[] = {whole, json_of(must(parse(whole))).dump(1)};
	std::mt19937 random(3);
	unsigned read = 0;

	for (int turn = 0; turn < 4000; turn++) {
		auto text = texts[turn % 2];

		for (auto changes = 1 + random() % 4; changes; changes--) {
			const auto at = random() % text.size();

			switch (random() % 3) {
			case 0:
				text[at] = static_cast<char>(random());
				break;
			case 1:
				text.erase(at, random() % 10);
				break;
			default:
				text.insert(at, text.substr(random() % text.size(), 10));
				break;
			}
		}
		const auto vm = parse(text);
		if (!vm) {
			ASSERT_FALSE(vm.error().sentence.empty());
			continue;
		}
		read++;
		ASSERT_EQ(must(parse(json_of(*vm).dump())), *vm) << text;
	}
	EXPECT_GT(read, 50U);
}

TEST(DescriptionText, nested_without_end_is_refused)
{
	for (const auto &[open, close] : {std::pair("[", "]"), std::pair("{a=", "}")}) {
		std::string text = "x = ";

		for (int i = 0; i < 15000; i++)
			text += open;
		text += "1";
		for (int i = 0; i < 15000; i++)
			text += close;
		EXPECT_EQ(error_of(parse(text)), EINVAL);
	}
	EXPECT_EQ(error_of(parse("{\"a\":" + std::string(30000, '['))), EINVAL);
}

TEST(Uuid, is_random_and_of_the_right_form)
{
	const auto one = must(make_uuid());

	EXPECT_THAT(one,
		    testing::MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-"
					  "[0-9a-f]{12}"));
	EXPECT_NE(must(make_uuid()), one);
}

/* What toml++ takes for impossible; the sanitizer tells if it is believed. */
TEST(description, is_refused_with_letters_behind_a_value)
{
	for (const char *text : {"name = 1\u00e4", "name = 'a' \u019b", "memory = \u01e2/sys",
				 "\u00e4 = 1", "name = 'a'\n\u0499"})
		EXPECT_EQ(error_of(parse(text)), EINVAL) << text;
	EXPECT_EQ(must(parse("# G\u00e4ste\nname = 'a'\nmemory = '16M'\n"
			     "kernel = '/K\u00e4se'"))
			  .kernel,
		  "/K\u00e4se");
}

class Definitions : public testing::Test {
protected:
	TemporaryFolder folder;
	std::unique_ptr<state::Store> store = must(
		state::open_sqlite_store(must(state::options_for(folder.path() / "state.sqlite"))));
};

TEST_F(Definitions, are_kept_and_are_the_same_when_said_again)
{
	const auto vm = must(parse("name = 'a'\nmemory = '16M'"));
	const auto first = must(define(*store, vm));

	EXPECT_TRUE(first.changed);
	EXPECT_EQ(first.description.uuid.size(), 36U);
	const auto again = must(define(*store, vm));
	EXPECT_FALSE(again.changed);
	EXPECT_EQ(again.description, first.description) << "the uuid stays";
	auto other = vm;
	other.vcpus = 2;
	EXPECT_TRUE(must(define(*store, other)).changed);
	EXPECT_EQ(must(definition(*store, "a")).vcpus, 2U);
	EXPECT_EQ(must(definition(*store, "a")).uuid, first.description.uuid);
	other.name = "b";
	must(define(*store, other));
	const auto all = must(definitions(*store));
	ASSERT_EQ(all.size(), 2U);
	EXPECT_EQ(all[1].name, "b");
}

TEST_F(Definitions, share_no_uuid)
{
	auto vm = must(parse("name = 'a'\nmemory = '16M'"));

	vm.uuid = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";
	must(define(*store, vm));
	vm.name = "b";
	const auto refused = define(*store, vm);
	EXPECT_EQ(error_of(refused), EEXIST);
	EXPECT_THAT(refused.error().sentence, HasSubstr("VM 'a'"));
	must(undefine(*store, "a"));
	EXPECT_EQ(error_of(undefine(*store, "a")), ENOENT);
	EXPECT_EQ(error_of(definition(*store, "a")), ENOENT);
	must(define(*store, vm));
	vm.uuid = "6ba7b810-9dad-41d1-80b4-00c04fd430c9";
	must(define(*store, vm));
	vm.name = "c";
	vm.uuid = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";
	EXPECT_EQ(error_of(define(*store, vm)), 0) << "b has given it up";
}

TEST_F(Definitions, by_several_at_once_get_one_uuid)
{
	const auto vm = must(parse("name = 'a'\nmemory = '16M'"));
	std::vector<std::string> uuids(4);
	std::vector<std::thread> threads;

	for (auto &uuid : uuids)
		threads.emplace_back([&] { uuid = must(define(*store, vm)).description.uuid; });
	for (auto &thread : threads)
		thread.join();
	EXPECT_THAT(uuids, testing::Each(must(definition(*store, "a")).uuid));
}

} /* namespace */

} /* namespace corbel::test */
