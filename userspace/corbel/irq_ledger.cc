// SPDX-License-Identifier: GPL-2.0-or-later
#include "dist_text.hh"
#include "irq_json.hh"
#include "ledger.hh"
#include "policy_text.hh"
#include "quantity.hh"
#include "schema.hh"
#include "session.hh"
#include "table.hh"
#include "verb.hh"

#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t all_vcpus = CORBEL_MAX_VCPUS;

struct Options {
	std::string target;
	std::uint32_t vcpu = all_vcpus;
	std::string vector; /* empty: none */
	bool json = false;
};

struct Reading {
	corbel_irq_info info{};
	Values of_vm;
	std::vector<LedgerRow> rows;
	std::vector<corbel_irq_dist_get> distributors;
	Verdict verdict = Verdict::balanced;
};

Result<unsigned> wanted_vector(const std::string &text)
{
	if (text.empty() || text == "all")
		return 0U;
	return CORBEL_EXPECT(vector_of(text));
}

/* Looks at a vCPU until it is judged, for two seconds at most. */
Result<VcpuJudge> judge_vcpu(const Irq &irq, std::uint32_t index)
{
	constexpr std::chrono::seconds patience{2};
	constexpr std::chrono::milliseconds pause{5};
	const auto deadline = Clock::now() + patience;
	VcpuJudge judge;

	judge.see(CORBEL_EXPECT(look_at_vcpu(irq, index)));
	while (!judge.decided() && Clock::now() < deadline) {
		std::this_thread::sleep_for(pause);
		judge.see(CORBEL_EXPECT(look_at_vcpu(irq, index)));
	}
	return judge;
}

Result<Reading> take_reading(const Irq &irq, const Options &options)
{
	const auto vector = CORBEL_EXPECT(wanted_vector(options.vector));
	const auto wanted = options.vector.empty()    ? WantedVectors::none
			    : options.vector == "all" ? WantedVectors::used
						      : WantedVectors::one;
	auto status = CORBEL_EXPECT(irq.status_page());
	Reading reading;
	std::vector<std::uint32_t> indices;
	std::vector<VcpuJudge> judges;

	reading.info = CORBEL_EXPECT(irq.info());
	if (options.vcpu != all_vcpus)
		indices = {options.vcpu};
	else
		indices = status.present(reading.info.nr_lines);
	judges.reserve(indices.size());
	for (auto index : indices)
		judges.push_back(CORBEL_EXPECT(judge_vcpu(irq, index)));
	reading.rows = rows_of(indices, judges, wanted, vector);
	if (options.vcpu != all_vcpus)
		reading.rows.erase(reading.rows.begin());
	for (const auto &row : reading.rows)
		reading.verdict = std::max(reading.verdict, row.verdict);
	/* Of the vectors that are not shown, too. */
	for (const auto &judge : judges)
		for (unsigned v = 0; v < CORBEL_IRQ_VECTORS; v++)
			if (judge.vector(v) == Verdict::unbalanced)
				reading.verdict = Verdict::unbalanced;
	auto stats = CORBEL_EXPECT(irq.stats());
	reading.of_vm = CORBEL_EXPECT(stats.read());
	reading.distributors = CORBEL_EXPECT(irq.distributors());
	/* Each id's counts are of one moment, so that these balance at any time. */
	for (const auto &dist : reading.distributors)
		if (balance_of(dist.counts) != 0)
			reading.verdict = Verdict::unbalanced;
	return reading;
}

std::string show_balance(const LedgerRow &row)
{
	switch (row.verdict) {
	case Verdict::moving:
		return "moving";
	case Verdict::unknown:
		return "unknown";
	default:
		return fmt::format("{}", row.ledger.balance());
	}
}

void print_rows(const std::vector<LedgerRow> &rows)
{
	Table table({{"VCPU"},
		     {"VECTOR"},
		     {"POSTED"},
		     {"DEVICE"},
		     {"IPI"},
		     {"LOCAL"},
		     {"RESTORED"},
		     {"DELIVERED"},
		     {"COALESCED"},
		     {"REFUSED"},
		     {"VANISHED"},
		     {"PENDING"},
		     {"BALANCE"}});

	for (const auto &row : rows) {
		const auto &it = row.ledger;
		std::vector<std::string> cells{
			row.vcpu ? fmt::format("{}", *row.vcpu) : "all",
			row.vector ? show_vector(*row.vector) : "all",
		};

		for (auto count :
		     {it.posted_by_all(), it.posted[CORBEL_IRQ_PATH_DEVICE],
		      it.posted[CORBEL_IRQ_PATH_IPI], it.posted[CORBEL_IRQ_PATH_LOCAL], it.restored,
		      it.delivered, it.coalesced, it.refused, it.vanished, it.pending})
			cells.push_back(fmt::format("{}", count));
		cells.push_back(show_balance(row));
		table.add(std::move(cells));
	}
	for (const auto &line : table.lines())
		fmt::print("{}\n", line);
}

Json json_of(const LedgerRow &row)
{
	const auto &it = row.ledger;
	Json json = Json::object();

	if (row.vcpu)
		json["vcpu"] = *row.vcpu;
	if (row.vector)
		json["vector"] = *row.vector;
	auto &posted = json["posted"] = Json::object();
	for (unsigned path = 0; path < CORBEL_IRQ_PATHS; path++)
		posted[name_of_path(path)] = it.posted[path];
	json["restored"] = it.restored;
	json["delivered"] = it.delivered;
	json["coalesced"] = it.coalesced;
	json["dropped"] = {{"refused", it.refused}, {"vanished", it.vanished}};
	json["pending"] = it.pending;
	json["balance"] = it.balance();
	json["verdict"] = name_of(row.verdict);
	return json;
}

