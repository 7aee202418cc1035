// SPDX-License-Identifier: GPL-2.0-or-later
/* Policies as words, and lists of vectors on the command line. */
#include "../corbel/policy_text.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace corbel;
using namespace corbel::cli;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

TEST(policy_text, every_policy_has_a_word_that_leads_back)
{
	for (std::uint32_t policy = 0; policy <= CORBEL_IRQ_POLICY_MAX; policy++)
		EXPECT_EQ(policy_of(name_of_policy(policy)).value(), policy);
	EXPECT_STREQ(name_of_policy(CORBEL_IRQ_POLICY_MAX + 1), "unknown");
	EXPECT_THAT(policy_of("fastest").error().sentence, HasSubstr("resident-first"));
}

TEST(policy_text, vectors_in_either_base)
{
	EXPECT_THAT(vector_policies_of("0x50=off,81=least-pending").value(),
		    ElementsAre(Pair(0x50, CORBEL_IRQ_POLICY_OFF),
				Pair(81, CORBEL_IRQ_POLICY_LEAST_PENDING)));
	EXPECT_TRUE(vector_policies_of("").value().empty());
}

TEST(policy_text, what_is_wrong_is_named)
{
	EXPECT_THAT(vector_policies_of("0x50").error().sentence, HasSubstr("'0x50'"));
	EXPECT_THAT(vector_policies_of("256=off").error().sentence, HasSubstr("'256'"));
	EXPECT_THAT(vector_policies_of("-1=off").error().sentence, HasSubstr("'-1'"));
	EXPECT_THAT(vector_policies_of("=off").error().sentence, HasSubstr("''"));
	EXPECT_THAT(vector_policies_of("0x50=on").error().sentence, HasSubstr("'on'"));
}

TEST(policy_text, a_vector_alone)
{
	EXPECT_EQ(vector_of("0xff").value(), 255);
	EXPECT_EQ(vector_of("49").value(), 49);
	EXPECT_FALSE(vector_of("all"));
	EXPECT_FALSE(vector_of(""));
}

} /* namespace */
