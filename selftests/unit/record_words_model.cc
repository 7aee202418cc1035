/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pending record with two words: what depends on all of them together is the
 * status bit.
 */
#define CORBEL_MODEL_WORDS 2
#include "exploration_test.hh"
#include "record_model.hh"

namespace {

TEST(RecordWords, status_follows_both_words_in_every_interleaving)
{
	RecordModel model;

	const auto found = model.deliver(1).deliver(65).run_vcpu(1).explore();
	expect_no_violation(found);
	EXPECT_TRUE(found.complete);
}

} // namespace
