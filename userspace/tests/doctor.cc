// SPDX-License-Identifier: GPL-2.0-or-later
/* Hosts of the test's own making, as folders with the files of /sys and /proc. */
#include "../corbel/doctor/checks.hh"

#include "temporary_folder.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace {

using namespace corbel;
using namespace corbel::cli;
using testing::HasSubstr;

class DoctorTest : public testing::Test {
protected:
	DoctorTest() : host{root.path(), "6.1.0-42-amd64"}
	{
		root.write("sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
		root.write("sys/module/module/parameters/sig_enforce", "N\n");
		root.write("proc/sys/kernel/ftrace_enabled", "1\n");
		root.write("sys/class/misc/device-mapper/dev", "10:236\n");
		root.write("sys/module/kvm/refcnt", "1\n");
		root.write("sys/module/kvm_amd/parameters/avic", "N\n");
		root.write("sys/kernel/btf/vmlinux", "\x9f\xeb\x01");
		root.write("sys/kernel/btf/kvm", "\x9f\xeb\x01");
	}

	Finding found(std::string_view check) const
	{
		Findings findings;

		check_kernel(host, findings);
		check_kvm(host, findings);
		for (const auto &finding : findings)
			EXPECT_EQ(finding.remedy.empty(), finding.severity == Severity::ok)
				<< finding.check << ": a remedy exactly if something is wrong";
		auto at = std::ranges::find(findings, check, &Finding::check);
		EXPECT_NE(at, findings.end()) << check;
		return at == findings.end() ? Finding{} : *at;
	}

	test::TemporaryFolder root;
	Host host;
};

TEST_F(DoctorTest, a_good_host_is_all_ok)
{
	Findings findings;

	check_kernel(host, findings);
	check_kvm(host, findings);
	EXPECT_EQ(count_of(findings, Severity::ok), findings.size()) << show_findings(findings);
}

TEST_F(DoctorTest, kernel)
{
	host.release = "6.1.0-42-cloud-amd64";
	EXPECT_EQ(found("kernel_release").severity, Severity::warning);
	host.release = "6.12.1-amd64";
	EXPECT_EQ(found("kernel_release").severity, Severity::problem);
}

TEST_F(DoctorTest, lockdown_matters_until_the_modules_are_in)
{
	root.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	EXPECT_EQ(found("lockdown").severity, Severity::warning);
	root.write("sys/module/corbel/srcversion", "A\n");
	EXPECT_EQ(found("lockdown").severity, Severity::ok);
}

TEST_F(DoctorTest, signatures)
{
	root.write("sys/module/module/parameters/sig_enforce", "Y\n");
	EXPECT_EQ(found("module_signing").severity, Severity::warning);
	root.write("sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
		   std::string_view("\x06\0\0\0\x01", 5));
	EXPECT_THAT(found("module_signing").summary, HasSubstr("Secure Boot is on"));
}

TEST_F(DoctorTest, configuration)
{
	root.write("boot/config-6.1.0-42-amd64", "# x\nCONFIG_KVM=m\nCONFIG_TRACEPOINTS=y\n");
	auto finding = found("kernel_config");
	EXPECT_EQ(finding.severity, Severity::problem);
	EXPECT_THAT(finding.summary, HasSubstr("CONFIG_MMU_NOTIFIER"));
	EXPECT_THAT(finding.summary, testing::Not(HasSubstr("CONFIG_KVM (")));
}

TEST_F(DoctorTest, ftrace)
{
	root.write("proc/sys/kernel/ftrace_enabled", "0\n");
	EXPECT_EQ(found("ftrace").severity, Severity::problem);
	EXPECT_THAT(found("ftrace").remedy, HasSubstr("kernel.ftrace_enabled=1"));
}

TEST_F(DoctorTest, device_mapper)
{
	std::filesystem::remove_all(root.path() / "sys/class/misc/device-mapper");
	EXPECT_EQ(found("device_mapper").severity, Severity::warning);
	EXPECT_THAT(found("device_mapper").summary, HasSubstr("no pools"));
	root.write("lib/modules/6.1.0-42-amd64/kernel/drivers/md/dm-mod.ko.xz", "");
	EXPECT_EQ(found("device_mapper").severity, Severity::ok);
	EXPECT_THAT(found("device_mapper").summary, HasSubstr("dm-mod.ko.xz can be loaded"));
}

TEST_F(DoctorTest, hardware_that_posts)
{
	root.write("sys/module/kvm_amd/parameters/avic", "Y\n");
	EXPECT_EQ(found("interrupt_posting").severity, Severity::warning);
	EXPECT_THAT(found("interrupt_posting").summary, HasSubstr("sampled"));
}

TEST_F(DoctorTest, no_vendor_module)
{
	std::filesystem::remove_all(root.path() / "sys/module/kvm_amd");
	EXPECT_EQ(found("kvm_vendor").severity, Severity::problem);
}

TEST_F(DoctorTest, type_information)
{
	root.write("sys/kernel/btf/vmlinux", "");
	EXPECT_EQ(found("btf_kernel").severity, Severity::problem);
	std::filesystem::remove(root.path() / "sys/kernel/btf/kvm");
	EXPECT_EQ(found("btf_kvm").severity, Severity::problem);
}

TEST_F(DoctorTest, modules_that_are_not_there)
{
	Findings findings;

	check_modules(host, root.path() / "nowhere", findings);
	EXPECT_EQ(count_of(findings, Severity::problem), 2U) << "none that is needed is loaded";
	EXPECT_EQ(count_of(findings, Severity::warning), 8U)
		<< "three that may be needed are not, and no file was found";
	EXPECT_THAT(show_findings(findings),
		    HasSubstr("dm_corbel is not loaded: there are no pools"));
	EXPECT_THAT(show_findings(findings), HasSubstr("dm-corbel.ko was not found"));
}

TEST_F(DoctorTest, a_file_that_is_no_module)
{
	Findings findings;

	root.write("built/corbel.ko", "nothing of the kind");
	root.write("built/corbel_irq.ko", "");
	root.write("built/corbel_postcopy.ko", "");
	root.write("built/corbel_replay.ko", "");
	root.write("built/dm-corbel.ko", "");
	check_modules(host, root.path() / "built", findings);
	EXPECT_EQ(count_of(findings, Severity::problem), 7U) << show_findings(findings);
}

corbel_hook_info hook(unsigned state)
{
	corbel_hook_info made{};

	made.kind = CORBEL_HOOK_TRACEPOINT;
	made.state = state;
	std::ranges::copy(std::string_view("kvm_entry"), made.name);
	/* As long as it can be: then there is no NUL at its end. */
	std::ranges::fill(made.detail, 'd');
	return made;
}

TEST(doctor_hooks, each_state_has_its_severity)
{
	EXPECT_EQ(judge_hook(hook(CORBEL_HOOK_READY)).severity, Severity::ok);
	EXPECT_EQ(judge_hook(hook(CORBEL_HOOK_ACTIVE)).severity, Severity::ok);
	EXPECT_EQ(judge_hook(hook(CORBEL_HOOK_MISSING)).severity, Severity::warning);
	EXPECT_EQ(judge_hook(hook(CORBEL_HOOK_FAILED)).severity, Severity::problem);
	EXPECT_EQ(judge_hook(hook(99)).severity, Severity::warning);
	EXPECT_EQ(judge_hook(hook(CORBEL_HOOK_READY)).check, "hook.kvm_entry");
	EXPECT_THAT(judge_hook(hook(CORBEL_HOOK_MISSING)).summary,
		    HasSubstr(std::string(CORBEL_DETAIL_LEN, 'd')));
}

TEST(doctor_findings, json)
{
	Findings findings{ok("a", "good"), problem("b", "bad", "Mend it.")};
	auto json = json_of(findings);

	EXPECT_EQ(json["problems"], 1);
	EXPECT_EQ(json["warnings"], 0);
	EXPECT_EQ(
		json["findings"][0],
		(Json{{"check", "a"}, {"state", "ok"}, {"summary", "good"}, {"remedy", nullptr}}));
	EXPECT_EQ(json["findings"][1]["remedy"], "Mend it.");
}

} /* namespace */
