// SPDX-License-Identifier: GPL-2.0-or-later
/* What somebody is told of a pool, and how often. */
#include "volumes_test.hh"

#include "../corbeld/pool_watch.hh"

namespace {

using namespace corbel;
using namespace corbel::test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class PoolAlarms : public VolumesTest {
protected:
	/* One device of 240 blocks. */
	PoolAlarms()
	{
		auto one = wish();
		one.data.pop_back();
		(void)must(pools->create(one, false));
		(void)must(volumes().create(name("vms/web"), 32 * MiB, false, false));
	}
	void fill(std::uint64_t first, std::uint64_t end)
	{
		mapper->write("vms", id_of("vms/web"), first, end - first);
	}
	/* Texts, and how often each was. */
	std::vector<std::string> look()
	{
		std::vector<std::string> all;

		watch.look();
		for (const auto &warning : must(warnings.list()))
			all.push_back(fmt::format("{} {} {}", warning.count,
						  name_of(warning.severity), warning.text));
		std::ranges::sort(all);
		return all;
	}
	Json alarms()
	{
		const auto shown = must(pools->show("vms"));

		EXPECT_EQ(fault_in(cli::pool_show_verb, shown), "");
		return shown["alarms"];
	}

	daemon::Warnings warnings{*store};
	daemon::PoolWatch watch{*pools, warnings};
};

TEST_F(PoolAlarms, each_state_is_told_once)
{
	EXPECT_EQ(mapper->table("corbel-vms")
			  .parameters.substr(mapper->table("corbel-vms").parameters.find(" 2 ")),
		  " 2 low_water 15");
	fill(0, 225);
	EXPECT_THAT(look(), IsEmpty());
	EXPECT_THAT(alarms(), IsEmpty());
	fill(225, 226);
	for (int i = 0; i < 3; i++)
		EXPECT_THAT(look(), ElementsAre(HasSubstr("1 warning Pool 'vms' is nearly full: "
							  "less than 1/16 of its 15M")));
	EXPECT_THAT(alarms(), ElementsAre("data_low"));
	fill(226, 240);
	EXPECT_THAT(look(), ElementsAre(HasSubstr("1 error Pool 'vms' is full: "),
					HasSubstr("1 warning Pool")));
	EXPECT_THAT(alarms(), ElementsAre("data_full"));
	/* Room, and then none again. */
	(void)must(pools->add_device("vms", {path("b"), "slow"}, false, false));
	EXPECT_THAT(look(), ElementsAre(HasSubstr("1 error"), HasSubstr("1 warning")));
	EXPECT_THAT(alarms(), IsEmpty());
	fill(240, 470);
	EXPECT_THAT(look(), ElementsAre(HasSubstr("1 error"), HasSubstr("1 warning"),
					HasSubstr("less than 1/16 of its 30M")));
}

TEST_F(PoolAlarms, one_that_has_failed)
{
	mapper->mode = "failed";
	for (int i = 0; i < 2; i++)
		EXPECT_THAT(look(), ElementsAre(HasSubstr("1 error Pool 'vms' has failed")));
	EXPECT_THAT(alarms(), ElementsAre("failed"));
	mapper->mode = "rw";
	(void)look();
	mapper->mode = "failed";
	EXPECT_THAT(look(), ElementsAre(HasSubstr("2 error Pool 'vms' has failed")));
	/* One that is stopped is nobody's concern. */
	(void)must(pools->stop("vms", false));
	EXPECT_THAT(look(), ElementsAre(HasSubstr("2 error")));
}

TEST(pool_alarms, are_of_metadata_too)
{
	PoolStatus status{};

	status.block_sectors = 128;
	status.total = 1000;
	status.devices = {{0, "8:0", "data", 10, 1000, 1000}};
	status.mode = "rw";
	status.meta_total = 1600;
	const auto with = [&](std::uint64_t used) {
		std::vector<std::string> names;

		status.meta_used = used;
		for (const auto alarm : alarms_of(status))
			names.emplace_back(name_of(alarm));
		return names;
	};

	/* 64 are reserved. */
	EXPECT_THAT(with(1436), IsEmpty());
	EXPECT_THAT(with(1437), ElementsAre("meta_low"));
	EXPECT_THAT(with(1536), ElementsAre("meta_full"));
	EXPECT_THAT(with(1600), ElementsAre("meta_full"));
	/* Where nothing may be placed there is no room. */
	status.devices[0].limit = 10;
	EXPECT_THAT(with(0), ElementsAre("data_full"));
	EXPECT_THAT(sentence_of(Alarm::meta_low, "vms", status), HasSubstr("1/16 of its 6400K"));
	status.policy = "error";
	EXPECT_THAT(sentence_of(Alarm::data_full, "vms", status), HasSubstr("places fails."));
}

} /* namespace */