Json json_of(const Session &session, const Reading &reading)
{
	Json json{{"name", session.name.empty() ? Json(nullptr) : Json(session.name)},
		  {"vm", cli::json_of(session.info)},
		  {"vm_ended", reading.info.ended != 0},
		  {"verdict", name_of(reading.verdict)},
		  {"total", nullptr},
		  {"vcpus", Json::array()},
		  {"vectors", Json::array()},
		  {"distributors", Json::array()}};

	for (const auto &row : reading.rows) {
		if (!row.vcpu)
			json["total"] = json_of(row);
		else
			json[row.vector ? "vectors" : "vcpus"].push_back(json_of(row));
	}
	for (const auto &dist : reading.distributors)
		json["distributors"].push_back(cli::json_of(dist));
	/* Of no vector's ledger. */
	for (const char *name : {"extint", "reinjected", "other_modes", "resyncs"})
		json[name] = reading.of_vm.at(name);
	return json;
}

void print(const Session &session, const Reading &reading)
{
	fmt::print("{}: {}, {} observed, {}\n", printable(session.label()),
		   reading.info.ended ? "ended" : "live",
		   show_number_of(reading.info.nr_vcpus, "vCPU"),
		   show_number_of(reading.info.resyncs, "resync"));
	print_rows(reading.rows);
	if (reading.distributors.empty())
		return;
	fmt::print("\n");
	for (const auto &line : table_of(reading.distributors).lines())
		fmt::print("{}\n", line);
}

/* On stderr, what keeps the exit status from being 0. */
ExitCode conclude(const Reading &reading)
{
	switch (reading.verdict) {
	case Verdict::balanced:
		return ExitCode::ok;
	case Verdict::unknown:
		fmt::print(stderr, "corbel: Hardware posts interrupts to these vCPUs, so that what "
				   "was coalesced is not known and nothing can be balanced.\n");
		return ExitCode::partial;
	case Verdict::moving:
		fmt::print(stderr, "corbel: Interrupts kept coming, so that some counts could not "
				   "be held against each other; what stayed the same balances. Ask "
				   "again when the guest is quieter.\n");
		return ExitCode::partial;
	case Verdict::unbalanced:
		break;
	}
	fmt::print(stderr,
		   "corbel: The ledger does not balance although nothing is under way: posted + "
		   "restored is not delivered + coalesced + refused + vanished + pending, or the "
		   "vectors of a vCPU do not add up to it, or its record is not its IRR. This is "
		   "an error of the modules: keep what `--vector all --json` prints.\n");
	return ExitCode::failure;
}

Result<ExitCode> show(const Options &options)
{
	auto device = CORBEL_EXPECT(Device::open());
	auto session = CORBEL_EXPECT(open_session(device, options.target));
	auto irq = CORBEL_EXPECT(session.vm.irq());
	const auto reading = CORBEL_EXPECT(take_reading(irq, options));

	if (options.json)
		fmt::print("{}\n", dump(json_of(session, reading), 2));
	else
		print(session, reading);
	return conclude(reading);
}

Json describe()
{
	namespace s = schema;
	const auto verdict = s::one_of_words({"balanced", "moving", "unknown", "unbalanced"});
	const auto row = s::object(
		{{"vcpu", s::count(), true},
		 {"vector", s::count(), true},
		 {"posted",
		  s::object({{"device", s::count()}, {"ipi", s::count()}, {"local", s::count()}})},
		 {"restored", s::count("in the IRR without a delivery")},
		 {"delivered", s::count()},
		 {"coalesced", s::integer()},
		 {"dropped", s::object({{"refused", s::count()}, {"vanished", s::count()}})},
		 {"pending", s::count()},
		 {"balance", s::integer("posted + restored less all else")},
		 {"verdict", verdict}});

	return s::object({{"name", s::nullable(s::string())},
			  {"vm", s::vm()},
			  {"vm_ended", s::boolean()},
			  {"verdict", verdict},
			  {"total", s::nullable(row)},
			  {"vcpus", s::array(row)},
			  {"vectors", s::array(row)},
			  {"distributors", s::array(s::distributor())},
			  {"extint", s::count("of the PIC, in no ledger")},
			  {"reinjected", s::count()},
			  {"other_modes", s::count("NMI, SMI, INIT, SIPI")},
			  {"resyncs", s::count()}});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.target(options->target);
	set.number("--vcpu", options->vcpu, {0, CORBEL_MAX_VCPUS - 1}, "N", "This vCPU alone");
	set.text("--vector", options->vector, "V|all",
		 "Rows for this vector of each vCPU, or for every vector that was used",
		 [](const std::string &text) -> Result<void> {
			 if (text.empty())
				 CORBEL_EXPECT(vector_of(text));
			 CORBEL_EXPECT(wanted_vector(text));
			 return {};
		 });
	set.json(options->json);
	return [options] { return exit_code_of(show(*options)); };
}

} /* namespace */

const Verb irq_ledger_verb{
	.group = "irq",
	.name = "ledger",
	.summary = "What became of every interrupt that was posted, and whether it balances",
	.examples = "corbel irq ledger web1                 the virtual machine and each vCPU\n"
		    "corbel irq ledger web1 --vector all    and each vector of these\n"
		    "corbel irq ledger web1 --vcpu 0 --vector 0x31 --json",
	.exit_codes = "1 is also: it does not balance.\n3: not all of it could be judged, because "
		      "interrupts kept coming or are posted by hardware.",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
