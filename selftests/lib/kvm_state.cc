// SPDX-License-Identifier: GPL-2.0-or-later
#include "kvm_state.hh"
#include "file.hh"
#include "module.hh"
#include "tap.hh"
#include "wait.hh"

#include <algorithm>
#include <cstdlib>
#include <dirent.h>
#include <fstream>
#include <sys/mount.h>
#include <utility>

namespace corbel::selftest {

namespace {

std::vector<std::string> list_directory(const std::string &path)
{
	std::vector<std::string> names;
	DIR *directory = opendir(path.c_str());

	if (!directory)
		return names;
	while (const dirent *entry = readdir(directory))
		if (entry->d_name[0] != '.')
			names.push_back(entry->d_name);
	closedir(directory);
	std::ranges::sort(names);
	return names;
}

const std::string &debugfs()
{
	static const std::string root = "/sys/kernel/debug";

	if (list_directory(root).empty())
		mount("debugfs", root.c_str(), "debugfs", 0, nullptr);
	if (list_directory(root).empty())
		skip("debugfs is not mounted on {}", root);
	return root;
}

/*
 * One file is a list of paragraphs: a line with count and allocating function,
 * then its call chain, each line indented more. Counts those in which any line
 * holds `word`.
 */
long count_allocations(const std::string &traces, std::string_view word)
{
	long sum = 0;
	long count = 0;
	bool counted = true, indexes = false;
	size_t start = 0;

	while (start < traces.size()) {
		size_t end = std::min(traces.find('\n', start), traces.size());
		std::string line = traces.substr(start, end - start);

		start = end + 1;
		if (char *rest; line.find(" age=") != line.npos) {
			count = std::strtol(line.c_str(), &rest, 10);
			/* The caller's own table of descriptors, grown by making one. */
			counted = line.find("alloc_fdtable") != line.npos;
			indexes = line.find("radix_tree_node_alloc") != line.npos;
		}
		/*
		 * The kernel's index of its kernfs nodes, by numbers that are given out in a
		 * cycle: how many it takes says nothing. The nodes themselves are counted.
		 */
		counted |= indexes && line.find("__kernfs_new_node") != line.npos;
		if (!counted && line.find(word) != line.npos) {
			sum += count;
			counted = true;
		}
	}
	return sum;
}

long count_lines(const std::string &text, std::string_view word)
{
	long count = 0;

	for (size_t at = text.find(word); at != text.npos;
	     at = text.find(word, text.find('\n', at)))
		count++;
	return count;
}

} // namespace

std::vector<std::string> list_debugfs_vms()
{
	std::vector<std::string> vms = list_directory(debugfs() + "/kvm");

	/* A VM's folder is "pid-fd"; all else there are counters. */
	std::erase_if(vms, [](const std::string &name) {
		return name.find('-') == name.npos || !std::isdigit(name.front());
	});
	return vms;
}

uint64_t read_kvm_stat(int vm, const char *name)
{
	return std::stoull(
		read_file(fmt::format("{}/kvm/{}-{}/{}", debugfs(), getpid(), vm, name)));
}

kvm_state read_kvm_state()
{
	return {module_references(kvm_vendor_module()), list_debugfs_vms()};
}

std::string print_state(const kvm_state &state)
{
	std::string text = fmt::format("{} references {}, VMs in debugfs:", kvm_vendor_module(),
				       state.references);

	for (const std::string &vm : state.vms)
		text += " " + vm;
	return state.vms.empty() ? text + " none" : text;
}

void wait_kvm_state(const kvm_state &before)
{
	if (!wait_for([&] { return read_kvm_state() == before; }))
		throw failure("a VM is leaked: before: " + print_state(before) +
			      "; now: " + print_state(read_kvm_state()));
}

slab_usage read_slab_usage(std::string_view word)
{
	std::string root = debugfs() + "/slab";
	slab_usage usage;

	for (const std::string &cache : list_directory(root)) {
		std::string path = root + "/" + cache + "/alloc_traces";

		if (!file_exists(path))
			continue;
		/* vmalloc's own notes are freed lazily; its areas are counted below. */
		if (cache == "vmap_area")
			continue;
		usage.known = true;
		if (long count = count_allocations(read_file(path), word))
			usage.objects[cache] = count;
	}
	if (long count = count_lines(read_file("/proc/vmallocinfo"), word))
		usage.objects["vmalloc"] = count;
	return usage;
}

slab_usage read_settled_slab_usage(std::string_view word)
{
	slab_usage now = read_slab_usage(word), before;

	for (unsigned i = 0; i < 10 && now != before; i++) {
		before = now;
		std::this_thread::sleep_for(std::chrono::seconds(1));
		now = read_slab_usage(word);
	}
	return now;
}

void keep_no_packets()
{
	std::ofstream("/proc/sys/net/core/skb_defer_max") << 0;
}

void wait_connections_closed()
{
	/* One whose packets were lost is closed when it has tried again a few times. */
	if (!wait_for(
		    [] {
			    return read_file("/proc/net/sockstat").find(" orphan 0 ") !=
				   std::string::npos;
		    },
		    std::chrono::seconds(300)))
		throw failure("connections are left: " + read_file("/proc/net/sockstat") +
			      read_file("/proc/net/tcp"));
}

namespace {

/* A cache's call chains that hold `word`, each with its head. */
std::string print_traces(const std::string &cache, std::string_view word)
{
	const std::string traces = read_file(debugfs() + "/slab/" + cache + "/alloc_traces");
	std::string text, chain;

	for (size_t start = 0; start < traces.size() && text.size() < 4000;) {
		const size_t end = std::min(traces.find('\n', start), traces.size());
		const std::string line = traces.substr(start, end - start);

		start = end + 1;
		if (line.find(" age=") != line.npos)
			chain.clear();
		chain += "\n" + line;
		/* They are parted by empty lines. */
		if (line.empty() && chain.find(word) != chain.npos)
			text += std::exchange(chain, {});
	}
	return text;
}

} // namespace

void wait_slab_usage(const slab_usage &before, std::string_view word)
{
	slab_usage now;
	auto grown = [&] {
		std::vector<std::string> caches;

		/* Less of something is what was still to be freed when `before` was taken. */
		for (const auto &[name, count] : now.objects) {
			auto found = before.objects.find(name);

			if (count > (found == before.objects.end() ? 0 : found->second))
				caches.push_back(name);
		}
		return caches;
	};

	if (wait_for(
		    [&] {
			    now = read_slab_usage(word);
			    return grown().empty();
		    },
		    std::chrono::seconds(60)))
		return;
	std::string text =
		"memory is leaked: before: " + print_usage(before) + "; now: " + print_usage(now);
	for (const std::string &cache : grown())
		text += "\n" + cache + ":" + print_traces(cache, word);
	throw failure(text);
}

std::string print_usage(const slab_usage &usage)
{
	std::string text;

	for (const auto &[cache, count] : usage.objects)
		text += fmt::format("{}{} {}", text.empty() ? "" : ", ", cache, count);
	return text.empty() ? "none" : text;
}

} // namespace corbel::selftest
