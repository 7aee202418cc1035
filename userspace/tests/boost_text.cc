// SPDX-License-Identifier: GPL-2.0-or-later
/* Sources of boosts and lists of vectors, as words and back. */
#include "../corbel/boost_text.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace corbel::cli;
using testing::HasSubstr;

TEST(boost_text, every_set_of_sources_leads_back)
{
	for (std::uint32_t sources = 0; sources <= CORBEL_IRQ_BOOST_SOURCES; sources++) {
		if (sources & ~CORBEL_IRQ_BOOST_SOURCES)
			continue;
		EXPECT_EQ(sources_of(show_sources(sources)).value(), sources);
	}
	EXPECT_EQ(show_sources(0), "off");
	EXPECT_EQ(show_sources(1U << CORBEL_IRQ_PATH_DEVICE | CORBEL_IRQ_BOOST_DIST),
		  "device,dist");
}

TEST(boost_text, wrong_sources_are_named)
{
	EXPECT_THAT(sources_of("device,timer").error().sentence, HasSubstr("'timer'"));
	EXPECT_THAT(sources_of("device,off").error().sentence, HasSubstr("'off'"));
	EXPECT_THAT(sources_of("").error().sentence, HasSubstr("''"));
	EXPECT_THAT(sources_of("ipi,").error().sentence, HasSubstr("''"));
}

TEST(boost_text, vectors_as_ranges)
{
	EXPECT_EQ(show_vectors(vectors_of("all").value()), "all");
	EXPECT_EQ(show_vectors(vectors_of("0-255").value()), "all");
	EXPECT_EQ(show_vectors(vectors_of("0x50,0x60-0x7f,81").value()), "0x50-0x51,0x60-0x7f");
	EXPECT_EQ(show_vectors(vectors_of("0xff").value()), "0xff");
	EXPECT_EQ(show_vectors(VectorSet{}), "none");
}

TEST(boost_text, wrong_vectors_are_named)
{
	EXPECT_THAT(vectors_of("256").error().sentence, HasSubstr("'256'"));
	EXPECT_THAT(vectors_of("0x50-").error().sentence, HasSubstr("''"));
	EXPECT_THAT(vectors_of("0x60-0x50").error().sentence, HasSubstr("'0x60-0x50'"));
	EXPECT_FALSE(vectors_of(""));
}

} /* namespace */
