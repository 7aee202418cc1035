/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The BTF reader on the blobs of the kernel that the bench boots, against what
 * pahole finds in them. CORBEL_KERNEL_BTF names the directory that ./kernel_btf
 * made; ./run makes it.
 */
#include "btf_blob.hh"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>

namespace {

using namespace corbel::compat;
using namespace corbel::unit;

class BtfKernel : public testing::Test {
protected:
	void SetUp() override
	{
		const char *directory = std::getenv("CORBEL_KERNEL_BTF");

		if (directory == nullptr)
			GTEST_SKIP()
				<< "no kernel is unpacked: make kernel, and selftests/unit/run";
		directory_ = directory;
		open_.emplace(read_blob(directory_ / "vmlinux.btf"),
			      read_blob(directory_ / "kvm.btf"));
		auto opened = open_->open();
		ASSERT_TRUE(opened.ok()) << opened.to_errno();
		btf_.emplace(opened.value());
	}

	std::filesystem::path directory_;
	std::optional<OpenBtf> open_;
	std::optional<Btf> btf_;
};

TEST_F(BtfKernel, offsets_are_those_that_pahole_finds)
{
	std::ifstream lines(directory_ / "kvm.offsets");
	std::string name, member;
	std::uint32_t offset;
	unsigned compared = 0;

	while (lines >> name >> member >> offset) {
		const auto found = btf_->member_offset(text(name), text(member));

		ASSERT_TRUE(found.ok()) << name << "." << member << ": " << found.to_errno();
		EXPECT_EQ(found.value(), offset) << name << "." << member;
		compared++;
	}
	RecordProperty("members compared", static_cast<int>(compared));
	EXPECT_GT(compared, 100U);
}

TEST_F(BtfKernel, nested_paths_add_up)
{
	const auto arch = btf_->member_offset("kvm_vcpu", "arch").value();
	const auto apic = btf_->member_offset("kvm_vcpu_arch", "apic").value();

	EXPECT_EQ(btf_->member_offset("kvm_vcpu", "arch.apic").value(), arch + apic);
}

TEST_F(BtfKernel, every_type_is_readable_and_every_prototype_prints)
{
	std::vector<char> out(4096);
	unsigned prototypes = 0;

	for (BtfTypeId id{0}; id.value < btf_->type_count(); id.value++) {
		const auto type = btf_->type(id);
		ASSERT_TRUE(type.ok());
		ASSERT_TRUE(btf_->name(type.value()).ok());
		if (type.value().kind != BtfKind::function_proto)
			continue;
		const auto printed = btf_->print(id, out);
		ASSERT_TRUE(printed.ok()) << id.value << ": " << printed.to_errno();
		prototypes++;
	}
	RecordProperty("types", static_cast<int>(btf_->type_count()));
	RecordProperty("prototypes", static_cast<int>(prototypes));
	EXPECT_GT(prototypes, 10000U);
}

/* One of each half: functions and tracepoints that any kernel of 6.1 has. */
TEST_F(BtfKernel, functions_and_tracepoints_are_found)
{
	EXPECT_EQ(printed(*btf_, btf_->function_proto("schedule")), "void (void)");
	EXPECT_EQ(printed(*btf_, btf_->function_proto("kvm_vcpu_kick")),
		  "void (struct kvm_vcpu *)");
	EXPECT_EQ(printed(*btf_, btf_->tracepoint_proto("kvm_entry")).find("void (void *, "), 0U);
	EXPECT_EQ(printed(*btf_, btf_->tracepoint_proto("sched_switch")).find("void (void *, "),
		  0U);
}

} // namespace
