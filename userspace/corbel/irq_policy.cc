// SPDX-License-Identifier: GPL-2.0-or-later
#include "change.hh"
#include "irq_json.hh"
#include "policy_text.hh"
#include "quantity.hh"
#include "schema.hh"
#include "session.hh"
#include "table.hh"
#include "verb.hh"

#include <algorithm>
#include <array>
#include <memory>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

/* Of a virtual machine. */
constexpr std::array policies{"off", "resident-first", "least-pending"};

struct Options {
	std::string target;
	std::string of_vm;
	std::string of_vectors;
	bool dry_run = false;
	bool json = false;
};

Json json_of_policy(const Session &session, const corbel_irq_policy &policy, const Change &change)
{
	Json vectors = Json::object();

	for (unsigned i = 0; i < CORBEL_IRQ_VECTORS; i++)
		if (policy.vectors[i] != CORBEL_IRQ_POLICY_INHERIT)
			vectors[std::to_string(i)] = name_of_policy(policy.vectors[i]);
	Json chosen = Json::object();
	for (std::uint32_t i = 0; i < CORBEL_RES_COUNT; i++)
		chosen[name_of_residency(i + 1)] = policy.chosen[i];
	return {{"vm", json_of(session.info)},
		{"dry_run", change.dry_run},
		{"changed", change.changed},
		{"policy", name_of_policy(policy.policy)},
		{"vectors", vectors},
		{"offered", policy.offered},
		{"chosen", chosen},
		{"avoidable", policy.avoidable}};
}

void print(const Session &session, const corbel_irq_policy &policy, const Change &change)
{
	fmt::print("{}: {}{}\n", printable(session.label()), name_of_policy(policy.policy),
		   sentence_of(change));
	for (unsigned i = 0; i < CORBEL_IRQ_VECTORS; i++)
		if (policy.vectors[i] != CORBEL_IRQ_POLICY_INHERIT)
			fmt::print("vector {}: {}\n", show_vector(i),
				   name_of_policy(policy.vectors[i]));
	fmt::print("{} interrupts left a choice; sent to a vCPU that was", policy.offered);
	for (std::uint32_t i = 0; i < CORBEL_RES_COUNT; i++)
		fmt::print("{} {}: {}", i ? "," : "", name_of_residency(i + 1), policy.chosen[i]);
	fmt::print("\n");
}

Result<void> run(const Options &options)
{
	const auto vectors = CORBEL_EXPECT(vector_policies_of(options.of_vectors));
	const bool changes = !options.of_vm.empty() || !vectors.empty();
	auto device = CORBEL_EXPECT(Device::open());
	auto session = CORBEL_EXPECT(open_session(device, options.target));

	if (changes && !session.attached_before)
		return failure(ENOENT, fmt::format("{} is not attached, and a policy ends with the "
						   "attachment: `corbel vm attach {}` first.",
						   printable(session.label()), options.target));
	auto irq = CORBEL_EXPECT(session.vm.irq());
	auto policy = CORBEL_EXPECT(irq.policy());
	const auto before = policy;
	Change change{.dry_run = options.dry_run};

	if (changes) {
		if (!options.of_vm.empty())
			policy.policy = CORBEL_EXPECT(policy_of(options.of_vm));
		for (const auto &[vector, of_vector] : vectors)
			policy.vectors[vector] = of_vector;
		change.changed = policy.policy != before.policy ||
				 !std::ranges::equal(policy.vectors, before.vectors);
		if (!options.dry_run)
			policy = CORBEL_EXPECT(irq.set_policy(policy));
	}
	if (options.json)
		fmt::print("{}\n", dump(json_of_policy(session, policy, change), 2));
	else
		print(session, policy, change);
	return {};
}

Json describe()
{
	namespace s = schema;
	const std::vector<std::string_view> words(policies.begin(), policies.end());

	return s::joined(
		s::object({{"vm", s::vm()},
			   {"policy", s::one_of_words(words)},
			   {"vectors", s::dictionary(s::one_of_words(words),
						     "those that have one of their own")},
			   {"offered", s::count("interrupts that left a choice")},
			   {"chosen", s::dictionary(s::count(), "by where the vCPU was")},
			   {"avoidable", s::count("to a vCPU that lost its CPU, though another "
						  "had one")}}),
		s::object(s::change()));
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.target(options->target);
	set.choice("--set", options->of_vm, {policies.begin(), policies.end()}, "POLICY",
		   "The policy of the virtual machine from now on");
	set.text("--vector", options->of_vectors, "V=POLICY,...",
		 "Policies of single vectors, which go before it; `inherit` takes one back",
		 [](const std::string &text) -> Result<void> {
			 CORBEL_EXPECT(vector_policies_of(text));
			 return {};
		 });
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options] { return exit_code_of(run(*options)); };
}

} /* namespace */

const Verb irq_policy_verb{
	.group = "irq",
	.name = "policy",
	.summary = "Who takes an interrupt that several vCPUs may take",
	.examples =
		"corbel irq policy web1                            what is in force, and what came "
		"of it\n"
		"corbel irq policy web1 --set resident-first       a vCPU that runs, else one "
		"that sleeps\n"
		"corbel irq policy web1 --vector 0x50=off,0x51=off  but these two as KVM likes",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
