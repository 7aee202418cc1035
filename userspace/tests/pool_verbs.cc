// SPDX-License-Identifier: GPL-2.0-or-later
/* `corbel pool check`, dump and repair on files, as they are called. */
#include "pool_image.hh"

#include "schema_check.hh"
#include "temporary_folder.hh"

#include "../corbel/command_line.hh"
#include "../pool/meta_device.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include <nlohmann/json.hpp>

namespace {

using namespace corbel;
using cli::ExitCode;
using corbel::test::find_fault;
using corbel::test::find_fault_in_lines;
using corbel::test::Image;
using testing::HasSubstr;

class PoolVerbs : public testing::Test {
protected:
	PoolVerbs() : image(test::make_image()), file(folder.path() / "meta") { save(); }

	void save() const
	{
		folder.write("meta", {reinterpret_cast<const char *>(image->blocks.data()),
				      image->blocks.size() * block::meta_bytes});
	}
	void damage()
	{
		image->blocks[image->leaf(block::Kind::reverse)][60] ^= 1;
		save();
	}
	[[nodiscard]] std::string bytes() const
	{
		std::ifstream in(file, std::ios::binary);

		return {std::istreambuf_iterator<char>(in), {}};
	}
	ExitCode call(const std::vector<std::string> &words)
	{
		std::vector<const char *> argv{"corbel", "pool"};

		for (const auto &word : words)
			argv.push_back(word.c_str());
		testing::internal::CaptureStdout();
		testing::internal::CaptureStderr();
		const auto code = cli::run(static_cast<int>(argv.size()), argv.data());
		(void)std::fflush(stdout);
		out = testing::internal::GetCapturedStdout();
		err = testing::internal::GetCapturedStderr();
		return code;
	}

	test::TemporaryFolder folder;
	std::unique_ptr<Image> image;
	std::string file, out, err;
};

std::string schema_of(const cli::Verb &verb)
{
	return cli::dump(verb.schema());
}

TEST_F(PoolVerbs, check_says_whether_it_fits_together)
{
	EXPECT_EQ(call({"check", file}), ExitCode::ok);
	EXPECT_THAT(out, HasSubstr("All of it fits together."));
	EXPECT_EQ(call({"check", file, "--json"}), ExitCode::ok);
	EXPECT_EQ(find_fault(schema_of(cli::pool_check_verb), out), "");
	EXPECT_EQ(nlohmann::json::parse(out)["total"], 0);

	damage();
	EXPECT_EQ(call({"check", file}), ExitCode::partial);
	EXPECT_THAT(out, HasSubstr("unreadable node"));
	EXPECT_THAT(out, HasSubstr("pool repair " + file + " --dry-run"));
	EXPECT_EQ(call({"check", file, "--json"}), ExitCode::partial);
	EXPECT_EQ(find_fault(schema_of(cli::pool_check_verb), out), "");
	EXPECT_GT(nlohmann::json::parse(out)["total"], 0);
}

TEST_F(PoolVerbs, check_says_why_it_cannot)
{
	EXPECT_EQ(call({"check", file + "x"}), ExitCode::failure);
	EXPECT_THAT(err, HasSubstr("No such file"));
	EXPECT_EQ(call({"check", folder.path()}), ExitCode::failure);
	EXPECT_THAT(err, HasSubstr("neither a block device nor a file"));
	folder.write("meta", "short");
	EXPECT_EQ(call({"check", file}), ExitCode::failure);
	EXPECT_THAT(err, HasSubstr("holds no pool's metadata"));
	EXPECT_EQ(call({"check"}), ExitCode::usage);
}

TEST_F(PoolVerbs, one_at_a_time)
{
	const auto held = pool::MetaDevice::open(file, pool::MetaDevice::Use::read);

	ASSERT_TRUE(held);
	for (const char *verb : {"check", "dump", "repair"}) {
		EXPECT_EQ(call({verb, file}), ExitCode::failure);
		EXPECT_THAT(err, HasSubstr("in use"));
	}
}

TEST_F(PoolVerbs, dump_tells_all_of_it)
{
	EXPECT_EQ(call({"dump", file, "--json"}), ExitCode::ok);
	EXPECT_EQ(find_fault_in_lines(schema_of(cli::pool_dump_verb), out), "");
	EXPECT_EQ(call({"dump", file}), ExitCode::ok);
	EXPECT_THAT(out, HasSubstr("device device=1 uuid=2b000000-0000-0000-0000-000000000000 "
				   "tier=slow blocks=500 limit=500 used=2\n"));
	EXPECT_EQ(call({"dump", file, "--volume", "3"}), ExitCode::ok);
	EXPECT_THAT(out, HasSubstr("mapping volume=3 first=400 count=1 mba=601 device=1"));
	EXPECT_THAT(out, Not(HasSubstr("reverse")));
	EXPECT_EQ(call({"dump", file, "--volume", "4"}), ExitCode::failure);
	EXPECT_THAT(err, HasSubstr("no volume 4"));

	damage();
	EXPECT_EQ(call({"dump", file, "--json"}), ExitCode::partial);
	EXPECT_EQ(find_fault_in_lines(schema_of(cli::pool_dump_verb), out), "");
	EXPECT_THAT(out, HasSubstr(R"("type":"damage","where":"reverse map")"));
}

TEST_F(PoolVerbs, repair_mends_what_a_dry_run_says)
{
	damage();
	const auto before = bytes();
	EXPECT_EQ(call({"repair", file, "--dry-run", "--json"}), ExitCode::ok);
	EXPECT_EQ(find_fault(schema_of(cli::pool_repair_verb), out), "");
	EXPECT_EQ(nlohmann::json::parse(out)["changed"], true);
	EXPECT_TRUE(bytes() == before);
	EXPECT_EQ(call({"repair", file}), ExitCode::ok);
	EXPECT_THAT(out, HasSubstr("The reverse map is made anew, with 602 entries."));
	EXPECT_EQ(call({"check", file}), ExitCode::ok);
	/* And once more changes nothing. */
	const auto mended = bytes();
	EXPECT_EQ(call({"repair", file}), ExitCode::ok);
	EXPECT_THAT(out, HasSubstr("nothing was changed"));
	EXPECT_TRUE(bytes() == mended);
}

TEST_F(PoolVerbs, repair_changes_nothing_that_it_cannot_mend)
{
	image->blocks[image->leaf(block::Kind::middle)][60] ^= 1;
	save();
	const auto before = bytes();
	EXPECT_EQ(call({"repair", file}), ExitCode::failure);
	EXPECT_THAT(err, HasSubstr("was not changed, as it cannot be repaired safely"));
	EXPECT_TRUE(bytes() == before);
}

} /* namespace */
