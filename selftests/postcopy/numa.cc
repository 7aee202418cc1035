// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory objects are placed by the NUMA policy of whoever makes them. For a kernel with more
 * nodes than one: numa=fake=2 makes some.
 */
#include "memory_object.hh"
#include "module.hh"

#include <linux/mempolicy.h>
#include <map>
#include <sys/syscall.h>

using namespace corbel::selftest;

namespace {

/* This thread's policy for what it allocates. */
class policy {
public:
	policy(int mode, unsigned long nodes)
	{
		CHECK(syscall(SYS_set_mempolicy, mode, &nodes, 64) == 0, "set_mempolicy: {}",
		      error_name(errno));
	}
	~policy() { syscall(SYS_set_mempolicy, MPOL_DEFAULT, nullptr, 0); }
	policy(const policy &) = delete;
};

/* How many pages of an object are on which node. */
std::map<int, uint64_t> nodes_of(const memory_object &memory)
{
	mapped map(memory.fd(), memory.pages() * page_bytes);
	std::map<int, uint64_t> sum;

	for (uint64_t page = 0; page < memory.pages(); page++) {
		void *at = map.bytes(page);
		int node = -1;

		map.read(page);
		CHECK(syscall(SYS_move_pages, 0, 1, &at, nullptr, &node, 0) == 0, "move_pages: {}",
		      error_name(errno));
		CHECK(node >= 0, "page {}: {}", page, error_name(node));
		sum[node]++;
	}
	return sum;
}

void need_two_nodes()
{
	ensure_corbel();
	if (!file_exists("/sys/devices/system/node/node1"))
		skip("this host has one node");
}

void bind_to_a_node()
{
	need_two_nodes();
	for (unsigned flags : {0u, CORBEL_MEMORY_SMALL})
		for (int node : {0, 1}) {
			const policy bound(MPOL_BIND, 1ul << node);
			const memory_object memory(32 * piece_bytes, flags);
			const auto nodes = nodes_of(memory);

			CHECK(nodes.size() == 1 && nodes.begin()->first == node,
			      "bound to node {}, flags {:#x}: {} pages are on node {}", node, flags,
			      nodes.begin()->second, nodes.begin()->first);
		}
}

void interleave_nodes()
{
	need_two_nodes();
	const policy both(MPOL_INTERLEAVE, 3);

	for (unsigned flags : {0u, CORBEL_MEMORY_SMALL}) {
		const memory_object memory(32 * piece_bytes, flags);
		auto nodes = nodes_of(memory);

		CHECK(nodes[0] >= memory.pages() * 3 / 8 && nodes[1] >= memory.pages() * 3 / 8,
		      "interleaved, flags {:#x}: {} pages on node 0, {} on node 1", flags, nodes[0],
		      nodes[1]);
		comment("interleaved, flags {:#x}: {} pages on node 0, {} on node 1", flags,
			nodes[0], nodes[1]);
	}
}

constexpr test_case cases[] = {
	{"bound to a node", bind_to_a_node},
	{"interleaved", interleave_nodes},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
