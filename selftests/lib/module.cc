// SPDX-License-Identifier: GPL-2.0-or-later
#include "module.hh"
#include "file.hh"
#include "tap.hh"
#include "wait.hh"

#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <ranges>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;

namespace corbel::selftest {

namespace {

int run(const char *program, const char *argument)
{
	const char *arguments[] = {program, "-q", argument, nullptr};
	pid_t child;
	int status;

	if (posix_spawnp(&child, program, nullptr, nullptr, const_cast<char **>(arguments),
			 environ))
		return -1;
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* In the order in which they are loaded. */
constexpr std::array ours{"corbel", "corbel_irq", "corbel_postcopy", "corbel_replay"};

std::string module_path(const std::string &name)
{
	return environment("CORBEL_MODULES") + "/" + name + ".ko";
}

} // namespace

std::string kvm_vendor_module()
{
	return read_file("/proc/cpuinfo").find(" svm") != std::string::npos ? "kvm_amd"
									    : "kvm_intel";
}

void ensure_kvm()
{
	std::string vendor = kvm_vendor_module();

	if (file_exists("/dev/kvm") && module_loaded(vendor))
		return;
	if (geteuid() != 0)
		skip("loading {} takes root", vendor);
	if (run("modprobe", vendor.c_str()) != 0 || !module_loaded(vendor))
		skip("modprobe {} did not work: this CPU may have no virtualization", vendor);
	wait_until("/dev/kvm appears", [] { return file_exists("/dev/kvm"); });
}

bool module_loaded(const std::string &name)
{
	return read_file("/sys/module/" + name + "/initstate") == "live\n";
}

int module_references(const std::string &name)
{
	std::string count = read_file("/sys/module/" + name + "/refcnt");

	return count.empty() ? -1 : std::atoi(count.c_str());
}

int load_module(const std::string &name, const std::string &parameters)
{
	std::string path = module_path(name);
	unique_fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));

	if (!file)
		return -errno;
	return syscall(SYS_finit_module, file.get(), parameters.c_str(), 0) < 0 ? -errno : 0;
}

int unload_module(const std::string &name)
{
	return syscall(SYS_delete_module, name.c_str(), O_NONBLOCK) < 0 ? -errno : 0;
}

void ensure_corbel()
{
	ensure_kvm();
	for (const char *name : ours) {
		if (module_loaded(name))
			continue;
		if (environment("CORBEL_MODULES").empty())
			skip("{} is not loaded and CORBEL_MODULES does not say where {}.ko is",
			     name, name);
		int result = load_module(name);
		CHECK_EQ(result, 0, "loading {}: {}", module_path(name), error_name(result));
	}
	wait_until("/dev/corbel appears", [] { return file_exists("/dev/corbel"); });
}

void unload_corbel()
{
	for (const char *name : ours | std::views::reverse) {
		if (!module_loaded(name))
			continue;
		int result = unload_module(name);
		CHECK_EQ(result, 0, "unloading {}: {}, references {}", name, error_name(result),
			 module_references(name));
	}
}

void need_own_modules()
{
	if (environment("CORBEL_MODULES").empty())
		skip("CORBEL_MODULES is not set, so the modules here are not ours to unload");
}

} // namespace corbel::selftest
