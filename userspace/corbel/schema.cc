// SPDX-License-Identifier: GPL-2.0-or-later
#include "schema.hh"

#include <corbel/corbel.h>
#include <corbel/irq.h>

#include <nlohmann/json.hpp>

namespace corbel::cli::schema {

namespace {

Json of_type(const char *type, std::string_view meaning)
{
	Json json{{"type", type}};

	if (!meaning.empty())
		json["description"] = meaning;
	return json;
}

/* Of an interval also by the second. */
std::vector<Key> flow()
{
	return {{"accepted", object({{"device", count("by irqfd, MSI, or a distributor")},
				     {"ipi", count("from a vCPU")},
				     {"local", count("from the vCPU's own local APIC")}},
				    "deliveries to the local APIC")},
		{"injected", count("taken by the guest")},
		{"coalesced", count("met their vector pending")},
		{"dropped", count("refused by the local APIC, or taken away from it")},
		{"accepted_per_s", real(), true},
		{"injected_per_s", real(), true},
		{"coalesced_per_s", real(), true},
		{"dropped_per_s", real(), true},
		{"latency", nullable(object({{"samples", count()},
					     {"mean_ns", real()},
					     {"p50_ns", real()},
					     {"p99_ns", real()},
					     {"max_ns", real()}},
					    "from acceptance to injection"))}};
}

Json with_flow(std::vector<Key> keys)
{
	for (auto &key : flow())
		keys.push_back(std::move(key));
	return object(keys);
}

} /* namespace */

Json boolean(std::string_view meaning)
{
	return of_type("boolean", meaning);
}

Json string(std::string_view meaning)
{
	return of_type("string", meaning);
}

Json integer(std::string_view meaning)
{
	return of_type("integer", meaning);
}

Json count(std::string_view meaning)
{
	auto json = integer(meaning);

	json["minimum"] = 0;
	return json;
}

Json real(std::string_view meaning)
{
	auto json = of_type("number", meaning);

	json["minimum"] = 0;
	return json;
}

Json one_of_words(const std::vector<std::string_view> &words, std::string_view meaning)
{
	auto json = string(meaning);

	json["enum"] = words;
	return json;
}

Json constant(std::string_view word)
{
	return one_of_words({word});
}

Json array(Json items, std::string_view meaning)
{
	auto json = of_type("array", meaning);

	json["items"] = std::move(items);
	return json;
}

Json nullable(Json schema)
{
	return any_of({std::move(schema), {{"type", "null"}}});
}

Json any_of(const std::vector<Json> &schemas)
{
	return {{"anyOf", schemas}};
}

Json object(const std::vector<Key> &keys, std::string_view meaning)
{
	auto json = of_type("object", meaning);

	json["properties"] = Json::object();
	json["required"] = Json::array();
	for (const auto &[name, value, optional] : keys) {
		json["properties"][std::string(name)] = value;
		if (!optional)
			json["required"].push_back(name);
	}
	json["additionalProperties"] = false;
	return json;
}

Json dictionary(Json values, std::string_view meaning)
{
	auto json = of_type("object", meaning);

	json["additionalProperties"] = std::move(values);
	return json;
}

Json joined(Json one, const Json &other)
{
	one["properties"].update(other.at("properties"));
	for (const auto &name : other.at("required"))
		one["required"].push_back(name);
	return one;
}

Json vm()
{
	return object({{"vm_id", count("number of the attachment")},
		       {"pid", nullable(count("of its process"))},
		       {"state", one_of_words({"live", "ended"})},
		       {"nr_vcpus", count()},
		       {"pinned", boolean("stays attached without a descriptor")},
		       {"nr_fds", count("descriptors of the attachment")},
		       {"lapic", boolean("has its local APICs in the kernel")},
		       {"features", array(one_of_words({"irq"}))}},
		      "an attachment");
}

Json activity()
{
	return object(
		{{"interval_ns", nullable(count("since the sample before; totals have none"))},
		 {"vm_ended", boolean()},
		 {"nr_vcpus", count()},
		 {"resyncs", count("records that were taken anew from the IRR")},
		 {"total", object(flow())},
		 {"vcpus", array(with_flow({{"vcpu", count("index")},
					    {"vcpu_id", count("APIC id")},
					    {"exactness", one_of_words({"none", "exact", "sampled",
									"settling"})},
					    {"residency", string()},
					    {"pending", boolean("of the status page")},
					    {"quiet", boolean("record and IRR were taken at rest")},
					    {"record_vectors", array(count())},
					    {"irr_vectors", array(count())},
					    {"reinjected_total", count()},
					    {"extint_total", count("of the PIC")},
					    {"nmi_total", count()}}))},
		 {"vectors", array(with_flow({{"vcpu", count()}, {"vector", count()}}))}});
}

Json dist_counts()
{
	return object(
		{{"posted", count()},
		 {"restored", count()},
		 {"delivered", count("given to a local APIC")},
		 {"coalesced", count("raised while pending")},
		 {"dropped", object({{"refused", count("not mapped, or the APIC disabled")},
				     {"withdrawn", count("pending when unmapped or reset")}})},
		 {"pending", count()},
		 {"balance", integer("posted + restored less all else: 0")}});
}

Json distributor()
{
	return joined(object({{"slot", count()},
			      {"ids", count()},
			      {"vcpus", count()},
			      {"doorbells", count("how often one was rung")}}),
		      dist_counts());
}

Json self()
{
	return object({{"name", string()},
		       {"id", string("a UUID, which stays")},
		       {"address", string("at which others reach it")},
		       {"authority", string("SHA-256 of its certificate")},
		       {"serial", string("of this host's certificate")},
		       {"expires", string()}});
}

Json peer()
{
	return object({{"name", string()},
		       {"id", string("a UUID, which stays")},
		       {"address", string("host:port")},
		       {"version", string("of Corbel there, at the last contact")},
		       {"last_contact", nullable(string("since the daemon was started"))},
		       {"error", string("why there was none since")}});
}

Json warning()
{
	return object({{"severity", one_of_words({"info", "warning", "error"})},
		       {"text", string()},
		       {"count", count("how often")},
		       {"first", string("when, as ISO 8601 has it")},
		       {"last", string()}});
}

std::vector<Key> change()
{
	return {{"dry_run", boolean("nothing was changed: this is what would be")},
		{"changed", boolean("it was not so before")}};
}

} /* namespace corbel::cli::schema */
