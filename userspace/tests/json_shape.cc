// SPDX-License-Identifier: GPL-2.0-or-later
/* What scripts rely on: the keys, their order and their types. */
#include "../corbel/inventory.hh"
#include "../corbel/irq_json.hh"

#include "observation.hh"

#include <gtest/gtest.h>

namespace {

using namespace corbel::cli;
using corbel::test::Observation;
using namespace std::chrono_literals;

std::vector<std::string> keys_of(const Json &json)
{
	std::vector<std::string> keys;

	for (const auto &item : json.items())
		keys.push_back(item.key());
	return keys;
}

using Keys = std::vector<std::string>;

TEST(json_shape, totals)
{
	Observation vm(1);

	vm.deliver(0, 0x31, CORBEL_IRQ_PATH_IPI, 5, 400);
	vm.set_pending(0, 0x31);
	auto json = json_of(totals_of(vm.sample));

	EXPECT_EQ(keys_of(json), (Keys{"interval_ns", "vm_ended", "nr_vcpus", "resyncs", "total",
				       "vcpus", "vectors"}));
	EXPECT_TRUE(json["interval_ns"].is_null());
	EXPECT_EQ(keys_of(json["total"]),
		  (Keys{"accepted", "injected", "coalesced", "dropped", "latency"}));
	EXPECT_EQ(keys_of(json["total"]["accepted"]), (Keys{"device", "ipi", "local"}));
	EXPECT_EQ(json["total"]["accepted"]["ipi"], 5);
	EXPECT_EQ(keys_of(json["total"]["latency"]),
		  (Keys{"samples", "mean_ns", "p50_ns", "p99_ns", "max_ns"}));

	const auto &vcpu = json["vcpus"][0];
	EXPECT_EQ(keys_of(vcpu),
		  (Keys{"vcpu", "vcpu_id", "exactness", "residency", "pending", "quiet",
			"record_vectors", "irr_vectors", "accepted", "injected", "coalesced",
			"dropped", "latency", "reinjected_total", "extint_total", "nmi_total"}));
	EXPECT_EQ(vcpu["exactness"], "exact");
	EXPECT_EQ(vcpu["residency"], "halted");
	EXPECT_EQ(vcpu["pending"], true);
	EXPECT_EQ(vcpu["record_vectors"], Json::array({0x31}));

	EXPECT_EQ(keys_of(json["vectors"][0]), (Keys{"vcpu", "vector", "accepted", "injected",
						     "coalesced", "dropped", "latency"}));
	EXPECT_EQ(json["vectors"][0]["vector"], 0x31);
}

TEST(json_shape, an_interval_has_rates)
{
	Observation vm(1);
	auto before = vm.sample;

	vm.deliver(0, 0x31, CORBEL_IRQ_PATH_DEVICE, 50, 400);
	vm.pass(500ms);
	auto json = json_of(between(before, vm.sample));

	EXPECT_EQ(json["interval_ns"], 500'000'000);
	EXPECT_EQ(keys_of(json["total"]),
		  (Keys{"accepted", "injected", "coalesced", "dropped", "accepted_per_s",
			"injected_per_s", "coalesced_per_s", "dropped_per_s", "latency"}));
	EXPECT_EQ(json["total"]["accepted_per_s"], 100.0);
}

TEST(json_shape, no_latencies_are_null)
{
	Observation vm(1);

	EXPECT_TRUE(json_of(totals_of(vm.sample))["total"]["latency"].is_null());
}

TEST(json_shape, inventory)
{
	Inventory inventory;

	inventory.guests.push_back({{.pid = 412,
				     .process = "qemu",
				     .name = "web\xff", /* not UTF-8 */
				     .vcpus = 2,
				     .vm_fds = {11}},
				    {{11, 3}}});
	inventory.attachments.push_back({.size = 0,
					 .flags = 0,
					 .vm_id = 3,
					 .pid = 412,
					 .state = CORBEL_VM_LIVE,
					 .nr_vcpus = 2,
					 .pinned = 1,
					 .nr_fds = 0,
					 .lapic = 1,
					 .features = CORBEL_FEATURE_IRQ});
	auto json = json_of(inventory);

	EXPECT_EQ(keys_of(json), (Keys{"guests", "attachments", "unreadable_processes"}));
	EXPECT_EQ(keys_of(json["guests"][0]), (Keys{"pid", "name", "process", "vcpus", "vms"}));
	EXPECT_EQ(json["guests"][0]["vms"][0],
		  (Json{{"fd", 11}, {"attached", true}, {"vm_id", 3}}));
	EXPECT_EQ(keys_of(json["attachments"][0]), (Keys{"vm_id", "pid", "state", "nr_vcpus",
							 "pinned", "nr_fds", "lapic", "features"}));
	EXPECT_EQ(json["attachments"][0]["features"], Json::array({"irq"}));
	EXPECT_TRUE(Json::accept(dump(json))) << "whatever a guest is called";

	inventory.no_module = corbel::Error{ENOENT, "there is none"};
	json = json_of(inventory);
	EXPECT_TRUE(json["attachments"].is_null()) << "not known is not none";
	EXPECT_EQ(json["error"], "there is none");
}

} /* namespace */
